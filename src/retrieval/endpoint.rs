//! Endpoints: the table of a store's public API, and how a request finds its way through it.

use super::{
    Conversation, Fence, Lookup, Operation, Store, arguments, chroma, members::Place, opensearch, pinecone,
    weaviate,
};
use crate::{json::Value, refusal::Refusal, tool_api::Request};
use std::num::NonZeroU32;

/// A method and a path of a store's API.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    pub method: &'static str,
    /// `{name}` stands for one segment.
    pub path: &'static str,
    pub verdict: Verdict,
}

impl Endpoint {
    pub(super) const fn new(method: &'static str, path: &'static str, verdict: Verdict) -> Self {
        Self { method, path, verdict }
    }
}

/// What becomes of the requests for an endpoint.
#[derive(Debug, Clone, Copy)]
pub enum Verdict {
    /// 403, and why.
    Refuses(&'static str),
    Serves(Operation, Handler),
}

/// How the store is spoken to about a request, or why not at all.
pub(super) type Begun = Result<Box<dyn Conversation>, Refusal>;

/// Checks a request and says how the store is spoken to about it.
pub type Handler = fn(&Asking<'_>) -> Begun;

/// A request for an endpoint, within a tenant's bounds.
#[derive(Debug)]
pub struct Asking<'a> {
    pub request: &'a Request<'a>,
    /// What stands for the parameters of the path, in their order.
    pub places: &'a [(&'static str, String)],
    pub fence: &'a Fence,
    pub operation: Operation,
    /// The collection as the client calls it, where there is one.
    pub collection: Option<&'a str>,
}

impl Asking<'_> {
    /// A parameter of the path.
    pub fn place(&self, name: &str) -> &str {
        self.places.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// Why this goes no further.
    pub fn refuse(&self, reason: impl Into<String>) -> Refusal {
        self.fence.refuse(self.operation, reason)
    }

    /// A filter holds a clause that nobody knows here.
    pub(super) fn unknown(&self, place: &Place<'_>) -> Refusal {
        self.refuse(format!(
            "`{place}` has a clause that is not known here, and nothing unknown is forwarded"
        ))
    }
}

/// An endpoint that a request is for.
#[derive(Debug)]
pub struct Found<'r> {
    store: Store,
    pub operation: Operation,
    handler: Handler,
    endpoint: &'static Endpoint,
    request: Request<'r>,
    places: Vec<(&'static str, String)>,
}

impl Store {
    /// The collection that a request names, as the client calls it.
    fn collection_of(
        self,
        fence: &Fence,
        places: &[(&'static str, String)],
        request: &Request<'_>,
    ) -> Option<String> {
        match self {
            Self::Chroma | Self::Qdrant => arguments::collection(places).map(ToOwned::to_owned),
            Self::Opensearch => opensearch::named(fence, places, request),
            Self::Pinecone => pinecone::named(places, request),
            Self::Weaviate => weaviate::named(places, request),
        }
    }

    /// How many searches a request brings at once; 0 for one that is none.
    fn searches(self, request: &Request<'_>) -> usize {
        let body = request.body.as_ref();
        let list =
            |name: &str| body.and_then(|body| body.get(name)).and_then(Value::items).map_or(0, <[_]>::len);
        match self {
            Self::Chroma => list("query_embeddings"),
            // A line says where, and one what.
            Self::Opensearch if request.path.last().is_some_and(|last| last == "_msearch") => {
                body.and_then(Value::items).map_or(0, |lines| lines.len().div_ceil(2))
            }
            Self::Qdrant => list("searches"),
            Self::Opensearch | Self::Pinecone | Self::Weaviate => 0,
        }
    }

    /// The endpoint that a request is for. Why not, in words for the client: 403.
    pub fn find<'r>(self, request: Request<'r>) -> Result<Found<'r>, &'static str> {
        // `{name}` is a name: what an endpoint has there as a word is meant by it.
        let fits =
            self.endpoints().iter().filter_map(|endpoint| Some((endpoint, endpoint.places(&request)?)));
        let (endpoint, places) =
            fits.min_by_key(|(_, places)| places.len()).ok_or("this endpoint of the store is not served")?;
        if self == Self::Chroma
            && places.iter().any(|(name, id)| *name == "collection_id" && !chroma::is_id(id))
        {
            return Err(
                "a collection's id is written as the store tells it: small letters, digits and hyphens",
            );
        }
        match endpoint.verdict {
            Verdict::Refuses(why) => Err(why),
            Verdict::Serves(operation, handler) => {
                let told = weaviate::operation(&request).filter(|_| self == Self::Weaviate);
                let operation = told.unwrap_or(operation);
                Ok(Found { store: self, operation, handler, endpoint, request, places })
            }
        }
    }
}

impl Endpoint {
    /// What stands for the parameters of the path, if it fits.
    fn places(&self, request: &Request<'_>) -> Option<Vec<(&'static str, String)>> {
        if request.method.as_str() != self.method {
            return None;
        }
        let parts = self.path.split('/').skip(1).filter(|part| !part.is_empty());
        let mut places = Vec::new();
        let mut segments = request.path.iter();
        for part in parts {
            let segment = segments.next()?;
            match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                Some(name) => places.push((name, segment.clone())),
                None if part == segment => {}
                None => return None,
            }
        }
        segments.next().is_none().then_some(places)
    }

    /// Where a parameter stands in the path.
    fn place_of(&self, name: &str) -> Option<usize> {
        let mut parts = self.path.split('/').skip(1).filter(|part| !part.is_empty());
        parts.position(|part| part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) == Some(name))
    }
}

impl<'r> Found<'r> {
    /// What the store is asked first.
    pub fn lookup(&self) -> Option<Lookup> {
        match self.store {
            Store::Chroma => chroma::lookup(&self.endpoint.verdict, &self.places),
            Store::Opensearch | Store::Pinecone | Store::Qdrant | Store::Weaviate => None,
        }
    }

    /// Checks everything. `looked_up` is the store's name of the collection, where it had to be looked up.
    pub fn understand(self, fence: &Fence, looked_up: Option<&str>) -> Result<Understood<'r>, Refusal> {
        let named = match looked_up {
            Some(name) => {
                Some(fence.inner(name).ok_or_else(|| fence.refuse(self.operation, "no such collection"))?)
            }
            None => None,
        };
        let collection = match named {
            Some(name) => Some(name.to_owned()),
            None => self.store.collection_of(fence, &self.places, &self.request),
        };
        let asking = Asking {
            request: &self.request,
            places: &self.places,
            fence,
            operation: self.operation,
            collection: collection.as_deref(),
        };
        let conversation = (self.handler)(&asking)?;
        let arguments = arguments::of(self.store, &asking);
        Ok(Understood { found: self, fence: fence.clone(), collection, arguments, conversation })
    }
}

/// A request that was checked, and how the store is spoken to about it.
#[derive(Debug)]
pub struct Understood<'r> {
    found: Found<'r>,
    fence: Fence,
    collection: Option<String>,
    /// For the rules.
    pub arguments: Value<'static>,
    conversation: Box<dyn Conversation>,
}

impl Understood<'_> {
    /// What it does.
    pub fn operation(&self) -> Operation {
        self.conversation.operation().unwrap_or(self.found.operation)
    }

    /// How many searches it is: a batch of them is as many.
    pub fn searches(&self) -> NonZeroU32 {
        let searches = self.found.store.searches(&self.found.request);
        u32::try_from(searches).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
    }

    /// The same with arguments that rules forced. Everything is checked again.
    pub fn with(self, forced: &Value<'_>) -> Result<Self, Refusal> {
        let Self { mut found, fence, collection, arguments, conversation } = self;
        if *forced == arguments {
            return Ok(Self { found, fence, collection, arguments, conversation });
        }
        let place_of = |name: &str| found.endpoint.place_of(name);
        arguments::put((found.store, found.operation), &mut found.request, (&arguments, forced), place_of)
            .map_err(|why| fence.refuse(found.operation, why))?;
        found.places = found.endpoint.places(&found.request).unwrap_or_default();
        let collection = found.store.collection_of(&fence, &found.places, &found.request).or(collection);
        let asking = Asking {
            request: &found.request,
            places: &found.places,
            fence: &fence,
            operation: found.operation,
            collection: collection.as_deref(),
        };
        let before = conversation.operation();
        let conversation = (found.handler)(&asking)?;
        if conversation.operation() != before {
            return Err(asking.refuse("with what a rule sets, this would be another operation"));
        }
        let arguments = arguments::of(found.store, &asking);
        Ok(Self { found, fence, collection, arguments, conversation })
    }

    /// How the store is spoken to.
    pub fn begin(self) -> Box<dyn Conversation> {
        self.conversation
    }
}

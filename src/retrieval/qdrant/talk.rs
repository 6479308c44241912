//! How Qdrant is spoken to: ids are looked at, a count is asked of nobody, then comes what was asked for.

use super::{
    answer::{self, Verifier},
    filter, id,
};
use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        Conversation, Fence, Operation, Reply, Sending, Step, Told,
        endpoint::Asking,
        fence::NOBODY,
        talk::{IGNORES_FILTERS, OVER},
    },
    tool_api,
};
use bytes::Bytes;
use http::Method;
use std::collections::{HashMap, HashSet};

/// What has to hold of the ids that a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// They are examples: each is there and the tenant's.
    Examples,
    /// They are written: none is another's.
    Written,
}

/// What is made of the answer.
#[derive(Debug)]
pub(super) enum Retell {
    AsIs,
    /// The record that was asked for alone, or none.
    One {
        id: Value<'static>,
        verifier: Verifier,
    },
    Verified(Verifier),
    /// A matrix of ids: told when they were looked at.
    Matrix,
}

/// A conversation with Qdrant.
#[derive(Debug)]
pub(super) struct Talk {
    fence: Fence,
    operation: Operation,
    collection: String,
    ids: Vec<(String, Value<'static>)>,
    named: Named,
    look: Option<Sending>,
    canary: Option<Sending>,
    main: Option<Sending>,
    retell: Retell,
    told: Option<Told>,
    stage: Stage,
    foreign: u64,
}

/// What was sent last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Nothing,
    Look,
    Canary,
    Main,
    /// The ids of an answer are looked at.
    LookBehind,
}

impl Talk {
    /// A request that is sent as this body.
    pub(super) fn new(asking: &Asking<'_>, body: Option<&Value<'_>>) -> Self {
        let mut request = asking.request.clone();
        request.body = None;
        outer(asking, &mut request.path);
        let bytes = body.map(answer::written).unwrap_or_default();
        let main = Sending { body: bytes, ..Sending::of(&request) };
        Self {
            fence: asking.fence.clone(),
            operation: asking.operation,
            collection: asking.fence.outer(asking.place("collection_name")),
            ids: Vec::new(),
            named: Named::Written,
            look: None,
            canary: None,
            main: Some(main),
            retell: Retell::AsIs,
            told: None,
            stage: Stage::Nothing,
            foreign: 0,
        }
    }

    /// The same, sent to another endpoint of the collection.
    pub(super) fn to(mut self, method: Method, part: &str) -> Self {
        let query = self
            .main
            .as_ref()
            .and_then(|main| main.target.split_once('?'))
            .map(|(_, query)| query.to_owned());
        let mut target = self.target(part);
        if let Some(query) = query {
            target.push('?');
            target.push_str(&query);
        }
        self.main = self.main.map(|main| Sending { method, target, body: main.body });
        self
    }

    /// Looks at these ids first.
    pub(super) fn naming(mut self, named: Named, ids: Vec<Value<'_>>) -> Self {
        if self.fence.field.is_none() || ids.is_empty() {
            return self;
        }
        let mut seen = HashSet::new();
        for id in ids {
            if let Some(key) = id::key(&id)
                && seen.insert(key.clone())
            {
                self.ids.push((key, id.into_owned()));
            }
        }
        self.named = named;
        self.look = Some(self.looking(self.ids.iter().map(|(_, id)| id.clone()).collect()));
        self
    }

    /// Asks first how many points nobody has.
    pub(super) fn counting(mut self) -> Self {
        if let Some(field) = &self.fence.field {
            let filter = Value::object([("must", Value::Array(vec![filter::has(field, NOBODY)]))]);
            let body = Value::object([("filter", filter), ("exact", Value::Bool(true))]);
            let target = self.target("/points/count");
            self.canary = Some(Sending { method: Method::POST, target, body: answer::written(&body) });
        }
        self
    }

    pub(super) fn retold(mut self, retell: Retell) -> Self {
        if self.fence.field.is_some() || matches!(retell, Retell::One { .. }) {
            self.retell = retell;
        }
        self
    }

    pub(super) fn of_operation(mut self, operation: Operation) -> Self {
        self.operation = operation;
        self
    }

    pub(super) fn boxed(self) -> Box<dyn Conversation> {
        Box::new(self)
    }

    fn target(&self, part: &str) -> String {
        let mut target = "/collections/".to_owned();
        tool_api::write_segment(&self.collection, &mut target);
        target.push_str(part);
        target
    }

    /// Whose points have these ids?
    fn looking(&self, ids: Vec<Value<'_>>) -> Sending {
        let field = self.fence.field.as_deref().unwrap_or_default().to_owned();
        let include = Value::object([("include", Value::Array(vec![Value::string(field)]))]);
        let body = Value::object([
            ("ids", Value::Array(ids)),
            ("with_payload", include),
            ("with_vector", Value::Bool(false)),
        ]);
        Sending { method: Method::POST, target: self.target("/points"), body: answer::written(&body) }
    }

    /// Whether the ids are what they have to be; else what the client is told.
    fn looked(&self, body: &Bytes) -> Result<Option<Step>, Refusal> {
        let owners: HashMap<String, bool> = answer::owners(&self.fence, body)?.into_iter().collect();
        match self.named {
            Named::Written => {
                let is_asked = |key: &String| self.ids.iter().any(|(asked, _)| asked == key);
                let alien = owners.iter().any(|(key, own)| !own || !is_asked(key));
                if alien { Err(self.fence.refuse_foreign(self.operation)) } else { Ok(None) }
            }
            Named::Examples => {
                let missing = self.ids.iter().find(|(key, _)| owners.get(key) != Some(&true));
                Ok(missing
                    .map(|(_, id)| not_found(&format!("Not found: No point with id {} found", shown(id)))))
            }
        }
    }

    fn main_answered(&mut self, reply: Reply) -> Result<Step, Refusal> {
        let Reply { status, body } = reply;
        let body = match &self.retell {
            Retell::AsIs => body,
            Retell::Verified(verifier) => {
                let (body, foreign) = verifier.verify(&body)?;
                self.foreign = foreign;
                body
            }
            Retell::One { id, verifier } => {
                let (body, foreign) = verifier.verify(&body)?;
                self.foreign = foreign;
                let mut answer = answer::parse(&body)?;
                let found = answer.get_mut("result").and_then(Value::items_mut).and_then(Vec::pop);
                let asked = id::key(id);
                match found.filter(|point| point.get("id").and_then(id::key) == asked) {
                    Some(point) => answer.set("result", point),
                    None => {
                        return Ok(not_found(&format!(
                            "Not found: Point with id {} does not exists!",
                            shown(id)
                        )));
                    }
                }
                answer::written(&answer)
            }
            Retell::Matrix => {
                let ids = matrix_ids(&body)?;
                if !ids.is_empty() {
                    self.ids = ids.iter().filter_map(|id| Some((id::key(id)?, id.clone()))).collect();
                    self.told = Some(Told { status, body });
                    self.stage = Stage::LookBehind;
                    return Ok(Step::Send(self.looking(ids)));
                }
                body
            }
        };
        Ok(Step::Tell(Told { status, body }))
    }
}

/// An id in an error's text: as it was written.
fn shown(id: &Value<'_>) -> String {
    id.as_str().map_or_else(|| id.to_string(), ToOwned::to_owned)
}

/// What Qdrant says of a point that is not there.
fn not_found(text: &str) -> Step {
    let status = Value::object([("error", Value::string(text.to_owned()))]);
    let body = Value::object([("status", status), ("time", Value::integer(0))]);
    Step::Tell(Told { status: 404, body: answer::written(&body) })
}

/// The ids in a matrix.
fn matrix_ids(body: &[u8]) -> Result<Vec<Value<'static>>, Refusal> {
    // Their lists may be numbers alone: read plainly.
    let answer = crate::json::parse(body, 64).map_err(|_| answer::unreadable())?;
    let result = answer.get("result").ok_or_else(answer::unreadable)?;
    let found: Vec<&Value<'_>> = match (result.get("pairs"), result.get("ids")) {
        (Some(pairs), None) => {
            let pairs = pairs.items().ok_or_else(answer::unreadable)?;
            pairs
                .iter()
                .flat_map(|pair| [pair.get("a"), pair.get("b")])
                .map(|id| id.ok_or_else(answer::unreadable))
                .collect::<Result<_, _>>()?
        }
        (None, Some(ids)) => ids.items().ok_or_else(answer::unreadable)?.iter().collect(),
        _ => return Err(answer::unreadable()),
    };
    let mut seen = HashSet::new();
    let mut ids = Vec::new();
    for id in found {
        if seen.insert(id::key(id).ok_or_else(answer::unreadable)?) {
            ids.push(id.clone().into_owned());
        }
    }
    Ok(ids)
}

/// The store's name of the collection in a path.
pub(super) fn outer(asking: &Asking<'_>, path: &mut [String]) {
    if let [first, collection, ..] = path
        && first == "collections"
    {
        *collection = asking.fence.outer(collection);
    }
}

impl Conversation for Talk {
    fn next(&mut self, reply: Option<Reply>) -> Result<Step, Refusal> {
        match reply {
            None if self.stage == Stage::Nothing => {}
            None => return Err(OVER),
            Some(reply) if !reply.is_success() => return Ok(Step::Fail(reply)),
            Some(reply) => match self.stage {
                Stage::Nothing => return Err(OVER),
                Stage::Look => {
                    if let Some(told) = self.looked(&reply.body)? {
                        return Ok(told);
                    }
                }
                Stage::Canary => {
                    let answer = answer::parse(&reply.body)?;
                    let count =
                        answer.get("result").and_then(|result| result.get("count")).and_then(Value::as_u64);
                    let count = count.ok_or_else(answer::unreadable)?;
                    if count > 0 {
                        self.foreign = count;
                        return Err(IGNORES_FILTERS);
                    }
                }
                Stage::Main => return self.main_answered(reply),
                Stage::LookBehind => {
                    let owners: HashMap<String, bool> =
                        answer::owners(&self.fence, &reply.body)?.into_iter().collect();
                    let foreign = self.ids.iter().filter(|(key, _)| owners.get(key) != Some(&true)).count();
                    self.foreign = u64::try_from(foreign).unwrap_or(u64::MAX);
                    let told = self.told.take().filter(|_| foreign == 0);
                    return told.map(Step::Tell).ok_or(IGNORES_FILTERS);
                }
            },
        }
        let steps =
            [(Stage::Look, &mut self.look), (Stage::Canary, &mut self.canary), (Stage::Main, &mut self.main)];
        for (stage, sending) in steps {
            if let Some(sending) = sending.take() {
                self.stage = stage;
                return Ok(Step::Send(sending));
            }
        }
        Err(OVER)
    }

    fn claims(&self) -> Vec<String> {
        if self.named == Named::Examples {
            return Vec::new();
        }
        self.ids.iter().map(|(key, _)| format!("{}/{key}", self.collection)).collect()
    }

    fn writes(&self) -> bool {
        matches!(self.operation, Operation::Delete | Operation::Manage | Operation::Write)
    }

    fn operation(&self) -> Option<Operation> {
        Some(self.operation)
    }

    fn foreign(&self) -> u64 {
        self.foreign
    }
}

//! What a server has: what it says of itself, and its lists. Each is asked for by one request at a time and kept for a
//! moment; a list is asked for only where the server says that it has one.

use super::{Caller, Calling, Era, Failed, Server, Taken, lock, wire::failed};
use crate::{
    clock,
    json::Value,
    mcp::{
        about::About,
        act::Passed,
        envelope::{self, Ask},
        list::{self, Definitions, Kind},
        message::METHOD_NOT_FOUND,
        names,
        task::Step,
    },
    operator,
    refusal::Refusal,
    upstream::apart::Leave,
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// So long a list is kept, and that there is none.
const LIST_KEPT: Duration = Duration::from_secs(5);
/// The same of a server that did not answer in time.
const MUTE_KEPT: Duration = Duration::from_secs(60);
/// So long a list may take, all its pages together.
const LIST_WAIT: Duration = Duration::from_secs(15);
/// So much is told of a tool's name.
const NAMED_CHARS_MAX: usize = 100;
/// So long a client that arrives waits for a server.
const ABOUT_WAIT: Duration = Duration::from_secs(5);

/// What is known of a server.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    tools: List,
    prompts: List,
    resources: List,
    templates: List,
    about: Kept<About>,
    /// What a server of the newer era said when it was asked for its era.
    pub(super) discovered: Mutex<Option<Arc<About>>>,
    /// Addresses that another server has too, as the operator was told.
    shared: AtomicUsize,
}

type List = Kept<Definitions>;
/// What was found, or why it was not, and when.
type Kept<T> = tokio::sync::Mutex<Option<(Result<Arc<T>, Failed>, Instant)>>;

impl Catalogue {
    fn list(&self, kind: Kind) -> &List {
        match kind {
            Kind::Tools => &self.tools,
            Kind::Prompts => &self.prompts,
            Kind::Resources => &self.resources,
            Kind::Templates => &self.templates,
        }
    }
}

impl Server {
    /// Its tools, as they were within the last seconds.
    pub async fn tools(self: &Arc<Self>) -> Result<Arc<Definitions>, Failed> {
        self.list(Kind::Tools).await
    }

    /// Its prompts.
    pub async fn prompts(self: &Arc<Self>) -> Result<Arc<Definitions>, Failed> {
        self.list(Kind::Prompts).await
    }

    /// Its resources.
    pub async fn resources(self: &Arc<Self>) -> Result<Arc<Definitions>, Failed> {
        self.list(Kind::Resources).await
    }

    /// Its templates of resources.
    pub async fn templates(self: &Arc<Self>) -> Result<Arc<Definitions>, Failed> {
        self.list(Kind::Templates).await
    }

    /// What it has of one kind.
    pub async fn list(self: &Arc<Self>, kind: Kind) -> Result<Arc<Definitions>, Failed> {
        let mut kept = self.catalogue.list(kind).lock().await;
        if let Some(list) = fresh(&kept) {
            return list;
        }
        let found = tokio::time::timeout(LIST_WAIT, self.list_all(kind)).await;
        let found = match found.unwrap_or(Err(Failed::Refusal(Refusal::UpstreamTimeout))) {
            Ok(list) if kind == Kind::Tools => self.held_against_pins(list).await.map(Arc::new),
            found => found.map(Arc::new),
        };
        let is_news = match (&*kept, &found) {
            (Some((Err(before), _)), Err(now)) => before != now,
            (Some((Ok(before), _)), Ok(now)) => {
                self.unfit(kind, before) != self.unfit(kind, now) || before.misdeclared != now.misdeclared
            }
            (_, Ok(now)) => self.unfit(kind, now) != (0, 0) || !now.misdeclared.is_empty(),
            (_, Err(_)) => true,
        };
        if is_news {
            self.tell(kind, &found);
        }
        if let (Some((Ok(before), _)), Ok(now)) = (&*kept, &found)
            && before != now
        {
            self.tell_of_change();
        }
        *kept = Some((found.clone(), clock::now()));
        found
    }

    /// Without the tools that were not approved.
    async fn held_against_pins(&self, mut tools: Definitions) -> Result<Definitions, Failed> {
        let Some(pins) = self.pins.clone() else { return Ok(tools) };
        let instructions = lock(&self.instructions).clone();
        let decided = tokio::task::spawn_blocking(move || {
            pins.decide(&mut tools, instructions.as_deref());
            tools
        });
        decided.await.map_err(|_| failed("the upstream's tools cannot be held against what was approved"))
    }

    /// Has what is known of it asked anew, as a reload does. Sessions go on.
    pub fn look_anew(self: &Arc<Self>) {
        self.forget_era();
        let mut are_busy = false;
        for kind in Kind::ALL {
            match self.catalogue.list(kind).try_lock() {
                Ok(mut kept) => age(&mut kept),
                Err(_) => are_busy = true,
            }
        }
        match self.catalogue.about.try_lock() {
            Ok(mut kept) => *kept = None,
            Err(_) => are_busy = true,
        }
        if let (true, Ok(runtime)) = (are_busy, tokio::runtime::Handle::try_current()) {
            let server = Arc::clone(self);
            runtime.spawn(async move { server.expire_lists().await });
        }
    }

    /// Has the lists read anew when they are wanted next. Until then they are what changes are told by.
    pub(super) async fn expire_lists(&self) {
        for kind in Kind::ALL {
            age(&mut *self.catalogue.list(kind).lock().await);
        }
    }

    /// What it says of itself, within a few seconds.
    pub async fn about(self: &Arc<Self>) -> Result<Arc<About>, Failed> {
        let mut kept = self.catalogue.about.lock().await;
        if let Some(about) = fresh(&kept) {
            return about;
        }
        let said = tokio::time::timeout(ABOUT_WAIT, self.introduced()).await;
        let said = said.unwrap_or(Err(Failed::Refusal(Refusal::UpstreamTimeout)));
        *kept = Some((said.clone(), clock::now()));
        said
    }

    /// Passes a request on that is not decided on.
    pub async fn request(
        self: &Arc<Self>,
        caller: &Caller,
        passed: Passed,
        params: &[u8],
    ) -> Result<Calling, Failed> {
        self.ask(caller, |id| Ask { id, method: passed.method(), name: None, params, wishes: None }).await
    }

    /// Has it tell of a resource that changes, or no longer. A server of the newer era is not asked: what its clients of
    /// the older one subscribe to is not told.
    pub async fn subscribe(
        self: &Arc<Self>,
        caller: &Caller,
        passed: Passed,
        params: &[u8],
    ) -> Result<(), Failed> {
        if self.speaks_modern().await? {
            let message = "the server tells of changed resources only to clients of 2026-07-28".to_owned();
            return Err(Failed::Error { code: METHOD_NOT_FOUND, message, data: None });
        }
        self.request(caller, passed, params).await?.result().await.map(drop)
    }

    /// Asks something of a task of this id of the server's.
    pub async fn task(
        self: &Arc<Self>,
        caller: &Caller,
        step: Step,
        id: &str,
        responses: Option<&Value<'_>>,
    ) -> Result<(Value<'static>, Taken), Failed> {
        let params = envelope::task_params(id, responses);
        let ask =
            |number| Ask { id: number, method: step.method(), name: Some(id), params: &params, wishes: None };
        let mut calling = self.ask(caller, ask).await?;
        let result = calling.result().await?;
        Ok((result, calling.taken()))
    }

    /// Tells the operator that addresses of its are another server's too, each number once.
    pub fn shares(&self, count: usize) {
        if self.catalogue.shared.fetch_max(count, Ordering::Relaxed) < count {
            let name = self.name();
            operator::warn(&format!(
                "{count} resources of the MCP server {name} are served at /mcp/{name} only: another server that the \
                 same tenant sees lists them too"
            ));
        }
    }

    async fn introduced(self: &Arc<Self>) -> Result<Arc<About>, Failed> {
        if let Some(child) = self.link.child().await? {
            let about = child.about();
            *lock(&self.instructions) = about.instructions.as_deref().map(Arc::from);
            return Ok(about);
        }
        match self.era().await? {
            Era::Modern => lock(&self.catalogue.discovered)
                .clone()
                .ok_or_else(|| failed("the upstream says nothing of itself")),
            Era::Legacy => Ok(self.sessions.of(self, &Caller::gateway()).await?.about),
        }
    }

    /// How many nobody can ask for, and how many have names that are too long for the merged list.
    fn unfit(&self, kind: Kind, list: &Definitions) -> (usize, usize) {
        let is_long = |each: &&list::Definition| {
            kind.is_prefixed() && !names::fits(&names::combined(self.name(), &each.name))
        };
        (list.left_out, list.iter().filter(is_long).count())
    }

    /// Tells the operator what a list lacks.
    fn tell(&self, kind: Kind, found: &Result<Arc<Definitions>, Failed>) {
        let (name, words) = (self.name(), kind.words());
        let why = match found {
            Ok(list) => {
                let (left_out, long) = self.unfit(kind, list);
                if let Some(first) = list.misdeclared.first() {
                    let count = list.misdeclared.len();
                    let first: String = first.chars().take(NAMED_CHARS_MAX).collect();
                    operator::warn(&format!(
                        "{count} tools of the MCP server {name} are left out, `{first}` first: they want arguments \
                         repeated in headers (`x-mcp-header`) in a way that the protocol does not allow"
                    ));
                }
                if left_out > 0 {
                    operator::warn(&format!(
                        "{left_out} {words} of the MCP server {name} are left out: without a usable name, under a \
                         name that another has too or that stands for something else, or too many"
                    ));
                }
                if long > 0 {
                    operator::warn(&format!(
                        "{long} {words} of the MCP server {name} are served at /mcp/{name} only: {name}__NAME is \
                         longer than {} characters",
                        names::MERGED_CHARS_MAX
                    ));
                }
                return;
            }
            Err(Failed::Refusal(refusal)) => refusal.message(),
            Err(Failed::Error { code, .. }) => format!("error {code}"),
            Err(Failed::Cancelled) => return,
        };
        operator::warn(&format!("the MCP server {name} does not list its {words}: {why}"));
    }

    async fn list_all(self: &Arc<Self>, kind: Kind) -> Result<Definitions, Failed> {
        if !self.introduced().await?.lists(kind) {
            return Ok(Definitions::default());
        }
        let (mut found, mut left_out, mut weight, mut cursor) = (Vec::new(), 0, 0, None);
        let mut misdeclared = Vec::new();
        for _ in 0..list::PAGES_MAX {
            let params = envelope::list_params(cursor.as_deref());
            let ask = |id| Ask { id, method: kind.method(), name: None, params: &params, wishes: None };
            let listed = async {
                let mut calling = self.ask(&Caller::gateway(), ask).await?;
                let result = calling.result().await?;
                Ok((result, calling.taken()))
            };
            let (listed, taken) = match listed.await {
                // Whoever has resources need not have templates.
                Err(Failed::Error { code: METHOD_NOT_FOUND, .. }) if kind == Kind::Templates => {
                    return Ok(Definitions::default());
                }
                listed => listed?,
            };
            let leave = match self.means.get() {
                Some(means) => means.turn(&Caller::gateway().share(), taken.bytes).await?,
                None => Leave::default(),
            };
            let page = leave.work(move || list::page(kind, &listed));
            let page = page.ok_or_else(|| failed("the upstream's list cannot be read"))?;
            drop(taken);
            weight += page.weight();
            if weight > list::LIST_BYTES_MAX {
                return Err(failed("the upstream's list is too long"));
            }
            found.extend(page.definitions);
            left_out += page.left_out;
            misdeclared.extend(page.misdeclared);
            cursor = page.next;
            if cursor.is_none() || found.len() + misdeclared.len() > kind.count_max() {
                break;
            }
        }
        left_out += usize::from(cursor.is_some()) + found.len().saturating_sub(kind.count_max());
        found.truncate(kind.count_max());
        let mut list = Definitions::new(found);
        list.left_out += left_out;
        list.misdeclared = misdeclared;
        Ok(list)
    }
}

/// Makes what is kept too old to be used.
fn age<T>(kept: &mut Option<(Result<Arc<T>, Failed>, Instant)>) {
    if let Some((_, since)) = kept {
        *since = since.checked_sub(MUTE_KEPT).unwrap_or(*since);
    }
}

fn fresh<T>(kept: &Option<(Result<Arc<T>, Failed>, Instant)>) -> Option<Result<Arc<T>, Failed>> {
    let (found, since) = kept.as_ref()?;
    // Who does not answer at all makes everybody wait.
    let is_mute = matches!(found, Err(Failed::Refusal(Refusal::UpstreamTimeout)));
    let kept = if is_mute { MUTE_KEPT } else { LIST_KEPT };
    (clock::now().saturating_duration_since(*since) < kept).then(|| found.clone())
}

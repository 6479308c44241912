//! What lies between the gateway and an MCP server: HTTP, or the pipes of a process that the gateway runs.

use super::{
    Caller, Calling, Failed, Server, Taken,
    caller::Session,
    calling::Answerer,
    stdio::{self, Child, Children},
    wire::{self, Said, failed},
};
use crate::{
    json::Value,
    mcp::envelope::Ask,
    upstream::{Health, Upstream},
};
use std::{sync::Arc, time::Duration};

#[derive(Debug)]
pub(super) enum Link {
    Http(Upstream),
    /// Each tenant has a process of its own.
    Child {
        children: Arc<Children>,
        tenant: Arc<str>,
    },
}

/// An answer on its way in. Dropping it before its end cancels the request.
#[derive(Debug)]
pub(super) enum Reply {
    Http(Box<wire::Reply>),
    Child(stdio::Reply),
}

impl Link {
    /// How what is asked by HTTP answers.
    pub(super) fn health(&self) -> Option<&Health> {
        match self {
            Self::Http(upstream) => Some(&upstream.health),
            Self::Child { .. } => None,
        }
    }

    /// Where what is asked by HTTP is.
    pub(super) fn upstream(&self) -> Option<&Upstream> {
        match self {
            Self::Http(upstream) => Some(upstream),
            Self::Child { .. } => None,
        }
    }

    pub(super) fn address(&self) -> Option<(&str, u16)> {
        let Self::Http(upstream) = self else { return None };
        let (endpoint, _) = upstream.first()?;
        let origin = endpoint.client.origin();
        Some((origin.host(), origin.port()))
    }

    /// A text without the gateway's own credentials.
    pub(super) fn conceal(&self, text: String) -> String {
        match self {
            Self::Http(upstream) => upstream.conceal(text),
            Self::Child { children, .. } => children.conceal(text),
        }
    }

    /// The same of every text in a value.
    pub(super) fn conceal_in(&self, value: &mut Value<'_>) {
        match self {
            Self::Http(upstream) => upstream.conceal_in(value),
            Self::Child { children, .. } => children.conceal_in(value),
        }
    }

    /// Closes what idled for too long.
    pub(super) fn sweep(&self) {
        match self {
            Self::Http(upstream) => upstream.sweep(),
            Self::Child { children, .. } => children.sweep(),
        }
    }

    /// Takes over the processes of another, if they are the same.
    pub(super) fn take_over(&mut self, other: &Self) {
        if let (Self::Child { children: mine, .. }, Self::Child { children: theirs, .. }) = (self, other)
            && mine.is_same(theirs)
        {
            *mine = Arc::clone(theirs);
        }
    }

    /// The tenant's process, where there is one; started if it does not run.
    pub(super) async fn child(&self) -> Result<Option<Arc<Child>>, Failed> {
        match self {
            Self::Http(_) => Ok(None),
            Self::Child { children, tenant } => children.of(tenant).await.map(Some),
        }
    }
}

impl Reply {
    /// What the server says next. The answer to the request is the last of it. A wait that is given up loses nothing.
    pub(super) async fn next(&mut self, server: &Server) -> Result<Said, Failed> {
        match self {
            Self::Http(reply) => reply.next(server).await,
            Self::Child(reply) => reply.next().await,
        }
    }

    /// What the last of it takes, which is its owner's from now on.
    pub(super) fn taken(&mut self) -> Taken {
        match self {
            Self::Http(reply) => reply.taken(),
            Self::Child(reply) => reply.taken(),
        }
    }

    /// Where to go on from, if it broke off and can be taken up again.
    pub(super) fn resumes_from(&self) -> Option<&str> {
        match self {
            Self::Http(reply) => reply.resumes_from(),
            Self::Child(_) => None,
        }
    }

    /// How long to wait before that, where the server says it.
    pub(super) fn retry(&self) -> Option<Duration> {
        match self {
            Self::Http(reply) => reply.retry,
            Self::Child(_) => None,
        }
    }

    /// How a server is answered that asks something meanwhile.
    pub(super) fn answerer(&self, server: &Arc<Server>, session: Option<&Session>) -> Option<Answerer> {
        match self {
            Self::Http(_) => session.map(|session| Answerer::in_session(server, session)),
            Self::Child(reply) => reply.takes_answers().map(Answerer::of_child),
        }
    }
}

impl Server {
    /// Asks the tenant's process. One that was stopped just before is started again.
    pub(super) async fn ask_child<'a>(
        self: &Arc<Self>,
        ask: impl Fn(u64) -> Ask<'a>,
        caller: &Caller,
    ) -> Result<Calling, Failed> {
        for _ in 0..2 {
            let Some(child) = self.link.child().await? else { break };
            let Some(revision) = child.revision() else { break };
            let id = child.next_id();
            let body = ask(id).sealed(revision, &caller.capabilities).body;
            if let Some(reply) = child.request(body, id, self.large(caller.share())).await? {
                return Ok(Calling::new(self, None, Reply::Child(reply), id));
            }
        }
        Err(failed("the upstream failed"))
    }
}

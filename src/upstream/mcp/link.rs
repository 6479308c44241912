//! What lies between the gateway and an MCP server: HTTP, or the pipes of a process that the gateway runs.

use super::{
    Calling, Failed, Server,
    stdio::{self, Children},
    wire::{self, Said, failed},
};
use crate::{mcp::envelope::Ask, upstream::Upstream};
use std::sync::Arc;

#[derive(Debug)]
pub(super) enum Link {
    Http(Upstream),
    Child(Arc<Children>),
}

/// An answer on its way in. Dropping it before its end cancels the request.
#[derive(Debug)]
pub(super) enum Reply {
    Http(wire::Reply),
    Child(stdio::Reply),
}

impl Link {
    /// A text without the gateway's own credentials.
    pub(super) fn conceal(&self, text: String) -> String {
        match self {
            Self::Http(upstream) => upstream.conceal(text),
            Self::Child(children) => children.conceal(text),
        }
    }

    /// Closes what idled for too long.
    pub(super) fn sweep(&self) {
        match self {
            Self::Http(upstream) => upstream.sweep(),
            Self::Child(children) => children.sweep(),
        }
    }

    /// Takes over the processes of another, if they are the same.
    pub(super) fn take_over(&mut self, other: &Self) {
        if let (Self::Child(mine), Self::Child(theirs)) = (self, other)
            && mine.is_same(theirs)
        {
            *mine = Arc::clone(theirs);
        }
    }
}

impl Reply {
    /// What the server says next. The answer to the request is the last of it.
    pub(super) async fn next(&mut self) -> Result<Said, Failed> {
        match self {
            Self::Http(reply) => reply.next().await,
            Self::Child(reply) => reply.next().await,
        }
    }
}

impl Server {
    /// Asks the tenant's process. One that was stopped just before is started again.
    pub(super) async fn ask_child<'a>(
        &self,
        children: &Arc<Children>,
        tenant: &Arc<str>,
        ask: impl Fn(u64) -> Ask<'a>,
    ) -> Result<Calling<'_>, Failed> {
        for _ in 0..2 {
            let child = children.of(tenant).await?;
            let Some(revision) = child.revision.get() else { break };
            let id = child.next_id();
            if let Some(reply) = child.request(ask(id).sealed(*revision).body, id).await? {
                return Ok(Calling { server: self, reply: Reply::Child(reply), session: None, number: id });
            }
        }
        Err(failed("the upstream failed"))
    }
}

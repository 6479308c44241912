//! Who may speak to the API of a tool or a store at all, before it is known what is asked of it.

use super::{Findings, Permit, decide, tool_call::may_reach};
use crate::{
    asked::Asked,
    call::{Arguments, Place},
    policy::Outcome,
};
use bytes::Bytes;

/// The tenant reaches this upstream: leave to ask it what has to be known before a call can be decided, which tells
/// nothing to the client.
#[derive(Debug)]
#[must_use]
pub struct Reach(());

impl Reach {
    /// Leave to ask this.
    pub fn asks(&self, body: Bytes) -> Permit {
        Permit { body }
    }
}

/// Leave to be told of collections, which nobody decides on one by one.
#[derive(Debug)]
#[must_use]
pub struct Description(());

impl Description {
    /// Leave to ask this.
    pub fn body(&self, made: Bytes) -> Permit {
        Permit { body: made }
    }
}

/// Whether the tenant's rules let it call anything of an upstream. Where they do not, there is no such upstream for it.
pub fn reach(asked: &Asked, upstream: &str) -> Option<Reach> {
    may_reach(asked, &format!("{upstream}__")).then_some(Reach(()))
}

/// Whether some arguments of this tool could pass.
fn sees_over_http(asked: &Asked, tool: &str) -> bool {
    decide(asked, tool, &Arguments::Open, Place::Http).outcome != Outcome::Deny
}

/// Whoever may do something with a store may list and describe its collections.
pub fn describe(asked: &Asked, mut tools: impl Iterator<Item = String>) -> Option<Description> {
    tools.any(|tool| sees_over_http(asked, &tool)).then_some(Description(()))
}

/// Why the tenant may not call a tool, whatever the arguments; on record. `None` where some could pass.
pub fn denied_over_http(asked: &Asked, tool: &str, found: &mut Findings) -> Option<String> {
    let decision = decide(asked, tool, &Arguments::Open, Place::Http);
    if decision.outcome != Outcome::Deny {
        return None;
    }
    found.evidence.extend(asked.evidence(Place::Http, tool, None, &decision));
    found.tools_denied.push(tool.to_owned());
    Some(decision.reason.into_owned())
}

//! May they? The tenant's policy over everything that a request asks for. Only this module makes a `Permit`,
//! and only a permit can be forwarded: what was decided on is what is sent.

use crate::{
    asked::Asked,
    call::{Arguments, Place},
    dialect::openai::{Answered, Offer, Request},
    json::{self, Value},
    policy::{Decision, Outcome, Question},
    records::Entry,
    refusal::Refusal,
};
use bytes::Bytes;

/// Leave to forward this body, and no other.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    body: Bytes,
}

impl Permit {
    /// What may be sent.
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

/// What was decided, whatever came of it: to be recorded.
#[derive(Debug, Default)]
pub struct Findings {
    pub evidence: Vec<Entry>,
    pub tools_denied: Vec<String>,
}

/// What is read and what is sent: the body as it came, as it was parsed, and the name of the model upstream.
#[derive(Debug)]
pub struct Body<'b> {
    pub bytes: &'b Bytes,
    pub parsed: &'b Value<'b>,
    /// The model's name at the upstream, where it is another than the one asked for.
    pub model_as: Option<&'b str>,
}

/// Decides on every tool that a request offers, forces or answers. The model was decided before.
pub fn authorize(
    asked: &Asked,
    request: &Request<'_>,
    body: &Body<'_>,
    found: &mut Findings,
) -> Result<Permit, Refusal> {
    for Answered { tool, text } in &request.answered {
        let args = Arguments::read(text, json::NESTING_MAX);
        let decision = decide(asked, tool, &args, Place::Emitted);
        if decision.outcome == Outcome::Deny {
            return Err(deny(
                asked,
                found,
                tool,
                &decision,
                "the request brings a result for a call that was denied",
            ));
        }
    }
    for tool in &request.forced {
        let decision = decide(asked, tool, &Arguments::Open, Place::Offered);
        if decision.outcome == Outcome::Deny {
            let reason = decision.reason.to_string();
            return Err(deny(asked, found, tool, &decision, &reason));
        }
    }
    let mut keep = Vec::with_capacity(request.offers.len());
    for Offer { tool, args } in &request.offers {
        let decision = decide(asked, tool, args, Place::Offered);
        if !is_repeated(asked, tool, args, &decision) {
            let text = match args {
                Arguments::Known(args) => Some(args.to_string()),
                Arguments::Open | Arguments::Unreadable => None,
            };
            found.evidence.extend(asked.evidence(Place::Offered, tool, text.as_deref(), &decision));
        }
        // Parameters of a tool that the provider runs have to be decided now: a person cannot be asked later.
        let stays = match (decision.outcome, args) {
            (Outcome::Allow, _) | (Outcome::Ask, Arguments::Open) => true,
            (Outcome::Ask | Outcome::Deny, _) => false,
        };
        if !stays || decision.rewritten.is_some() {
            found.tools_denied.push(tool.to_string());
        }
        keep.push(stays && decision.rewritten.is_none());
    }
    Ok(Permit { body: outgoing(body, &keep) })
}

/// Whether the same offer was allowed before, today and under this configuration: then it is on record.
fn is_repeated(asked: &Asked, tool: &str, args: &Arguments<'_>, decision: &Decision<'_>) -> bool {
    let plain = decision.outcome == Outcome::Allow && decision.shadow.is_none() && *args == Arguments::Open;
    plain && !asked.identity.key().offered.is_first(tool, asked.unix_seconds().div_euclid(86_400))
}

fn decide<'a>(asked: &'a Asked, tool: &str, args: &Arguments<'_>, place: Place) -> Decision<'a> {
    let key = asked.identity.key();
    asked.identity.tenant().policy.decide(&Question {
        caller: &key.caller,
        key_tools: key.tools.as_ref(),
        tool,
        args,
        place,
        now: asked.unix_seconds(),
    })
}

fn deny(asked: &Asked, found: &mut Findings, tool: &str, decision: &Decision<'_>, reason: &str) -> Refusal {
    found.evidence.extend(asked.evidence(Place::Offered, tool, None, decision));
    found.tools_denied.push(tool.to_owned());
    Refusal::ToolNotAllowed { tool: tool.to_owned(), reason: reason.to_owned() }
}

/// The body as it came where nothing changed, else written anew from what was decided on.
fn outgoing(body: &Body<'_>, keep: &[bool]) -> Bytes {
    let restricted = keep.iter().any(|keep| !keep);
    if !restricted && body.model_as.is_none() {
        return body.bytes.clone();
    }
    let mut parsed = if restricted { Request::restrict(body.parsed, keep) } else { body.parsed.clone() };
    if let Some(model) = body.model_as {
        parsed.set("model", Value::string(model));
    }
    let mut out = Vec::with_capacity(body.bytes.len());
    json::write(&parsed, &mut out);
    out.into()
}

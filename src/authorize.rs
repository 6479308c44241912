//! May they? The tenant's policy over everything that a request asks for. Only this module makes a `Permit`,
//! and only a permit can be forwarded: what was decided on is what is sent.

mod question;
mod stores;
mod tool_api;
mod tool_call;

pub use question::question;
pub use stores::{FILE_SEARCH, check_stores, stores_of};
pub use tool_api::{Description, Reach, denied_over_http, describe, reach};
pub use tool_call::{Judged, ToolCall, ToolPermit, Waiting, may_reach, may_read, sees, tool_call, unknown};

use crate::{
    asked::Asked,
    call::{Arguments, Place},
    denials::{self, Fate},
    dialect::{self, BUILTIN, DeniedCall, Forced, Kept, Notice, Offer, Request},
    json::{self, Value},
    policy::{Decision, Outcome, Question},
    records::Entry,
    refusal::Refusal,
    stored::Stored,
};
use bytes::Bytes;
use std::collections::HashSet;

/// Leave to forward this body, and no other.
#[derive(Debug, Clone)]
#[must_use]
pub struct Permit {
    body: Bytes,
}

impl Permit {
    /// What may be sent.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Leave to ask for what a provider keeps for the tenant: only what was found to be its own.
    pub fn for_stored(_own: &Stored) -> Self {
        Self { body: Bytes::new() }
    }

    /// The same leave with values covered that the provider does not get to see.
    pub fn covered(self, body: Option<Vec<u8>>) -> Self {
        body.map_or(self, |body| Self { body: body.into() })
    }

    /// The same leave in another dialect.
    pub fn translated(
        &self,
        translate: impl for<'v> FnOnce(&'v Value<'v>) -> Result<Value<'v>, Refusal>,
    ) -> Result<Self, Refusal> {
        let body = json::parse(&self.body, json::NESTING_MAX)
            .map_err(|error| Refusal::invalid(error.to_string(), None))?;
        let mut out = Vec::with_capacity(self.body.len());
        json::write(&translate(&body)?, &mut out);
        Ok(Self { body: out.into() })
    }
}

/// What was decided, whatever came of it: to be recorded.
#[derive(Debug, Default)]
pub struct Findings {
    pub evidence: Vec<Entry>,
    pub tools_denied: Vec<String>,
    /// Tools that stay offered and that calls may name otherwise: those of the provider, and computers.
    pub offered: Vec<String>,
    /// Offers that were allowed, and are on record for today already.
    pub repeated: u64,
    /// Calls whose results the request brings, that a limit or a person could have denied, and of which nothing is known.
    pub unknown: Vec<Brought>,
}

/// A call whose result a request brings.
#[derive(Debug)]
pub struct Brought {
    pub call: denials::Call,
    tool: String,
    /// Its arguments as they were written.
    text: String,
}

impl Brought {
    /// What is recorded and told where it turns out that the call was denied.
    pub fn denied(&self, asked: &Asked) -> (Entry, Refusal) {
        let entry = asked.evidence_of_denial(Place::Emitted, &self.tool, &self.text, WAS_DENIED);
        (entry, Refusal::ToolNotAllowed { tool: self.tool.clone(), reason: WAS_DENIED.to_owned() })
    }

    /// The name of its tool.
    pub fn tool(&self) -> &str {
        &self.tool
    }
}

/// What became of a call that a limit or a person could deny, as far as is remembered.
pub type Remembered<'f> = dyn Fn(&denials::Call) -> Option<Fate> + 'f;

/// What is read and what is sent: the body as it came, as it was parsed, and the name of the model upstream.
#[derive(Debug)]
pub struct Body<'b> {
    pub bytes: &'b Bytes,
    pub parsed: &'b Value<'b>,
    /// The model's name at the upstream, where it is another than the one asked for.
    pub model_as: Option<&'b str>,
    /// Calls in the turn before that the provider waits for, and the client never saw.
    pub denied: &'b [DeniedCall],
    /// Items that the request may name and the provider never had.
    pub notices: &'b [Notice],
}

/// Decides on every tool that a request offers, forces or answers. The model was decided before.
pub fn authorize(
    asked: &Asked,
    request: &Request<'_>,
    body: &Body<'_>,
    remembered: Option<&Remembered<'_>>,
    found: &mut Findings,
) -> Result<Permit, Refusal> {
    check_history(asked, request, body.denied, remembered, found)?;
    for Forced { tool, .. } in &request.forced {
        let decision = decide(asked, tool, &Arguments::Open, Place::Offered);
        if decision.outcome == Outcome::Deny {
            found.evidence.extend(asked.evidence(Place::Offered, tool, None, &decision));
            return Err(refuse(found, tool, &decision.reason));
        }
    }
    let mut kept = Vec::with_capacity(request.offers.len());
    for Offer { tool, args } in &request.offers {
        let decision = decide(asked, tool, args, Place::Offered);
        if is_repeated(asked, tool, args, &decision) {
            found.repeated += 1;
        } else {
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
        // With a shell of the client's beside it, every shell call may be run by the client.
        let ambiguous = tool == "builtin__shell" && request.offers.iter().any(|offer| offer.tool == "shell");
        if !stays {
            found.tools_denied.push(tool.to_string());
        } else if (tool.starts_with("builtin__") && !ambiguous) || *tool == "computer_use_preview" {
            found.offered.push(tool.to_string());
        }
        kept.push(match decision.rewritten {
            _ if !stays => Kept::Out,
            Some(parameters) => Kept::As(parameters),
            None => Kept::AsIs,
        });
    }
    // A forced tool was decided without its parameters; its offers show them, and may all be gone.
    if let Some(forced) = request.forced.iter().find(|forced| is_gone(forced, request, &kept)) {
        return Err(refuse(found, &forced.tool, NOT_SO));
    }
    let listed = listed(asked, request, &kept, found)?;
    Ok(Permit { body: outgoing(request, body, &kept, listed) })
}

const WAS_DENIED: &str = "the request brings a result for a call that was denied; go on without it";
const ABSENT: &str = "the request brings a result for a call that does not stand in it; bring the call too, or go on without it";
const UNCLEAR: &str = "the request brings a result for a call that was not let through as it stands there: its arguments cannot be read; go on without it";

/// Results of calls that were denied: told in the request itself, remembered here, or kept by the provider.
fn check_history(
    asked: &Asked,
    request: &Request<'_>,
    denied: &[DeniedCall],
    remembered: Option<&Remembered<'_>>,
    found: &mut Findings,
) -> Result<(), Refusal> {
    let reason = "the request brings a result for a call that the rules deny; go on without it";
    for answered in &request.answered {
        let tool = &answered.tool;
        // A call that the provider ran was decided on the parameters of its offer, and is as it stays offered.
        let mut offers =
            request.offers.iter().filter(|offer| offer.tool == *tool && tool.starts_with(BUILTIN));
        if offers.any(|offer| decide(asked, tool, &offer.args, Place::Offered).outcome == Outcome::Allow) {
            continue;
        }
        let args = answered.arguments(json::NESTING_MAX);
        let decision = decide(asked, tool, &args, Place::Emitted);
        if decision.outcome == Outcome::Deny {
            found.evidence.extend(asked.evidence(Place::Emitted, tool, Some(&answered.text), &decision));
            return Err(refuse(found, tool, reason));
        }
        let by_name = args == Arguments::Open;
        // What the provider ran is told by its name alone; nobody was asked about it.
        let is_open = by_name && (tool.starts_with(BUILTIN) || !decision.is_accountable());
        if is_open || (remembered.is_none() && !decision.is_accountable()) {
            continue;
        }
        let call = denials::Call::of(answered.id, tool, &args, &answered.text);
        let fate = remembered.filter(|_| !by_name).and_then(|remembered| remembered(&call));
        let why = match (&args, fate) {
            (_, Some(Fate::Denied)) => Some(WAS_DENIED),
            // Whether it is of a call that was denied, nobody can tell.
            (Arguments::Open, _) => Some(ABSENT),
            (Arguments::Unreadable, None) if decision.is_accountable() => Some(UNCLEAR),
            (Arguments::Unreadable | Arguments::Known(_), _) => None,
        };
        if let Some(reason) = why {
            found.evidence.push(asked.evidence_of_denial(Place::Emitted, tool, &answered.text, reason));
            return Err(refuse(found, tool, reason));
        }
        if decision.is_accountable() && fate.is_none() {
            found.unknown.push(Brought {
                call,
                tool: tool.clone().into_owned(),
                text: answered.text.clone().into_owned(),
            });
        }
    }
    let results: HashSet<&str> = request.results.iter().copied().collect();
    match denied.iter().find(|call| results.contains(call.call_id.as_str())) {
        Some(call) => {
            let line = asked.evidence_of_denial(Place::Emitted, &call.tool, "{}", reason);
            found.evidence.push(line);
            Err(refuse(found, &call.tool, reason))
        }
        None => Ok(()),
    }
}

/// Why a choice may not name a tool that is allowed otherwise.
const NOT_SO: &str = "it is not allowed with these parameters";

/// Whether all offers of a tool that a choice names are taken out.
fn is_gone(chosen: &Forced<'_>, request: &Request<'_>, kept: &[Kept]) -> bool {
    let mut offers = request.offers.iter().zip(kept).filter(|(offer, _)| chosen.is(offer)).peekable();
    offers.peek().is_some() && offers.all(|(_, kept)| *kept == Kept::Out)
}

/// Whether an `allowed_tools` choice has to lose some of the tools that it lists. One that must be followed and
/// would lose all is refused, like any choice that forces a denied tool.
fn listed(
    asked: &Asked,
    request: &Request<'_>,
    kept: &[Kept],
    found: &mut Findings,
) -> Result<bool, Refusal> {
    let decision = |chosen: &Forced<'_>| decide(asked, &chosen.tool, &Arguments::Open, Place::Offered);
    let is_lost =
        |chosen: &&Forced<'_>| decision(chosen).outcome == Outcome::Deny || is_gone(chosen, request, kept);
    let lost = request.listed.tools.iter().filter(is_lost).count();
    match request.listed.tools.first() {
        Some(chosen) if request.listed.required && lost == request.listed.tools.len() => {
            let (tool, decision) = (&chosen.tool, decision(chosen));
            if decision.outcome != Outcome::Deny {
                // Its offers were, each on its parameters.
                return Err(refuse(found, tool, NOT_SO));
            }
            found.evidence.extend(asked.evidence(Place::Offered, tool, None, &decision));
            Err(refuse(found, tool, &decision.reason))
        }
        Some(_) | None => Ok(lost > 0),
    }
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

fn refuse(found: &mut Findings, tool: &str, reason: &str) -> Refusal {
    found.tools_denied.push(tool.to_owned());
    Refusal::ToolNotAllowed { tool: tool.to_owned(), reason: reason.to_owned() }
}

/// The body as it came where nothing changed, else written anew from what was decided on.
fn outgoing(request: &Request<'_>, body: &Body<'_>, kept: &[Kept], choice_changes: bool) -> Bytes {
    let restricted = choice_changes || kept.iter().any(|kept| *kept != Kept::AsIs);
    let open: Vec<DeniedCall> = body.denied.iter().filter(|call| call.open).cloned().collect();
    let history = !open.is_empty() || !body.notices.is_empty();
    // A moderation need not name its model: what was decided on is what is sent.
    let unnamed = body.parsed.present("model").is_none();
    let model_as = body.model_as.or(if unnamed { Some(request.model) } else { None });
    let as_it_came = !restricted && model_as.is_none() && !history;
    if as_it_came && !request.usage_unasked {
        return body.bytes.clone();
    }
    if as_it_came
        && body.parsed.get("stream_options").is_none()
        && let Some(bytes) = dialect::openai::with_usage(body.bytes)
    {
        return bytes;
    }
    let mut parsed =
        if restricted { dialect::restrict(request.api, body.parsed, kept) } else { body.parsed.clone() };
    if let Some(model) = model_as {
        parsed.set("model", Value::string(model));
    }
    if request.usage_unasked {
        dialect::openai::ask_for_usage(&mut parsed);
    }
    dialect::responses::spell_out(&mut parsed, body.notices);
    if !open.is_empty() {
        dialect::responses::answer_denied(&mut parsed, &open);
    }
    let mut out = Vec::with_capacity(body.bytes.len());
    json::write(&parsed, &mut out);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        asked::fixture::{asked, decisions},
        dialect::{Api, understand},
        tenant::OnDeny,
    };
    use serde_json::json;

    /// What is sent of a request, or why not, with the decisions on record and the tools that were denied.
    type Authorized = (Result<Bytes, Refusal>, Vec<(&'static str, &'static str)>, Vec<String>);

    fn authorized(body: &serde_json::Value, model_as: Option<&str>) -> Authorized {
        let bytes = Bytes::from(body.to_string());
        let parsed = json::parse(&bytes, 32).unwrap();
        let request = understand(Api::Chat, &parsed).unwrap();
        let mut found = Findings::default();
        let body = Body { bytes: &bytes, parsed: &parsed, model_as, denied: &[], notices: &[] };
        let permit = authorize(&asked(OnDeny::Notice), &request, &body, None, &mut found);
        (permit.map(|permit| permit.body().clone()), decisions(&found.evidence), found.tools_denied)
    }

    fn function(name: &str) -> serde_json::Value {
        json!({ "type": "function", "function": { "name": name } })
    }

    fn search(store: &str) -> serde_json::Value {
        json!({ "type": "file_search", "store": store })
    }

    #[track_caller]
    fn sends(body: &serde_json::Value, expected: &serde_json::Value, denied: &[&str]) {
        let (sent, _, tools_denied) = authorized(body, None);
        assert_eq!(sent.unwrap(), expected.to_string(), "{body}");
        assert_eq!(tools_denied, denied, "{body}");
    }

    #[track_caller]
    fn refuses(body: &serde_json::Value, denied: &str) {
        let (sent, decisions, tools_denied) = authorized(body, None);
        match sent.unwrap_err() {
            Refusal::ToolNotAllowed { tool, .. } => assert_eq!(tool, denied, "{body}"),
            other => panic!("{other:?} for {body}"),
        }
        assert!(tools_denied.contains(&denied.to_owned()) && !decisions.is_empty(), "{body}");
    }

    #[test]
    fn what_is_allowed_is_sent_as_it_came_but_for_the_model() {
        let body = json!({ "model": "fast", "tools": [function("get")], "seed": 1.50 });
        sends(&body, &body, &[]);
        let (sent, decisions, denied) = authorized(&body, Some("llama-4"));
        let expected = json!({ "model": "llama-4", "tools": [function("get")], "seed": 1.50 });
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&sent.unwrap()).unwrap(), expected);
        assert_eq!((decisions, denied.len()), (vec![("offered", "allow")], 0));
    }

    #[test]
    fn what_is_denied_is_not_offered() {
        let offers = |tools: &[serde_json::Value]| json!({ "model": "m", "tools": tools });
        sends(&offers(&[function("get"), function("delete")]), &offers(&[function("get")]), &["delete"]);
        sends(&offers(&[function("delete")]), &json!({ "model": "m" }), &["delete"]);
        // A person can still be asked when the model calls it; a search of the provider's is never seen again.
        sends(&offers(&[function("pay"), search("acme")]), &offers(&[function("pay"), search("acme")]), &[]);
        let builtin = "builtin__file_search";
        sends(&offers(&[function("get"), search("globex")]), &offers(&[function("get")]), &[builtin]);
    }

    #[test]
    fn what_is_forced_or_answered_is_refused_where_it_is_denied() {
        let tools = json!([function("get"), search("globex")]);
        refuses(&json!({ "model": "m", "tools": tools, "tool_choice": function("delete") }), "delete");
        refuses(&json!({ "model": "m", "function_call": { "name": "delete" } }), "delete");
        let search = json!({ "type": "file_search" });
        refuses(&json!({ "model": "m", "tools": tools, "tool_choice": search }), "builtin__file_search");
        let answered = |name: &str| {
            let call = json!({ "id": "a", "function": { "name": name, "arguments": "{}" } });
            let result = json!({ "role": "tool", "tool_call_id": "a" });
            json!({ "model": "m", "messages": [{ "role": "assistant", "tool_calls": [call] }, result] })
        };
        refuses(&answered("delete"), "delete");
        assert!(authorized(&answered("pay"), None).0.is_ok(), "a person may have approved it");
        assert!(authorized(&answered("get"), None).0.is_ok());
    }

    #[test]
    fn a_choice_of_which_every_offer_is_denied_is_refused() {
        let store = |label: &str, store: &str| json!({ "type": "file_search", "server_label": label, "store": store });
        let chosen = |label: &str| json!({ "type": "file_search", "server_label": label });
        let tools = json!([store("ours", "acme"), store("theirs", "globex")]);
        let denied = "builtin__file_search";
        refuses(&json!({ "model": "m", "tools": tools, "tool_choice": chosen("theirs") }), denied);
        let listed = |mode: &str, tools: serde_json::Value| json!({ "type": "allowed_tools", "allowed_tools": { "mode": mode, "tools": tools } });
        let body = |choice: serde_json::Value| json!({ "model": "m", "tools": tools, "tool_choice": choice });
        let sent = authorized(&body(listed("required", json!([chosen("theirs")]))), None).0;
        assert!(matches!(sent, Err(Refusal::ToolNotAllowed { tool, .. }) if tool == denied));
        let left = |choice| json!({ "model": "m", "tools": [tools[0]], "tool_choice": choice });
        let both = listed("required", json!([chosen("theirs"), chosen("ours")]));
        sends(&body(both), &left(listed("required", json!([chosen("ours")]))), &[denied]);
        sends(&body(listed("auto", json!([chosen("theirs")]))), &left(json!("none")), &[denied]);
    }

    #[test]
    fn a_moderation_that_names_no_model_is_one_of_the_default_and_sent_as_such() {
        let sent = |body: serde_json::Value, model_as| {
            let bytes = Bytes::from(body.to_string());
            let parsed = json::parse(&bytes, 32).unwrap();
            let request = understand(Api::Moderations, &parsed).unwrap();
            let asked_for = request.model.to_owned();
            let mut found = Findings::default();
            let body = Body { bytes: &bytes, parsed: &parsed, model_as, denied: &[], notices: &[] };
            let permit = authorize(&asked(OnDeny::Notice), &request, &body, None, &mut found).unwrap();
            let sent: serde_json::Value = serde_json::from_slice(permit.body()).unwrap();
            (asked_for, sent["model"].as_str().unwrap().to_owned())
        };
        let default = ("omni-moderation-latest".to_owned(), "omni-moderation-latest".to_owned());
        assert_eq!(sent(json!({ "input": "x" }), None), default);
        assert_eq!(sent(json!({ "input": "x", "model": null }), None), default);
        assert_eq!(sent(json!({ "input": "x" }), Some("other")), (default.0, "other".to_owned()));
        let named = ("m".to_owned(), "m".to_owned());
        assert_eq!(sent(json!({ "input": "x", "model": "m" }), None), named);
        let unnamed = json::parse(b"{\"input\":\"x\"}", 32).unwrap();
        assert!(understand(Api::Embeddings, &unnamed).is_err());
    }

    #[test]
    fn with_two_shells_offered_every_shell_call_is_the_clients() {
        let offered = |tools: serde_json::Value| {
            let bytes = Bytes::from(json!({ "model": "m", "input": "x", "tools": tools }).to_string());
            let parsed = json::parse(&bytes, 32).unwrap();
            let request = understand(Api::Responses, &parsed).unwrap();
            let mut found = Findings::default();
            let body = Body { bytes: &bytes, parsed: &parsed, model_as: None, denied: &[], notices: &[] };
            drop(authorize(&asked(OnDeny::Notice), &request, &body, None, &mut found));
            (found.offered, found.tools_denied)
        };
        let hosted = json!({ "type": "shell", "environment": { "type": "container_auto" } });
        let (here, local) =
            (json!({ "type": "shell" }), json!({ "type": "shell", "environment": { "type": "local" } }));
        assert_eq!(offered(json!([hosted])).0, ["builtin__shell"]);
        for own in [here, local] {
            let (offered, denied) = offered(json!([own, hosted]));
            assert!(offered.is_empty() && denied == ["shell"], "{offered:?} {denied:?}");
        }
    }
}

//! May they call this tool, with these arguments? A `tools/call` of a client's, or a prompt or a resource that it asks
//! for: decided, counted, put before a person, and on record. What it gives leave to send is made here, of what was decided on.

use super::{Findings, Permit, decide};
use crate::{
    approvals::Ruling,
    asked::{Asked, Upshot, told_of, told_of_limit},
    call::{Arguments, Place},
    json::Value,
    mcp::act::Act,
    policy::{Decision, Effect, Mode, Outcome, Source},
};
use bytes::Bytes;
use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Leave to call this tool of a server with these arguments, and no others; or to ask for this prompt or resource.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ToolPermit {
    act: Act,
    tool: Box<str>,
    arguments: Bytes,
}

impl ToolPermit {
    /// What may be asked for.
    pub fn act(&self) -> Act {
        self.act
    }

    /// The tool, the prompt or the resource, under its server's name for it.
    pub fn tool(&self) -> &str {
        &self.tool
    }

    /// Its arguments, as JSON.
    pub fn arguments(&self) -> &Bytes {
        &self.arguments
    }

    /// Leave to send this to the tool's API, which was made of the arguments.
    pub fn body(&self, made: Bytes) -> Permit {
        Permit { body: made }
    }
}

/// A call as a client asks for it.
#[derive(Debug)]
pub struct ToolCall<'c> {
    pub act: Act,
    /// Where it met the gateway.
    pub place: Place,
    /// The name that rules and records have for it: `SERVER__tool`.
    pub name: &'c str,
    /// The server's own.
    pub tool: &'c str,
    pub arguments: &'c Value<'c>,
    /// Longer arguments are denied, in bytes.
    pub arguments_max: usize,
    /// For so many calls it counts: a batch of searches is as many.
    pub count: NonZeroU32,
}

/// What comes of a call.
#[derive(Debug)]
pub enum Judged {
    Denied {
        reason: String,
        /// Where a rule's limit is used up: after so long there is another call.
        wait: Option<Duration>,
    },
    Permitted(ToolPermit),
    /// A person has to decide on it.
    Waits(Waiting),
}

/// A call that a person has to decide on. The leave that it holds is given out by `ruled` alone.
#[derive(Debug)]
pub struct Waiting {
    pub tool: String,
    place: Place,
    /// Its arguments as the client sent them, and as it would run.
    pub asked_args: String,
    pub args: String,
    pub rule: Arc<str>,
    pub rule_text: String,
    pub reason: Arc<str>,
    pub within: Duration,
    permit: ToolPermit,
}

/// Whether a tenant sees a tool: whether some arguments could pass.
pub fn sees(asked: &Asked, name: &str) -> bool {
    decide(asked, name, &Arguments::Open, Place::Mcp).outcome != Outcome::Deny
}

/// Whether a tenant may read this resource just now, without asking anybody. Not on record: nothing is read.
pub fn may_read(asked: &Asked, name: &str, uri: &str) -> bool {
    let args = Arguments::of(Value::object([("uri", Value::string(uri))]));
    decide(asked, name, &args, Place::Mcp).outcome == Outcome::Allow
}

/// Whether a tenant's rules let it call any tool whose name begins so. Where they do not, there is no such server for it.
pub fn may_reach(asked: &Asked, prefix: &str) -> bool {
    let rules = asked.identity.tenant().policy.rules();
    let enforced = || rules.iter().filter(|rule| rule.mode == Mode::Enforce);
    let denied = enforced().any(|rule| {
        let plain = rule.when.is_none() && rule.args.is_empty();
        rule.effect == Effect::Deny && plain && rule.tools.covers(prefix)
    });
    let mut grants = enforced().filter(|rule| rule.effect != Effect::Deny);
    let key = asked.identity.key().tools.as_ref();
    !denied
        && grants.any(|rule| rule.tools.may_reach(prefix))
        && key.is_none_or(|tools| tools.may_reach(prefix))
}

/// Decides a call of a tool that the tenant sees.
pub fn tool_call(asked: &Asked, call: &ToolCall<'_>, found: &mut Findings) -> Judged {
    let text = call.arguments.to_string();
    if text.len() > call.arguments_max {
        let reason = "its arguments are too long".to_owned();
        found.evidence.push(asked.evidence_of_denial(call.place, call.name, "{}", &reason));
        return deny(call, reason, found);
    }
    let args = Arguments::of(call.arguments.clone());
    let decision = decide(asked, call.name, &args, call.place);
    if decision.outcome == Outcome::Deny {
        found.evidence.extend(asked.evidence(call.place, call.name, Some(&text), &decision));
        return deny(call, decision.reason.into_owned(), found);
    }
    if call.act == Act::ReadResource && decision.rewritten.is_some() {
        let reason = "a rule sets its arguments, and a resource takes none".to_owned();
        found.evidence.push(asked.evidence_of_denial(call.place, call.name, &text, &reason));
        return deny(call, reason, found);
    }
    if let Some((rule, reason, wait)) = beyond(asked, call.count, &decision) {
        let upshot =
            Upshot { outcome: Outcome::Deny, by: None, rule: Some(rule), reason: &reason, time: asked.time };
        found.evidence.push(asked.evidence_of_upshot(call.place, call.name, &text, upshot));
        found.tools_denied.push(call.name.to_owned());
        return Judged::Denied { reason, wait: Some(wait) };
    }
    found.evidence.extend(asked.evidence(call.place, call.name, Some(&text), &decision));
    let args = decision.rewritten.as_ref().map_or_else(|| text.clone(), ToString::to_string);
    let permit = ToolPermit { act: call.act, tool: call.tool.into(), arguments: args.clone().into() };
    if decision.outcome == Outcome::Allow {
        return Judged::Permitted(permit);
    }
    Judged::Waits(Waiting {
        tool: call.name.to_owned(),
        place: call.place,
        asked_args: text,
        args,
        rule: decision.source().map_or_else(|| "".into(), Source::shared),
        rule_text: decision.rule.map(ToString::to_string).unwrap_or_default(),
        reason: (&*decision.reason).into(),
        within: decision.within.unwrap_or_default(),
        permit,
    })
}

impl Waiting {
    /// What came of asking a person; else why it is denied.
    pub fn ruled(
        self,
        asked: &Asked,
        ruling: Ruling,
        time: SystemTime,
        found: &mut Findings,
    ) -> Result<ToolPermit, String> {
        let (outcome, by, reason) = told_of(ruling, self.within);
        let upshot = Upshot { outcome, by, rule: Some(self.rule), reason: &reason, time };
        found.evidence.push(asked.evidence_of_upshot(self.place, &self.tool, &self.asked_args, upshot));
        if outcome == Outcome::Allow {
            return Ok(self.permit);
        }
        found.tools_denied.push(self.tool);
        Err(reason.into_owned())
    }
}

fn deny(call: &ToolCall<'_>, reason: String, found: &mut Findings) -> Judged {
    found.tools_denied.push(call.name.to_owned());
    Judged::Denied { reason, wait: None }
}

/// The rule whose limit a call is beyond, and what is told of it.
fn beyond(asked: &Asked, count: NonZeroU32, decision: &Decision<'_>) -> Option<(Arc<str>, String, Duration)> {
    let quota = &asked.identity.tenant().quota;
    let limits = decision.limits.iter().filter_map(|rule| Some((rule, rule.limit.as_ref()?)));
    limits.into_iter().find_map(|(rule, limit)| {
        let wait = quota.calls(limit, count).err()?;
        let told = if count > limit.rate.burst {
            format!("it is {count} calls at once, and its limit of {} never lets through as many", limit.rate)
        } else {
            told_of_limit(limit, wait)
        };
        Some((rule.source.shared(), told, wait))
    })
}

/// Records that a client asked for what its tenant does not see, or what is not there: `why` is for the records alone.
pub fn unknown(asked: &Asked, name: &str, arguments: Option<&Value<'_>>, why: &str, found: &mut Findings) {
    let text = arguments.map(ToString::to_string);
    let decision = decide(asked, name, &Arguments::Open, Place::Mcp);
    if decision.outcome == Outcome::Deny {
        found.evidence.extend(asked.evidence(Place::Mcp, name, text.as_deref(), &decision));
    } else {
        let args = text.as_deref().unwrap_or("{}");
        found.evidence.push(asked.evidence_of_denial(Place::Mcp, name, args, why));
    }
    found.tools_denied.push(name.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        asked::fixture::{asked, decisions},
        json,
        tenant::OnDeny,
    };

    fn judged(asked: &Asked, tool: &str, arguments: &str) -> (Judged, Findings) {
        judged_as(Act::CallTool, asked, tool, arguments)
    }

    fn judged_as(act: Act, asked: &Asked, tool: &str, arguments: &str) -> (Judged, Findings) {
        let arguments = json::parse(arguments.as_bytes(), 16).unwrap();
        let mut found = Findings::default();
        let call = ToolCall {
            act,
            place: Place::Mcp,
            name: tool,
            tool: "own",
            arguments: &arguments,
            arguments_max: 40,
            count: NonZeroU32::MIN,
        };
        (tool_call(asked, &call, &mut found), found)
    }

    #[test]
    fn what_was_decided_on_is_what_is_sent() {
        let asked = asked(OnDeny::Notice);
        let (Judged::Permitted(permit), found) = judged(&asked, "get_x", r#"{"a" : 1.50}"#) else { panic!() };
        assert_eq!((permit.tool(), &**permit.arguments()), ("own", &br#"{"a":1.50}"#[..]));
        assert_eq!(decisions(&found.evidence), [("mcp", "allow")]);
        let (Judged::Permitted(permit), _) = judged(&asked, "kb__q", r#"{"tenant":"globex"}"#) else {
            panic!()
        };
        assert_eq!(&**permit.arguments(), br#"{"tenant":"acme"}"#);
    }

    #[test]
    fn what_is_denied_says_why() {
        let asked = asked(OnDeny::Error);
        let check = |tool: &str, arguments: &str, expected: &str| {
            let (judged, found) = judged(&asked, tool, arguments);
            let Judged::Denied { reason, .. } = judged else { panic!("{judged:?}") };
            assert_eq!(reason, expected);
            assert_eq!(decisions(&found.evidence), [("mcp", "deny")]);
            assert_eq!(found.tools_denied, [tool]);
        };
        check("delete_x", "{}", "Ask support.");
        check("get_x", r#"{"a":"0123456789012345678901234567890123456789"}"#, "its arguments are too long");
        for _ in 0..2 {
            assert!(matches!(judged(&asked, "mail", "{}").0, Judged::Permitted(_)));
        }
        let (Judged::Denied { reason, wait: Some(_) }, _) = judged(&asked, "mail", "{}") else { panic!() };
        assert!(reason.starts_with("its limit of 2/hour is used up"), "{reason}");
    }

    #[test]
    fn what_is_sent_is_what_was_asked_for() {
        let asked = asked(OnDeny::Notice);
        for act in [Act::CallTool, Act::GetPrompt, Act::ReadResource] {
            let (Judged::Permitted(permit), _) = judged_as(act, &asked, "get_x", "{}") else { panic!() };
            assert_eq!(permit.act(), act);
        }
        let (Judged::Permitted(permit), _) = judged_as(Act::GetPrompt, &asked, "kb__prompt__q", "{}") else {
            panic!()
        };
        assert_eq!(&**permit.arguments(), br#"{"tenant":"acme"}"#);
        // A resource has no arguments that a value could be forced into.
        let (Judged::Denied { reason, .. }, found) =
            judged_as(Act::ReadResource, &asked, "kb__resource__q", "{}")
        else {
            panic!()
        };
        assert_eq!(reason, "a rule sets its arguments, and a resource takes none");
        assert_eq!(
            (decisions(&found.evidence), found.tools_denied),
            (vec![("mcp", "deny")], vec!["kb__resource__q".to_owned()])
        );
    }

    #[test]
    fn a_person_gives_leave_or_does_not() {
        let asked = asked(OnDeny::Notice);
        for (ruling, permitted, outcome) in [
            (Ruling::Approved { by: "ada".into() }, true, "allow"),
            (Ruling::Denied { by: "ada".into() }, false, "deny"),
            (Ruling::Expired, false, "deny"),
            (Ruling::Full, false, "deny"),
        ] {
            let (Judged::Waits(waiting), mut found) = judged(&asked, "pay", r#"{"n":1}"#) else { panic!() };
            let permit = waiting.ruled(&asked, ruling, SystemTime::UNIX_EPOCH, &mut found);
            assert_eq!(permit.is_ok(), permitted);
            assert_eq!(decisions(&found.evidence), [("mcp", "ask"), ("mcp", outcome)]);
        }
    }

    #[test]
    fn who_reaches_a_server() {
        let asked = asked(OnDeny::Notice);
        for (prefix, reached) in [("kb__", true), ("getter__", true), ("delete__", false), ("crm__", false)] {
            assert_eq!(may_reach(&asked, prefix), reached, "{prefix}");
        }
        assert!(sees(&asked, "kb__q") && sees(&asked, "pay") && !sees(&asked, "delete_x"));
    }
}

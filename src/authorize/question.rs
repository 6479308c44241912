//! May a server ask this of the tenant's client? To rules it is a call of `SERVER__sampling`, `SERVER__elicitation` or
//! `SERVER__roots` whose arguments are what is asked.

use super::{
    Findings,
    tool_call::{Judged, ToolCall, tool_call},
};
use crate::{
    asked::{Asked, Upshot},
    call::Place,
    json::Value,
    mcp::act::Act,
    policy::Outcome,
};
use bytes::Bytes;
use std::num::NonZeroU32;

const NOBODY_TO_ASK: &str = "what a server asks of a client cannot wait for a person";

/// What the client is asked, as JSON: as the server asked it, or as `set` makes it. Else why it is not asked.
pub fn question(
    asked: &Asked,
    name: &str,
    params: &Value<'_>,
    params_max: usize,
    found: &mut Findings,
) -> Result<Bytes, String> {
    let call = ToolCall {
        act: Act::CallTool,
        place: Place::Mcp,
        name,
        tool: name,
        arguments: params,
        arguments_max: params_max,
        count: NonZeroU32::MIN,
    };
    match tool_call(asked, &call, found) {
        Judged::Permitted(permit) => Ok(permit.arguments().clone()),
        Judged::Denied { reason, .. } => Err(reason),
        Judged::Waits(waiting) => {
            let reason = NOBODY_TO_ASK;
            let (outcome, time) = (Outcome::Deny, asked.time);
            let upshot = Upshot { outcome, by: None, rule: Some(waiting.rule), reason, time };
            found.evidence.push(asked.evidence_of_upshot(Place::Mcp, name, &waiting.asked_args, upshot));
            found.tools_denied.push(name.to_owned());
            Err(reason.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        asked::fixture::{asked, decisions},
        json,
        tenant::OnDeny,
    };

    #[test]
    fn a_question_is_decided_like_a_call() {
        let asked = asked(OnDeny::Notice);
        let check = |name: &str, expected: Result<&str, &str>, on_record: &[(&str, &str)]| {
            let params = json::parse(br#"{"tenant":"globex"}"#, 8).unwrap();
            let mut found = Findings::default();
            let judged = question(&asked, name, &params, 100, &mut found);
            let judged = judged.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
            assert_eq!(judged, expected.map(Into::into).map_err(Into::into), "{name}");
            assert_eq!(decisions(&found.evidence), on_record);
            assert_eq!(found.tools_denied.len(), usize::from(expected.is_err()));
        };
        check("get_sampling", Ok(r#"{"tenant":"globex"}"#), &[("mcp", "allow")]);
        check("kb__sampling", Ok(r#"{"tenant":"acme"}"#), &[("mcp", "allow")]);
        check("delete_x", Err("Ask support."), &[("mcp", "deny")]);
        check("pay", Err(NOBODY_TO_ASK), &[("mcp", "ask"), ("mcp", "deny")]);
    }
}

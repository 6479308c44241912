//! What tests of requests share in all dialects: a body understood, what it offers, what is left of it.

use crate::{
    call::Arguments,
    dialect::{Api, Kept, Request, restrict, understand},
    json,
    refusal::Refusal,
};
use serde_json::Value;

/// Understands a request of these members beside others.
pub(in crate::dialect) fn with<T>(
    api: Api,
    beside: &Value,
    members: &Value,
    read: impl FnOnce(Result<Request<'_>, Refusal>) -> T,
) -> T {
    let mut body = beside.clone();
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let text = body.to_string();
    read(understand(api, &json::parse(text.as_bytes(), 32).unwrap()))
}

/// The tools that a request offers, and the parameters of those that the provider runs.
pub(in crate::dialect) fn offered(request: &Request<'_>) -> Vec<(String, Option<Value>)> {
    let args = |args: &Arguments<'_>| match args {
        Arguments::Known(args) => Some(serde_json::from_str(&args.to_string()).unwrap()),
        Arguments::Open => None,
        Arguments::Unreadable => panic!("what is offered is readable"),
    };
    request.offers.iter().map(|offer| (offer.tool.to_string(), args(&offer.args))).collect()
}

#[track_caller]
pub(in crate::dialect) fn are(
    found: &[(String, Option<Value>)],
    expected: &[(&str, Option<Value>)],
    members: &Value,
) {
    let expected: Vec<_> = expected.iter().map(|(tool, args)| ((*tool).to_owned(), args.clone())).collect();
    assert_eq!(found, expected, "{members}");
}

/// Which offers stay as they are.
pub(in crate::dialect) fn kept(keep: &[bool]) -> Vec<Kept> {
    keep.iter().map(|keep| if *keep { Kept::AsIs } else { Kept::Out }).collect()
}

/// What is left of a body.
pub(in crate::dialect) fn restricted(api: Api, body: &Value, kept: &[Kept]) -> Value {
    let text = body.to_string();
    let parsed = json::parse(text.as_bytes(), 32).unwrap();
    serde_json::from_str(&restrict(api, &parsed, kept).to_string()).unwrap()
}

//! What is read is what is written again, and nothing that two servers could read differently is read at all.

use super::{
    Request,
    operation::{Call, Operation, Operations},
};
use crate::{
    json::{self, Value},
    refusal::Refusal,
};
use http::Method;
use proptest::prelude::*;

fn read(method: &Method, path: &str, query: Option<&str>) -> Result<Request<'static>, Refusal> {
    Request::read(method, path, query, None)
}

#[test]
fn paths_that_servers_read_differently_are_refused() {
    for path in [
        "a//b",
        "/a/",
        "a/../b",
        "a/..",
        "a/.",
        "a/%2e%2e/b",
        "a/%2E./b",
        "a/b%2fc",
        "a/b%5cc",
        "a/b\\c",
        "a/b;v=1",
        "a/%00",
        "a/%0d%0a",
        "a/%",
        "a/%zz",
        "a/%+1",
        "a/%ff",
        "a/%252e%252e",
        "a/%3bx",
    ] {
        let refusal = read(&Method::GET, path, None).unwrap_err();
        assert_eq!((refusal.status(), refusal.param()), (400, Some("path")), "{path}");
    }
    for query in ["a=1&a=2", "a=1;b=2", "a=%", "=1", "a=%00", "%61=1&a=2", "a=%ff", "a%0a=1"] {
        let refusal = read(&Method::GET, "a", Some(query)).unwrap_err();
        assert_eq!((refusal.status(), refusal.param()), (400, Some("query")), "{query}");
    }
    assert!(read(&Method::GET, &"a/".repeat(5000), None).is_err());
    for method in [Method::CONNECT, Method::TRACE, Method::OPTIONS] {
        assert_eq!(read(&method, "a", None), Err(Refusal::MethodNotAllowed));
    }
}

#[test]
fn what_is_sent_is_written_anew() {
    let check = |path: &str, query: Option<&str>, expected: &str| {
        assert_eq!(read(&Method::GET, path, query).unwrap().target(), expected);
    };
    check("", None, "/");
    check("/", Some(""), "/");
    check("/a/%7Eb/c+d/%61", None, "/a/~b/c%2Bd/a");
    check("a/ü", Some("b=1+2&c=%2B&d"), "/a/%C3%BC?b=1%202&c=%2B&d=");
    check("a@b/c:d", Some("x[]=1"), "/a%40b/c%3Ad?x%5B%5D=1");
}

proptest! {
    #[test]
    fn what_is_written_reads_as_it_was_read(path in "[ -~]{0,30}", query in "[ -~]{0,30}") {
        if let Ok(request) = read(&Method::GET, &path, Some(&query)) {
            let target = request.target();
            let (path, query) = target.split_once('?').map_or((target.as_str(), None), |(path, query)| (path, Some(query)));
            let again = read(&Method::GET, path, query).unwrap();
            prop_assert_eq!(&again, &request);
            prop_assert_eq!(again.target(), target);
        }
    }
}

fn operations() -> Operations {
    let parse = |(name, text)| Operation::parse(name, text).unwrap();
    let all = [
        ("get", "GET /invoices/{id}"),
        ("latest", "GET /invoices/latest"),
        ("refund", "POST /refunds"),
        ("line", "PUT /invoices/{id}/lines/{line}"),
        ("drop", "DELETE /invoices/{id}"),
        ("root", "GET /"),
    ];
    Operations::new(all.map(parse).into())
}

fn call<'b>(method: &Method, path: &str, query: &str, body: &'b str) -> Result<Option<Call<'b>>, Refusal> {
    let body = super::body(body.as_bytes(), 32)?;
    operations().read(Request::read(method, path, Some(query), body)?)
}

#[test]
fn arguments_are_those_of_path_query_and_body() {
    let check = |method: &Method, path: &str, query: &str, body: &str, expected: (&str, &str)| {
        let call = call(method, path, query, body).unwrap().unwrap();
        assert_eq!((&*call.name, call.arguments.to_string().as_str()), expected, "{method} {path}");
    };
    check(&Method::GET, "invoices/7", "full=1", "", ("get", r#"{"id":"7","full":"1"}"#));
    check(&Method::GET, "invoices/latest", "", "", ("latest", "{}"));
    check(
        &Method::POST,
        "refunds",
        "dry=true",
        r#"{"amount":1.50}"#,
        ("refund", r#"{"dry":"true","amount":1.50}"#),
    );
    check(&Method::GET, "", "", "", ("root", "{}"));
    for (method, path) in [
        (Method::GET, "refunds"),
        (Method::GET, "invoices"),
        (Method::GET, "invoices/7/lines"),
        (Method::HEAD, "invoices/7"),
        (Method::GET, "Invoices/7"),
    ] {
        assert!(call(&method, path, "", "").unwrap().is_none(), "{method} {path}");
    }
    for (query, body) in [("id=8", ""), ("", r#"{"id":8}"#)] {
        let refusal = call(&Method::PUT, "invoices/7/lines/1", query, body).unwrap_err();
        assert_eq!((refusal.status(), refusal.param()), (400, Some("id")));
    }
    assert_eq!(call(&Method::POST, "refunds", "a=1", r#"{"a":1}"#).unwrap_err().param(), Some("a"));
    for body in ["[1]", "1", "{\"a\":1,\"a\":2}", "{", "\"x\""] {
        assert_eq!(call(&Method::POST, "refunds", "", body).unwrap_err().status(), 400, "{body}");
    }
}

#[test]
fn what_was_decided_on_is_what_is_sent() {
    let sent = |method: &Method, path: &str, query: &str, body: &str, decided: &str| {
        let call = call(method, path, query, body).unwrap().unwrap();
        let decided = json::parse(decided.as_bytes(), 32).unwrap().into_owned();
        call.request(&operations(), &decided, &["tenant".to_owned()]).map(|request| {
            let body = request.body.as_ref().map(Value::to_string).unwrap_or_default();
            (request.target(), body)
        })
    };
    let is = |target: &str, body: &str| Ok((target.to_owned(), body.to_owned()));
    let get = |decided: &str| sent(&Method::GET, "invoices/7", "full=1", "", decided);
    assert_eq!(get(r#"{"id":"7","full":"1"}"#), is("/invoices/7?full=1", ""));
    assert_eq!(
        get(r#"{"id":"a b","full":"1","tenant":"acme"}"#),
        is("/invoices/a%20b?full=1&tenant=acme", "")
    );
    assert_eq!(get(r#"{"id":8,"full":true}"#), is("/invoices/8?full=true", ""));
    // What is forced does not stand where the client put it, but where the operation looks for it.
    for body in ["{}", r#"{"tenant":"globex"}"#, r#"{"tenant":"acme"}"#] {
        for method in [Method::GET, Method::DELETE] {
            let decided = r#"{"id":"7","full":"1","tenant":"acme"}"#;
            let expected = is("/invoices/7?full=1&tenant=acme", "{}");
            assert_eq!(sent(&method, "invoices/7", "full=1", body, decided), expected, "{method} {body}");
        }
    }
    let moved = sent(&Method::POST, "refunds", "tenant=x", "", r#"{"tenant":"acme"}"#);
    assert_eq!(moved, is("/refunds", r#"{"tenant":"acme"}"#));
    for decided in [
        r#"{"id":"latest"}"#,
        r#"{"id":".."}"#,
        r#"{"id":"a/b"}"#,
        r#"{"id":"a%2fb"}"#,
        r#"{"id":""}"#,
        r#"{"id":null}"#,
        r#"{"id":["7"]}"#,
        r#"{"id":"7","full":{}}"#,
        r#"{"full":"1"}"#,
    ] {
        assert!(get(decided).is_err(), "{decided}");
    }
    let refund = |body: &str, decided: &str| sent(&Method::POST, "refunds", "dry=1", body, decided);
    assert_eq!(refund("{}", r#"{"dry":"0"}"#), is("/refunds?dry=0", "{}"));
    assert_eq!(refund("", r#"{"dry":"0"}"#), is("/refunds?dry=0", ""));
    assert_eq!(refund("", r#"{"dry":"0","tenant":"acme"}"#), is("/refunds?dry=0", r#"{"tenant":"acme"}"#));
    assert_eq!(refund(r#"{"a":1.50}"#, r#"{"dry":"1","a":1.50}"#), is("/refunds?dry=1", r#"{"a":1.50}"#));
}

#[test]
fn operations_that_cannot_be_told_apart_collide() {
    let parse = |text: &str| Operation::parse("x", text).unwrap();
    assert!(parse("GET /a/{b}").collides(&parse("GET /a/{c}")));
    assert!(!parse("GET /a/{b}").collides(&parse("GET /a/b")));
    assert!(!parse("GET /a/{b}").collides(&parse("PUT /a/{b}")));
    for bad in [
        "GET",
        "GET a",
        "GET /a/{b}.pdf",
        "GET /a//b",
        "GET /a/../b",
        "GET /{a}/{a}",
        "GET /{}",
        "GET /a%20b",
        "GET /a/",
    ] {
        assert!(Operation::parse("x", bad).is_err(), "{bad}");
    }
}

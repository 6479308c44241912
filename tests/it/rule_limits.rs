//! A rule's `limit` on the real binary: what counts for it, and what it goes on from.

use crate::{
    fault::{Upstream, whole},
    support::{ACME, Gateway, chat},
};
use std::io::Write;

const TENANTS: &str = r#"
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    models: ["*"]
    tools:
      - allow: rare
        limit: 1/day
      - allow: [docs__query]
        limit: 4/day
"#;

#[test]
fn a_batch_of_searches_counts_for_as_many() {
    let searched = r#"{"result":[[],[],[]],"status":"ok","time":0.1}"#;
    let upstream =
        Upstream::acting(move |_, socket| socket.write_all(whole(200, searched).as_bytes()).is_ok());
    let docs = format!("  docs: {{ kind: qdrant, url: \"http://127.0.0.1:{}\" }}\n", upstream.port);
    let gateway = Gateway::with_all(TENANTS, &|_| docs.clone(), "", &[]);
    let ask = |count: usize| {
        let searches = vec![r#"{"vector":[0.1,0.2],"limit":1}"#; count].join(",");
        let body = format!(r#"{{"searches":[{searches}]}}"#);
        gateway.post("/tools/docs/collections/c/points/search/batch", ACME, &body)
    };
    let never = ask(5);
    assert!(never.status == 429 && never.body.contains("5 calls at once"), "{never:?}");
    assert_eq!(ask(3).status, 200);
    let beyond = ask(2);
    assert!(beyond.status == 429 && beyond.body.contains("its limit of 4/day is used up"), "{beyond:?}");
    assert!(beyond.header("retry-after").is_some());
    // One is left, and was not taken by what was too much.
    assert_ne!(ask(1).status, 429);
    assert_eq!(ask(1).status, 429);
    assert_eq!(upstream.requests(), 2, "nothing was sent of what was beyond");
}

#[test]
fn a_rule_that_is_for_other_names_now_goes_on_with_its_limit() {
    let gateway = Gateway::with(TENANTS, "");
    let call = |tool: &str| gateway.chat(ACME, &chat(&format!("!call {tool} {{}}"), "")).body;
    let beyond = "its limit of 1/day is used up";
    assert!(!call("rare").contains(beyond));
    assert!(call("rare").contains(beyond));
    let file = gateway.dir.path().join("tollgate.yaml");
    let written = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, written.replace("allow: rare", "allow: [scarce, rare]")).unwrap();
    assert_eq!(gateway.reload().status, 200);
    assert!(call("rare").contains(beyond) && call("scarce").contains(beyond));
    // A configuration that is refused changes nothing.
    std::fs::write(&file, written.replace("allow: rare", "allow: [rare, \"\"]\n        nonsense: 1"))
        .unwrap();
    assert_eq!(gateway.reload().status, 422);
    assert!(call("rare").contains(beyond));
}

//! Files and vector stores that a provider keeps in one account for all tenants, and stores whose requests are lines or
//! lists, behind the real binary.

use crate::{
    support::{ACME, Answer, GLOBEX, Gateway},
    tools::Upstream,
};
use serde_json::{Value, json};
use std::sync::Mutex;

/// What there is in the account, in the order in which it was made.
static ACCOUNT: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// An account of OpenAI's, with pages of two.
fn account(request: &str, body: &str) -> (u16, String, String) {
    let json = |text: String| (200, "content-type: application/json\r\n".to_owned(), text);
    let mut all = ACCOUNT.lock().unwrap();
    let mut parts = request.split(' ');
    let (method, target) = (parts.next().unwrap(), parts.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let segments: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
    match (method, segments.as_slice()) {
        ("POST", [kind @ ("files" | "vector_stores")]) => {
            let id = format!("{}{}", if *kind == "files" { "file-" } else { "vs_" }, all.len());
            all.push(id.clone());
            json(json!({ "id": id, "object": kind, "length": body.len() }).to_string())
        }
        ("GET", [kind @ ("files" | "vector_stores")]) => {
            let front = if *kind == "files" { "file-" } else { "vs_" };
            let after = query.split('&').find_map(|pair| pair.strip_prefix("after="));
            let of_kind: Vec<&String> = all.iter().filter(|id| id.starts_with(front)).collect();
            let from = after.map_or(0, |after| of_kind.iter().position(|id| *id == after).unwrap() + 1);
            let page: Vec<Value> = of_kind.iter().skip(from).take(2).map(|id| json!({ "id": id })).collect();
            let more = of_kind.len() > from + 2;
            json(json!({ "object": "list", "data": page, "has_more": more, "last_id": "raw" }).to_string())
        }
        ("GET", ["files", _, "content"]) => {
            (200, "content-type: application/octet-stream\r\n".to_owned(), "the text".to_owned())
        }
        _ => json(json!({ "id": segments.get(1), "asked": target }).to_string()),
    }
}

const TENANTS: &str = r#"
  acme:
    keys: [{ id: prod, sha256: @ACME@ }, { id: narrow, sha256: 18badb488020952f71672c1e87ad92c69beb966f85af3d892d33d52e2460fe74, models: [gpt-5] }]
    models: [filed, gpt-5]
    tools:
      - allow: builtin__file_search
        set: { filters: { type: eq, key: tenant, value: "{tenant.id}" } }
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    models: [filed, gpt-5]
    tools:
      - allow: builtin__file_search
"#;

fn gateway(account: &Upstream, tenants: &str) -> Gateway {
    let port = account.port;
    let upstreams = format!(
        "  account: {{ kind: openai, url: \"http://127.0.0.1:{port}/v1\", auth: {{ bearer: sk-x }} }}\n"
    );
    Gateway::with_all(tenants, &|_| upstreams.clone(), "  filed: { upstream: account }\n", &[])
}

fn upload(gateway: &Gateway, key: &str) -> Answer {
    let body = "--b\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nassistants\r\n--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nhello\r\n--b--\r\n";
    let length = body.len();
    gateway.raw(&format!("POST /v1/files HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-type: multipart/form-data; boundary=b\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"))
}

fn made(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn ids(answer: &Answer) -> Vec<String> {
    let answer = answer.json();
    let data = answer["data"].as_array().unwrap();
    data.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_the_account_keeps_is_the_tenants_that_made_it() {
    let account = Upstream::start(account);
    let mut gateway = gateway(&account, TENANTS);
    let mine: Vec<String> = (0..3).map(|_| made(&upload(&gateway, ACME))).collect();
    let theirs: Vec<String> = (0..3).map(|_| made(&upload(&gateway, GLOBEX))).collect();
    let again = made(&upload(&gateway, ACME));
    let seen = account.seen();
    assert!(
        seen[0].0.contains("content-type: multipart/form-data; boundary=b") && seen[0].1.contains("hello")
    );
    assert!(seen[0].0.contains("Bearer sk-x") && !seen[0].0.contains(ACME), "{}", seen[0].0);
    let own = [&mine[..], std::slice::from_ref(&again)].concat();
    assert_eq!(ids(&gateway.get("/v1/files", ACME)), own);
    assert_eq!(ids(&gateway.get("/v1/files", GLOBEX)), theirs);
    // A key none of whose models is at the account finds nothing there.
    for path in [format!("/v1/files/{}", mine[0]), format!("/v1/files/{}/content", mine[0])] {
        assert_eq!(gateway.get(&path, "test-key-of-acme-narrow").status, 404, "{path}");
    }
    assert_eq!(gateway.delete(&format!("/v1/files/{}", mine[0]), "test-key-of-acme-narrow").status, 404);
    // Page by page, and told by what was shown.
    let page = gateway.get("/v1/files?limit=2", ACME);
    assert_eq!((ids(&page), page.json()["has_more"].as_bool()), (own[..2].to_vec(), Some(true)));
    let page = gateway.get(&format!("/v1/files?limit=2&after={}", own[1]), ACME);
    assert_eq!((ids(&page), page.json()["has_more"].as_bool()), (own[2..].to_vec(), Some(false)));
    assert_eq!(page.json()["last_id"], json!(again));
    account.seen();
    // Another's id and one that does not exist are told alike, wherever it stands, and nothing is sent.
    let foreign = theirs[0].as_str();
    let told = |id: &str, answer: Answer| {
        assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"), "{id}: {answer:?}");
        answer.json()["error"]["message"].as_str().unwrap().replace(id, "ID")
    };
    for path in ["/v1/files/ID", "/v1/files/ID/content", "/v1/files?after=ID", "/v1/vector_stores/ID"] {
        let asked = |id: &str| told(id, gateway.get(&path.replace("ID", id), ACME));
        assert_eq!(asked(foreign), asked("file-999"), "{path}");
    }
    told(foreign, gateway.delete(&format!("/v1/files/{foreign}"), ACME));
    told(
        foreign,
        gateway.post("/v1/vector_stores", ACME, &json!({ "file_ids": [mine[0], foreign] }).to_string()),
    );
    assert!(account.seen().is_empty());
    let store = made(&gateway.post(
        "/v1/vector_stores",
        ACME,
        &json!({ "name": "x", "file_ids": [mine[0]] }).to_string(),
    ));
    told(&store, gateway.get(&format!("/v1/vector_stores/{store}"), GLOBEX));
    told(&store, gateway.post(&format!("/v1/vector_stores/{store}/search"), GLOBEX, r#"{"query":"x"}"#));
    assert_eq!(ids(&gateway.get("/v1/vector_stores", GLOBEX)), Vec::<String>::new());
    assert_eq!(ids(&gateway.get("/v1/vector_stores", ACME)), std::slice::from_ref(&store));
    let told_content = gateway.get(&format!("/v1/files/{}/content", mine[0]), ACME);
    assert_eq!((told_content.status, told_content.body.as_str()), (200, "the text"));
    // It is remembered over a restart, and forgotten when it is deleted.
    gateway.restart();
    assert_eq!(gateway.get(&format!("/v1/vector_stores/{store}/files"), ACME).status, 200);
    assert_eq!(gateway.delete(&format!("/v1/files/{again}"), ACME).status, 200);
    told(&again, gateway.get(&format!("/v1/files/{again}"), ACME));
}

#[test]
fn a_search_is_a_call_that_rules_decide_and_force() {
    let account = Upstream::start(account);
    let gateway = gateway(&account, TENANTS);
    let store = made(&gateway.post("/v1/vector_stores", ACME, r#"{"name":"x"}"#));
    account.seen();
    let search = r#"{"query":"x","filters":{"type":"eq","key":"tenant","value":"globex"}}"#;
    let path = format!("/v1/vector_stores/{store}/search");
    assert_eq!(gateway.post(&path, ACME, search).status, 200);
    let seen = account.seen();
    let sent: Value = serde_json::from_str(&seen[0].1).unwrap();
    assert_eq!(sent, json!({ "query": "x", "filters": { "type": "eq", "key": "tenant", "value": "acme" } }));
    for (body, status) in [(r#"{"query":"x","project":"y"}"#, 400), ("[]", 400), ("x", 400)] {
        assert_eq!(gateway.post(&path, ACME, body).status, status, "{body}");
    }
    assert_eq!(gateway.get("/v1/uploads", ACME).status, 404);
    // What the provider is not to see is in nothing that it keeps.
    let covered = TENANTS.replace("  acme:\n", "  acme:\n    redact: { wire: mask }\n");
    let covering = self::gateway(&account, &covered);
    let named = covering.post("/v1/vector_stores", ACME, r#"{"name":"ada@example.org"}"#);
    let asked = covering.get("/v1/files?purpose=ada@example.org", ACME);
    for answer in [upload(&covering, ACME), named, asked] {
        assert_eq!((answer.status, answer.code().as_str()), (400, "content_blocked"), "{answer:?}");
    }
    assert_eq!(covering.post("/v1/vector_stores", ACME, r#"{"name":"x"}"#).status, 200);
    assert_eq!(gateway.get("/v1/files/a%2fb", ACME).status, 400);
    let none = TENANTS.replace("allow: builtin__file_search", "allow: other");
    let gateway = self::gateway(&account, &none);
    for answer in [gateway.get("/v1/files", ACME), gateway.post("/v1/vector_stores", ACME, "{}")] {
        assert_eq!((answer.status, answer.code().as_str()), (403, "tool_not_allowed"));
    }
}

#[test]
fn a_model_searches_stores_of_the_tenants_own_and_those_that_rules_name() {
    let account = Upstream::start(account);
    let gateway = gateway(&account, TENANTS);
    let ask = |gateway: &Gateway, key: &str, ids: &[&str]| {
        let tools = json!([{ "type": "file_search", "vector_store_ids": ids }]);
        let body = json!({ "model": "gpt-5", "input": "hi", "tools": tools });
        gateway.post("/v1/responses", key, &body.to_string())
    };
    let mine = made(&gateway.post("/v1/vector_stores", ACME, "{}"));
    let theirs = made(&gateway.post("/v1/vector_stores", GLOBEX, "{}"));
    assert_eq!(ask(&gateway, ACME, &[&mine]).status, 200);
    let sent = gateway.seen();
    let sent: Value =
        serde_json::from_str(sent.as_array().unwrap().last().unwrap()["body"].as_str().unwrap()).unwrap();
    assert_eq!(sent["tools"][0]["vector_store_ids"], json!([mine]));
    assert_eq!(sent["tools"][0]["filters"]["value"], "acme", "what a rule forces");
    let before = gateway.seen().as_array().unwrap().len();
    for ids in [&[theirs.as_str()][..], &[&mine, &theirs], &["vs_999"]] {
        let answer = ask(&gateway, ACME, ids);
        assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"), "{ids:?}");
    }
    assert_eq!(gateway.seen().as_array().unwrap().len(), before);
    // Stores that the operator's rules name.
    let named = TENANTS.replacen(
        "      - allow: builtin__file_search\n        set: { filters: { type: eq, key: tenant, value: \"{tenant.id}\" } }\n",
        "      - allow: builtin__file_search\n        when: args.vector_store_ids.all(v, v.startsWith(\"vs_shared_\"))\n",
        1,
    );
    let gateway = self::gateway(&account, &named);
    assert_eq!(ask(&gateway, ACME, &["vs_shared_1"]).status, 200);
    let last = |gateway: &Gateway| {
        gateway.seen().as_array().unwrap().last().unwrap()["body"].as_str().unwrap().to_owned()
    };
    assert!(last(&gateway).contains("vs_shared_1"));
    assert_eq!(ask(&gateway, ACME, &["vs_other"]).status, 200);
    assert!(!last(&gateway).contains("file_search"), "what a rule denies is taken out, as always");
    let forced = named.replace(
        "when: args.vector_store_ids.all(v, v.startsWith(\"vs_shared_\"))",
        "set: { vector_store_ids: [vs_shared_2] }",
    );
    let gateway = self::gateway(&account, &forced);
    assert_eq!(ask(&gateway, ACME, &["vs_other"]).status, 200);
    assert!(last(&gateway).contains("vs_shared_2") && !last(&gateway).contains("vs_other"));
}

/// An Elasticsearch that has nothing, and a Pinecone that has everybody's.
fn stores(request: &str, body: &str) -> (u16, String, String) {
    let headers = "content-type: application/vnd.elasticsearch+json;compatible-with=9\r\nx-elastic-product: Elasticsearch\r\n".to_owned();
    let answer = if request.contains("/_mget") {
        let asked: Value = serde_json::from_str(body).unwrap();
        let docs: Vec<Value> = asked["docs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|doc| json!({ "_id": doc["_id"], "found": false }))
            .collect();
        json!({ "docs": docs })
    } else if request.contains("/_bulk") {
        json!({ "took": 1, "items": [{ "create": { "_id": "a", "status": 201 } }, { "create": { "_id": "b", "status": 201 } }] })
    } else if request.contains("/vectors/fetch") {
        json!({ "namespace": "acme", "vectors": { "a": { "id": "a", "metadata": { "tenant_id": "acme" } }, "b": { "id": "b", "metadata": { "tenant_id": "globex" } } } })
    } else {
        return (
            404,
            headers,
            r#"{"error":{"type":"index_not_found_exception","reason":"no such index [docs]"},"status":404}"#
                .to_owned(),
        );
    };
    (200, headers, answer.to_string())
}

#[test]
fn requests_of_lines_and_of_lists_reach_their_stores() {
    let stores = Upstream::start(stores);
    let port = stores.port;
    let tenants = "\n  acme:\n    keys: [{ id: prod, sha256: @ACME@ }]\n    tools: [{ allow: [\"search__*\", \"pine__*\"] }]\n";
    let gateway = Gateway::with_mock(tenants, |_| {
        format!(
            "  search: {{ kind: opensearch, url: \"http://127.0.0.1:{port}\" }}\n  pine: {{ kind: pinecone, url: \"http://127.0.0.1:{port}\" }}\n"
        )
    });
    let send = |path: &str, media: &str, body: &str| {
        let length = body.len();
        gateway.raw(&format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {ACME}\r\ncontent-type: {media}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"))
    };
    let lines = "{\"index\":{\"_id\":\"a\",\"_index\":\"docs\"}}\n{\"x\":1}\n{\"index\":{\"_id\":\"b\",\"_index\":\"docs\"}}\n{\"x\":2,\"tenant_id\":\"globex\"}\n";
    let answer =
        send("/tools/search/_bulk", "application/vnd.elasticsearch+x-ndjson; compatible-with=9", lines);
    assert_eq!(
        (answer.status, answer.header("x-elastic-product")),
        (200, Some("Elasticsearch")),
        "{answer:?}"
    );
    let items = &answer.json()["items"];
    assert_eq!((&items[0]["index"]["status"], &items[1]["index"]["_id"]), (&json!(201), &json!("b")));
    let seen = stores.seen();
    assert!(seen[1].0.contains("content-type: application/x-ndjson"), "{}", seen[1].0);
    assert!(seen[1].1.contains("{\"x\":2,\"tenant_id\":\"acme\"}\n"), "{}", seen[1].1);
    let answer = send("/tools/search/docs/_search", "application/json", "{}");
    assert_eq!(
        (answer.status, answer.json()["error"]["type"].as_str()),
        (404, Some("index_not_found_exception"))
    );
    assert_eq!(send("/tools/search/docs/_search", "text/plain", "{}").status, 415);
    let answer = gateway.get("/tools/pine/vectors/fetch?ids=a&ids=b", ACME);
    assert_eq!(answer.json()["vectors"].as_object().unwrap().keys().collect::<Vec<_>>(), ["a"]);
    let last = stores.seen().pop().unwrap().0;
    assert!(last.starts_with("GET /vectors/fetch?ids=a&ids=b&namespace=acme "), "{last}");
    assert_eq!(gateway.get("/tools/pine/vectors/fetch?ids=a&namespace=x&namespace=y", ACME).status, 400);
}

//! Golden requests to Weaviate, what is refused, and what rules see of a question.

use super::{Asked, Json, ask, fence};
use crate::{
    refusal::Refusal,
    retrieval::{Fence, Operation, Reply, Sending, Step, Store, weaviate::parse_for_test},
    tool_api::Request,
};
use http::Method;
use serde_json::json;

const ID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";
const OTHER: &str = "0f8fad5b-d9cb-469f-a165-70867728950f";
const RECORD: &str = "/v1/objects/Article/0f8fad5b-d9cb-469f-a165-70867728950e";

type Told = Result<(u16, Json), Refusal>;

/// Each of Weaviate's own tenants is one tenant's.
fn own() -> Fence {
    Fence { prefix: Some("acme".into()), field: None, ..fence("acme") }
}

/// Carries a request to a store that answers so, one after the other; what was sent, and what is told.
fn sent(
    fence: &Fence,
    (method, path, body): (&'static str, &str, Json),
    answers: &[Json],
) -> (Vec<(String, Json)>, Told) {
    let mut all = Vec::new();
    let asked = Asked { method, path: path.to_owned(), body: (!body.is_null()).then_some(body) };
    let mut answers = answers.iter();
    let answered = ask(Store::Weaviate, &asked, fence, &mut |sending: &Sending| {
        let body = super::read(&sending.body);
        all.push((format!("{} {}", sending.method, sending.target), body));
        let answer = answers.next().unwrap_or_else(|| panic!("nothing is answered to {all:?}"));
        Reply { status: 200, body: answer.to_string().into() }
    });
    (all, answered.told)
}

fn question(text: &str) -> (&'static str, &'static str, Json) {
    ("POST", "/v1/graphql", json!({ "query": text }))
}

/// What is sent last of a question.
#[track_caller]
fn asks(fence: &Fence, text: &str, before: &[Json], expected: &str) {
    let root = if text.contains("Aggregate") { "Aggregate" } else { "Get" };
    let rows = if root == "Get" { json!([]) } else { json!([{ "meta": { "count": 0 } }]) };
    let answers = [before, &[json!({ "data": { root: { "Article": rows } } })]].concat();
    let (all, told) = sent(fence, question(text), &answers);
    assert_eq!(told.unwrap().0, 200);
    assert_eq!(all.len(), answers.len());
    assert_eq!(*all.last().unwrap(), ("POST /v1/graphql".to_owned(), json!({ "query": expected })));
}

fn class(tokenization: &str) -> Json {
    json!({ "class": "Article", "properties": [{ "name": "tenant_id", "dataType": ["text"], "tokenization": tokenization }] })
}

fn row(id: &str, tenant: &str) -> Json {
    json!({ "tenant_id": tenant, "_additional": { "id": id } })
}

fn rows(rows: &[Json]) -> Json {
    json!({ "data": { "Get": { "Article": rows } } })
}

fn counted(count: u64) -> Json {
    json!({ "data": { "Aggregate": { "Article": [{ "meta": { "count": count } }] } } })
}

const CLAUSE: &str = r#"{path:["tenant_id"],operator:Equal,valueText:"acme"}"#;

#[test]
fn the_tenant_stands_beside_the_whole_filter() {
    let shared = fence("acme");
    asks(
        &shared,
        "{Get{Article{title}}}",
        &[],
        &format!("{{Get{{Article(where:{CLAUSE}){{tenant_id title}}}}}}"),
    );
    let given = r#"query Q { Get { Article(limit: 3, where: { operator: Or, operands: [
        { path: ["tenant_id"], operator: Equal, valueText: "globex" } # theirs
        { path: ["n"] operator: GreaterThan valueInt: 1 } ] }
        nearVector: { vector: [0.5, -1e3  1], distance: 0.2 }) { tenant_id title address { street } _additional { id vectors { a } } } } }"#;
    let expected = format!(
        r#"{{Get{{Article(limit:3,where:{{operator:And,operands:[{CLAUSE},{{operator:Or,operands:[{{path:["tenant_id"],operator:Equal,valueText:"globex"}},{{path:["n"],operator:GreaterThan,valueInt:1}}]}}]}},nearVector:{{vector:[0.5,-1e3,1],distance:0.2}}){{tenant_id title address{{street}} _additional{{id vectors{{a}}}}}}}}}}"#
    );
    asks(&shared, given, &[], &expected);
    let text = r#"{Get{Article(nearText:{concepts:["a\"}}) {x", "\u00e4\u2028\ud83d\ude00"] moveTo:{force:0.5 concepts:["b"]}} hybrid:{query:"x" alpha:0.5 fusionType:rankedFusion} sort:[{path:["n"] order:desc}] consistencyLevel:QUORUM){title}}}"#;
    let expected = format!(
        "{{Get{{Article(nearText:{{concepts:[\"a\\\"}}}}) {{x\",\"ä\\u2028😀\"],moveTo:{{force:0.5,concepts:[\"b\"]}}}},hybrid:{{query:\"x\",alpha:0.5,fusionType:rankedFusion}},sort:[{{path:[\"n\"],order:desc}}],consistencyLevel:QUORUM,where:{CLAUSE}){{tenant_id title}}}}}}"
    );
    asks(&shared, text, &[], &expected);
    let both = Fence { field: Some("tenant_id".into()), ..own() };
    asks(
        &both,
        "{Get{Article{title}}}",
        &[],
        &format!(r#"{{Get{{Article(where:{CLAUSE},tenant:"acme"){{tenant_id title}}}}}}"#),
    );
    asks(&own(), "{Get{Article{title}}}", &[], r#"{Get{Article(tenant:"acme"){title}}}"#);
    asks(&own(), r#"{Get{Article(tenant:"acme"){title}}}"#, &[], r#"{Get{Article(tenant:"acme"){title}}}"#);
}

#[test]
fn what_is_not_shown_is_asked_for_nobody_first() {
    let shared = fence("acme");
    let text = "{Aggregate{Article{meta{count}}}}";
    let expected = format!("{{Aggregate{{Article(where:{CLAUSE}){{meta{{count}}}}}}}}");
    asks(&shared, text, &[class("field"), counted(0)], &expected);
    let (all, told) = sent(&shared, question(text), &[class("field"), counted(7)]);
    assert_eq!(told.unwrap_err().status(), 502);
    let nobody =
        r#"{Aggregate{Article(where:{path:["tenant_id"],operator:Equal,valueText:"!nobody"}){meta{count}}}}"#;
    let asked = [
        ("GET /v1/schema/Article".to_owned(), Json::Null),
        ("POST /v1/graphql".to_owned(), json!({ "query": nobody })),
    ];
    assert_eq!(all, asked);
    for inexact in [class("word"), class("lowercase"), json!({ "properties": [] }), json!({})] {
        let (_, told) = sent(&shared, question(text), &[inexact]);
        assert_eq!(told.unwrap_err().status(), 403);
    }
    let given = json!({ "path": ["n"], "operator": "Equal", "valueInt": 1 });
    let body =
        json!({ "match": { "class": "Article", "where": given }, "output": "verbose", "dryRun": true });
    let results = json!({ "matches": 1, "successful": 0, "failed": 1, "objects": [{ "id": ID, "status": "FAILED", "errors": { "error": [{ "message": "of others" }] } }] });
    let deleted = json!({ "match": { "class": "Article", "where": {} }, "output": "verbose", "dryRun": true, "results": results });
    let (all, told) =
        sent(&shared, ("DELETE", "/v1/batch/objects", body.clone()), &[class("field"), counted(0), deleted]);
    let clause = json!({ "path": ["tenant_id"], "operator": "Equal", "valueText": "acme" });
    let mut forced = body;
    forced["match"]["where"] = json!({ "operator": "And", "operands": [clause, given] });
    assert_eq!(all[2], ("DELETE /v1/batch/objects".to_owned(), forced));
    let told = told.unwrap().1;
    assert_eq!(told["match"]["where"], given);
    assert!(!told.to_string().contains("of others"), "{told}");
}

#[test]
fn ids_are_looked_at_before_they_are_written() {
    let shared = fence("acme");
    let look = format!(
        r#"{{Get{{Article(where:{{path:["id"],operator:Equal,valueText:"{ID}"}},limit:1){{tenant_id _additional{{id}}}}}}}}"#
    );
    let record = json!({ "class": "Article", "id": ID.to_uppercase(), "properties": { "a": 1, "tenant_id": "globex" }, "vector": [0.5] });
    let stamped = json!({ "class": "Article", "id": ID, "properties": { "a": 1, "tenant_id": "acme" }, "vector": [0.5] });
    for (method, path) in [("POST", "/v1/objects"), ("PUT", RECORD), ("PATCH", RECORD)] {
        let asked = || (method, path, record.clone());
        let (all, told) =
            sent(&shared, asked(), &[class("field"), rows(&[row(ID, "acme")]), stamped.clone()]);
        assert_eq!(told.unwrap(), (200, stamped.clone()));
        assert_eq!(all[1].1["query"], look);
        assert_eq!(all[2], (format!("{method} {path}"), stamped.clone()));
        // Another's, one that nobody has, and what the store answers for another id.
        let (all, told) = sent(&shared, asked(), &[class("field"), rows(&[row(ID, "globex")])]);
        assert_eq!((all.len(), told.unwrap_err().status()), (2, 403));
        assert_eq!(sent(&shared, asked(), &[class("field"), rows(&[]), stamped.clone()]).1.unwrap().0, 200);
        let (all, told) = sent(&shared, asked(), &[class("field"), rows(&[row(OTHER, "acme")])]);
        assert_eq!((all.len(), told.unwrap_err().status()), (2, 502));
        assert_eq!(sent(&shared, asked(), &[class("word")]).1.unwrap_err().status(), 403);
    }
    let (all, told) = sent(&shared, ("DELETE", RECORD, Json::Null), &[rows(&[row(ID, "acme")]), Json::Null]);
    assert_eq!(told.unwrap().0, 200);
    assert_eq!(all[1].0, format!("DELETE {RECORD}"));
    assert_eq!(
        sent(&shared, ("DELETE", RECORD, Json::Null), &[rows(&[row(ID, "globex")])]).1.unwrap_err().status(),
        403
    );
    // A record comes back that was not written.
    let batch = json!({ "objects": [{ "class": "Article", "id": ID }, { "class": "Article" }] });
    let told_of = |id: &str, tenant: &str| json!({ "class": "Article", "id": id, "properties": { "tenant_id": tenant }, "result": { "status": "SUCCESS" } });
    for (answer, status) in [
        (json!([told_of(ID, "acme"), told_of(OTHER, "acme")]), 200),
        (json!([told_of(ID, "acme"), told_of(OTHER, "globex")]), 502),
        (json!([told_of(OTHER, "acme"), told_of(OTHER, "acme")]), 502),
        (json!([told_of(ID, "acme")]), 502),
    ] {
        let (_, told) =
            sent(&shared, ("POST", "/v1/batch/objects", batch.clone()), &[class("field"), rows(&[]), answer]);
        assert_eq!(told.map_or_else(|refusal| refusal.status(), |(status, _)| status), status);
    }
}

#[test]
fn a_search_begins_at_the_tenants_own_records() {
    let shared = fence("acme");
    for search in [
        format!(r#"nearObject:{{id:"{ID}"}}"#),
        format!(r#"nearObject:{{beacon:"weaviate://localhost/Article/{ID}"}}"#),
        format!(r#"nearText:{{concepts:["a"],moveTo:{{force:1,objects:[{{id:"{ID}"}}]}}}}"#),
        format!(
            r#"hybrid:{{query:"a",searches:{{nearText:{{concepts:["a"],moveAwayFrom:{{force:1,objects:[{{id:"{ID}"}}]}}}}}}}}"#
        ),
    ] {
        let text = format!("{{Get{{Article({search}){{title}}}}}}");
        for (found, ends) in
            [(rows(&[row(ID, "acme")]), 200), (rows(&[row(ID, "globex")]), 422), (rows(&[]), 422)]
        {
            let (all, told) = sent(&shared, question(&text), &[found, rows(&[])]);
            assert_eq!((all.len(), told.unwrap().0), (if ends == 200 { 2 } else { 1 }, ends), "{text}");
        }
    }
    let other =
        format!(r#"{{Get{{Article(nearObject:{{beacon:"weaviate://localhost/Other/{ID}"}}){{title}}}}}}"#);
    refuses(&shared, question(&other), "400");
    let path = format!("{RECORD}/references/author");
    let body = json!({ "beacon": format!("weaviate://localhost/Author/{}", OTHER.to_uppercase()) });
    let author = |tenant: &str| json!({ "data": { "Get": { "Author": [row(OTHER, tenant)] } } });
    let (all, told) =
        sent(&shared, ("POST", &path, body.clone()), &[rows(&[row(ID, "acme")]), author("acme"), Json::Null]);
    assert_eq!(told.unwrap().0, 200);
    assert_eq!(
        all[2],
        (format!("POST {path}"), json!({ "beacon": format!("weaviate://localhost/Author/{OTHER}") }))
    );
    assert_eq!(
        sent(&shared, ("POST", &path, body.clone()), &[rows(&[row(ID, "acme")]), author("globex")])
            .1
            .unwrap()
            .0,
        422
    );
    assert_eq!(
        sent(&shared, ("POST", &path, body), &[rows(&[row(ID, "globex")])]).1.unwrap_err().status(),
        403
    );
}

#[test]
fn another_tenants_record_is_as_one_that_is_not_there() {
    let record = |tenant: &str| json!({ "class": "Article", "id": ID, "properties": { "tenant_id": tenant }, "secret": 1 });
    let read = |method, answer| sent(&fence("acme"), (method, RECORD, Json::Null), &[answer]).1.unwrap();
    let mine = json!({ "class": "Article", "id": ID, "properties": { "tenant_id": "acme" } });
    assert_eq!(read("GET", record("acme")), (200, mine));
    assert_eq!(read("HEAD", record("acme")), (204, Json::Null));
    assert_eq!(read("GET", record("globex")), (404, Json::Null));
    assert_eq!(read("HEAD", record("globex")), (404, Json::Null));
    // The store's own tenant that is shown.
    let shown = |tenant: &str| json!({ "class": "Article", "id": ID, "properties": {}, "tenant": tenant });
    let (all, told) = sent(&own(), ("GET", RECORD, Json::Null), &[shown("globex")]);
    assert_eq!((all[0].0.as_str(), told.unwrap().0), (format!("GET {RECORD}?tenant=acme").as_str(), 404));
    // Rows of others, and what is not a row.
    let (_, told) = sent(
        &fence("acme"),
        question("{Get{Article{title}}}"),
        &[rows(&[
            json!({ "tenant_id": "globex", "title": "x" }),
            json!({ "tenant_id": "acme", "title": "y" }),
            json!({ "tenant_id": ["acme"], "title": "z" }),
        ])],
    );
    assert_eq!(told.unwrap().1, rows(&[json!({ "title": "y" })]));
    let odd = json!({ "data": { "Get": { "Article": [], "Other": [{ "title": "x" }] } } });
    assert_eq!(sent(&fence("acme"), question("{Get{Article{title}}}"), &[odd]).1.unwrap_err().status(), 502);
}

#[test]
fn classes_name_the_tenant_exactly() {
    let naming = json!({ "name": "tenant_id", "dataType": ["text"], "tokenization": "field", "indexFilterable": true, "indexSearchable": false });
    let given = json!({ "class": "Article", "vectorizer": "none", "properties": [{ "name": "title", "dataType": ["text"] }, { "name": "Tenant_id", "dataType": ["text[]"] }] });
    let (all, _) = sent(&fence("acme"), ("POST", "/v1/schema", given), &[json!({})]);
    assert_eq!(all[0].1["properties"], json!([{ "name": "title", "dataType": ["text"] }, naming]));
    let (all, _) = sent(
        &fence("acme"),
        ("POST", "/v1/schema/Article/properties", json!({ "name": "tenant_id", "dataType": ["int"] })),
        &[json!({})],
    );
    assert_eq!(all[0].1, naming);
    let listed = json!([{ "name": "acme" }, { "name": "globex" }]);
    let (_, told) = sent(&own(), ("GET", "/v1/schema/Article/tenants", Json::Null), &[listed]);
    assert_eq!(told.unwrap().1, json!([{ "name": "acme" }]));
    assert_eq!(
        sent(&own(), ("HEAD", "/v1/schema/Article/tenants/globex", Json::Null), &[]).1.unwrap().0,
        404
    );
    assert_eq!(
        sent(&fence("acme"), ("GET", "/v1/.well-known/openid-configuration", Json::Null), &[]).1.unwrap().0,
        404
    );
}

#[track_caller]
fn refuses(fence: &Fence, (method, path, body): (&'static str, &str, Json), expected: &str) {
    let asked = Asked { method, path: path.to_owned(), body: (!body.is_null()).then_some(body) };
    let refusal =
        ask(Store::Weaviate, &asked, fence, &mut |sending| panic!("sent: {sending:?}")).told.unwrap_err();
    let text = format!("{} {} {}", refusal.status(), refusal.param().unwrap_or("-"), refusal.message());
    assert!(text.contains(expected), "{asked:?}: {text}");
}

#[test]
fn questions_that_are_not_understood_go_no_further() {
    let refuse = |text: &str, expected: &str| refuses(&fence("acme"), question(text), expected);
    for text in [
        "",
        "{",
        "{}",
        "{Get{Article{title}}",
        "{Get{Article{title}}}}",
        "{Get{Article{title}}} {Get{Article{title}}}",
        "{Get{Article{title}} Aggregate{Article{meta{count}}}}",
        "{Get{Article{title} Other{title}}}",
        "{a:Get{Article{title}}}",
        "{Get{mine:Article{title}}}",
        "{Get{Article{t:title}}}",
        "{Get{Article{}}}",
        "{Get{Article}}",
        "{Get{Article{title title}}}",
        "{Get{Article{author{... on Author{name}}}}}",
        "{Get{Article{...F}}} fragment F on Article{title}",
        "fragment F on Article{title} {Get{Article{...F}}}",
        "query($a: Int){Get{Article(limit:$a){title}}}",
        "{Get{Article(limit:$a){title}}}",
        "{Get{Article @include(if:true){title}}}",
        "{Get{Article{title @skip(if:false)}}}",
        "{Get{Article{_additional{rerank(property:\"a\"){score}}}}}",
        "mutation{Get{Article{title}}}",
        "subscription{Get{Article{title}}}",
        "{Explore(nearText:{concepts:[\"a\"]}){beacon}}",
        "{__schema{types{name}}}",
        "{Get{Article(limit:1,limit:2){title}}}",
        "{Get{Article(root:\"Aggregate\"){title}}}",
        "{Get{Article(where:{operator:Equal,operator:NotEqual,path:[\"n\"],valueInt:1}){title}}}",
        "{Get{Article(where:null){title}}}",
        "{Get{Article(limit:01){title}}}",
        "{Get{Article(limit:1x){title}}}",
        "{Get{Article(limit:1e999){title}}}",
        "{Get{Article(bm25:{query:\"\"\"a\"\"\"}){title}}}",
        "{Get{Article(bm25:{query:\"a}){title}}}",
        "{Get{Article(bm25:{query:\"\\x\"}){title}}}",
        "{Get{Article(bm25:{query:a}){title}}}",
        "{Get{Article(nearVector:{vector:[1,\"a\"]}){title}}}",
        "\u{feff}{Get{Article{title}}}",
    ] {
        refuse(text, "400 query the query is not accepted");
    }
    refuse(
        &format!("{{Get{{Article(where:{}){{title}}}}}}", "{operands:[".repeat(2000)),
        "nested too deep, at line 1 column",
    );
    refuse("{\n  Get {\n    Article(x: $y) { a } } }", "at line 3 column 16");
}

#[test]
fn questions_that_ask_for_what_is_not_known_go_no_further() {
    let refuse = |text: &str, expected: &str| refuses(&fence("acme"), question(text), expected);
    for text in [
        "{Get{Article(group:{force:0.5}){title}}}",
        "{Get{Article(groupBy:{path:[\"n\"],groups:2,objectsPerGroup:2}){title}}}",
        "{Get{Article(near:{a:1}){title}}}",
        "{Get{Article(nearText:{concepts:[\"a\"],where:{a:1}}){title}}}",
        "{Get{Article(tenant:\"globex\"){title}}}",
        "{Get{Article(after:\"\"){title}}}",
        "{Get{article{title}}}",
        "{Get{Article{__typename}}}",
        "{Get{Article{_additional{explainScore}}}}",
        "{Get{Article{_additional{generate{singleResult}}}}}",
        "{Get{Article{author{_additional{id}}}}}",
        "{Get{Article{tenant_id{a}}}}",
        "{Aggregate{Article{title{topOccurrences{value}}}}}",
        "{Aggregate{Article{meta{count} title{count}}}}",
        "{Aggregate{Article(objectLimit:3,nearVector:{vector:[1]}){meta{count}}}}",
        "{Get{Article(where:{operator:Equal,path:[\"author\",\"Author\",\"name\"],valueText:\"a\"}){title}}}",
        "{Get{Article(where:{operator:Equal,path:[\"n\"],valueInt:1,operands:[]}){title}}}",
    ] {
        refuse(text, "403");
    }
    for (text, place) in [
        ("{Get{Article(where:{path:[\"n\"]}){title}}}", "400 where"),
        ("{Get{Article(where:{operator:Near,path:[\"n\"],valueInt:1}){title}}}", "400 where.operator"),
        ("{Get{Article(where:{operator:And,operands:[]}){title}}}", "400 where.operands"),
        (
            "{Get{Article(where:{operator:And,operands:[{operator:Equal,path:[\"n\"]}]}){title}}}",
            "400 where.operands.0",
        ),
        ("{Get{Article(where:{operator:Equal,path:\"n\",valueInt:1}){title}}}", "400 where.path"),
        (
            "{Get{Article(where:{operator:Equal,path:[\"n\"],valueInt:1,valueText:\"a\"}){title}}}",
            "400 where",
        ),
        ("{Get{Article(where:{operator:Equal,path:[\"n\"],valueText:{a:1}}){title}}}", "400 where.valueText"),
        ("{Get{Article(limit:\"3\"){title}}}", "400 limit"),
        ("{Get{Article(nearObject:{id:\"1\"}){title}}}", "400 nearObject.id"),
    ] {
        refuse(text, place);
    }
}

#[test]
fn a_question_stands_alone_in_its_body() {
    let refuse =
        |body: Json, expected: &str| refuses(&fence("acme"), ("POST", "/v1/graphql", body), expected);
    refuse(json!({ "query": "{Get{Article{a}}}", "variables": { "a": 1 } }), "400 variables");
    refuse(json!({ "query": "{Get{Article{a}}}", "extensions": {} }), "400");
    refuse(json!([{ "query": "{Get{Article{a}}}" }]), "400");
    refuse(json!({}), "400 query");
    // A form in place of a question is none, where the path is written otherwise too.
    let form = json!({ "root": "Get", "class": "Article", "fields": ["a"] });
    refuse(form.clone(), "400");
    refuses(
        &fence("acme"),
        ("POST", "/v1/graphql?class=Other", json!({ "query": "{Get{Article{a}}}" })),
        "403",
    );
    refuses(&fence("acme"), ("POST", "/v1/graph%71l", form), "400");
}

/// No text makes the reader fall, and what is written is read as the same.
#[test]
fn what_is_written_is_read_as_the_same() {
    const PARTS: [&str; 26] = [
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ":",
        "\"a\"",
        "\"\\u0041\"",
        "\"\\\"\"",
        "Get",
        "Article",
        "where",
        "operator",
        "And",
        "operands",
        "path",
        "valueText",
        "1",
        "-0.5",
        " ",
        "#\n",
        "true",
        "vector",
        "$x",
        "...",
    ];
    let mut dice = super::Dice(7);
    let mut read = 0;
    for _ in 0..super::cases() {
        let inner: String = dice.several(0, 12, |dice| *dice.pick(&PARTS)).concat();
        let text = match dice.roll(3) {
            0 => inner,
            1 => format!("{{Get{{Article(where:{inner}){{a}}}}}}"),
            _ => format!(
                "{{Get{{Article(bm25:{{query:\"{}\" vector:[{}]}} limit:{}){{a b{{c}}}}}}}}",
                dice.pick(&["ä", "\\n", "\\u2028", "}"]),
                dice.pick(&["1 2", "", "[1]"]),
                dice.roll(9)
            ),
        };
        let Ok(form) = parse_for_test(&text) else { continue };
        let printed = crate::retrieval::weaviate::print_for_test(&form).unwrap();
        assert_eq!(parse_for_test(&printed).unwrap(), form, "{text} {printed}");
        read += 1;
    }
    assert!(read > 0);
}

/// However its numbers are parted, a vector is the same or is refused: there are two ways of reading it.
#[test]
fn vectors_are_read_alike_however_they_are_written() {
    const GOOD: [&str; 5] = ["0", "-0.25", "1e-3", "12345678901234567890", "2E+2"];
    const BAD: [&str; 8] = ["01", "1.", ".5", "-", "1e400", "1_0", "+1", "x"];
    let mut dice = super::Dice(11);
    for _ in 0..super::cases() {
        let good = dice.several(1, 5, |dice| *dice.pick(&GOOD));
        let mut numbers = good.clone();
        if dice.roll(3) == 0 {
            let at = dice.roll(numbers.len() as u64);
            numbers[usize::try_from(at).unwrap()] = *dice.pick(&BAD);
        }
        let separator = *dice.pick(&[",", " ", ", ", ",,", "\n ", " # one more\n"]);
        let text = format!("{{Get{{Article(nearVector:{{vector:[{}]}}){{a}}}}}}", numbers.join(separator));
        let form = parse_for_test(&text).ok();
        assert_eq!(form.is_some(), numbers == good, "{text}");
        let Some(form) = form else { continue };
        let vector = form.get("nearVector").unwrap().get("vector").unwrap().to_string();
        assert_eq!(vector.replace([' ', '\n'], ""), format!("[{}]", good.join(",")), "{text}");
    }
}

#[test]
fn requests_that_lead_elsewhere_go_no_further() {
    let shared = fence("acme");
    let refuse =
        |method, path: &str, body: Json, expected: &str| refuses(&shared, (method, path, body), expected);
    refuse("GET", "/v1/objects?class=Article", Json::Null, "403");
    refuse("GET", &format!("/v1/objects/{ID}"), Json::Null, "403");
    refuse("GET", &format!("{RECORD}?tenant=globex"), Json::Null, "403");
    refuse("GET", &format!("{RECORD}?node_name=a"), Json::Null, "403");
    refuse("GET", &RECORD.replace("Article", "article"), Json::Null, "403");
    refuse("GET", "/v1/objects/Article/7", Json::Null, "400 id");
    refuse("GET", &RECORD.replace('-', ""), Json::Null, "400 id");
    let record = |properties: Json| json!({ "class": "Article", "properties": properties });
    refuse("POST", "/v1/objects", record(json!({ "Tenant_id": "globex" })), "403");
    refuse("POST", "/v1/objects", record(json!({ "tenant id": "globex" })), "400 properties");
    refuse("POST", "/v1/objects", record(json!({ "author": [{ "beacon": "x" }] })), "403");
    refuse("POST", "/v1/objects", json!({ "class": "Article", "tenant": "acme" }), "403");
    refuse("POST", "/v1/objects", json!({ "class": "Article", "creationTimeUnix": 1 }), "403");
    refuse("PUT", RECORD, json!({ "class": "Other" }), "403");
    refuse("PUT", RECORD, json!({ "class": "Article", "id": OTHER }), "400 id");
    let batch = json!({ "objects": [{ "class": "Article" }, { "class": "Other" }] });
    refuse("POST", "/v1/batch/objects", batch, "403");
    let batch = json!({ "objects": [{ "class": "Article", "id": ID }, { "class": "Article", "id": ID.to_uppercase() }] });
    refuse("POST", "/v1/batch/objects", batch, "400 objects");
    refuse("POST", "/v1/batch/references", json!([]), "403");
    refuse("DELETE", "/v1/batch/objects", json!({ "match": { "class": "Article" } }), "400 match.where");
    refuse("POST", "/v1/graphql/batch", json!([]), "403");
    refuse(
        "POST",
        "/v1/schema",
        json!({ "class": "Article", "multiTenancyConfig": { "enabled": true } }),
        "403",
    );
    refuse("PUT", "/v1/schema/Article", json!({ "class": "Other" }), "400 class");
    refuse("GET", "/v1/schema/Article/tenants", Json::Null, "403");
    refuse("GET", "/v1/schema/Article/shards", Json::Null, "403");
    refuse("POST", &format!("{RECORD}/references/tenant_id"), json!({ "beacon": "x" }), "403");
    refuse(
        "POST",
        &format!("{RECORD}/references/author"),
        json!({ "beacon": format!("weaviate://localhost/{OTHER}") }),
        "400 beacon",
    );
    refuse("GET", "/v1/nodes", Json::Null, "403");
    let refuse = |method, path: &str, body: Json| refuses(&own(), (method, path, body), "403");
    refuse("POST", "/v1/schema", json!({ "class": "Article" }));
    refuse("DELETE", "/v1/schema/Article", Json::Null);
    refuse("DELETE", "/v1/schema/Article/tenants", json!(["globex"]));
    refuse("POST", "/v1/schema/Article/tenants", json!([{ "name": "acme" }, { "name": "globex" }]));
    refuse("GET", "/v1/objects?class=Article&tenant=globex", Json::Null);
}

#[test]
fn rules_see_and_set_what_is_asked() {
    let understood = |method: Method, path: &str, body: &Json| {
        let bytes = body.to_string();
        let parsed =
            Store::Weaviate.body(path, bytes.as_bytes(), 64).unwrap().map(crate::json::Value::into_owned);
        let request = Request::read(&method, path, None, parsed).unwrap();
        Store::Weaviate.find(request).unwrap().understand(&own(), None).unwrap()
    };
    let seen = |text: &str| understood(Method::POST, "/v1/graphql", &json!({ "query": text }));
    let text = r#"{Get{Article(where:{path:["n"],operator:Equal,valueInt:1} limit:50 nearVector:{vector:[1]} tenant:"acme"){title}}}"#;
    let asked = seen(text);
    assert_eq!(asked.operation(), Operation::Query);
    assert_eq!(
        asked.arguments.to_string(),
        r#"{"collection":"Article","filter":{"path":["n"],"operator":"Equal","valueInt":1},"limit":50,"store_tenant":"acme"}"#
    );
    assert_eq!(seen("{Get{Article{title}}}").operation(), Operation::Get);
    assert_eq!(seen("{Aggregate{Article{meta{count}}}}").operation(), Operation::Count);
    let set = |forced: Json| {
        let forced = crate::json::parse(forced.to_string().as_bytes(), 64).unwrap().into_owned();
        let Step::Send(sending) = seen(text).with(&forced)?.begin().next(None)? else { panic!() };
        Ok::<_, Refusal>(super::read(&sending.body)["query"].as_str().unwrap().to_owned())
    };
    let filter = json!({ "path": ["n"], "operator": "LessThan", "valueInt": 3 });
    let forced = json!({ "collection": "Other", "filter": filter, "limit": 5, "store_tenant": "acme" });
    assert_eq!(
        set(forced).unwrap(),
        r#"{Get{Other(where:{operator:LessThan,path:["n"],valueInt:3},limit:5,nearVector:{vector:[1]},tenant:"acme"){title}}}"#
    );
    for (forced, status) in [
        (json!({ "collection": "Other(limit:1)", "limit": 50 }), 403),
        (
            json!({ "collection": "Article", "filter": { "path": ["n"], "operator": "Equal}", "valueInt": 1 } }),
            400,
        ),
        (json!({ "collection": "Article", "store_tenant": "globex" }), 403),
    ] {
        assert_eq!(set(forced).unwrap_err().status(), status);
    }
    let body = json!({ "match": { "class": "Article", "where": { "path": ["n"], "operator": "Equal", "valueInt": 1 } }, "dryRun": true });
    let asked = understood(Method::DELETE, "/v1/batch/objects", &body);
    assert_eq!(
        asked.arguments.to_string(),
        r#"{"collection":"Article","filter":{"operator":"Equal","path":["n"],"valueInt":1},"dryRun":true}"#
    );
    let body = json!({ "class": "Article", "id": ID, "properties": { "secret": 1 }, "vector": [1] });
    let asked = understood(Method::POST, "/v1/objects", &body);
    assert_eq!(asked.arguments.to_string(), format!(r#"{{"collection":"Article","ids":["{ID}"]}}"#));
}

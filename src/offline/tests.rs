//! Configurations that are looked at where they do not run.

use super::*;
use crate::policy::Outcome;

const NOW: i64 = 1_800_000_000;

fn read(files: &[(&str, &str)]) -> Result<Configuration, Unfit> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    Configuration::read(&dir.path().join("tollgate.yaml"), NOW)
}

const GATEWAY: &str = r#"
listen: { address: 127.0.0.1:8443, tls: { cert: none.crt, key: none.key, client_ca: none.ca } }
admin: 0.0.0.0:8081
admin_token: { env: TOLLGATE_TEST_NO_SUCH_VARIABLE }
records: { secret: { file: none.secret } }
tenants: tenants/
upstreams:
  a: { kind: openai, url: "https://a.example/v1", ca: none.ca, auth: { bearer: { env: TOLLGATE_TEST_NO_SUCH_VARIABLE } } }
models: { gpt-5: { upstream: a }, "gpt-5-*": { upstream: a } }
"#;
const ACME: &str = r#"
tenant: acme
keys:
  - { id: prod, sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef }
  - { id: batch, sha256: 1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef, models: ["gpt-5-*"], tools: [] }
models: ["gpt-*"]
tools: [{ allow: a, when: key.id != "batch" }, { allow: b, when: tenant.name == "acme" && key.id == "" }]
"#;

fn example() -> Configuration {
    let files = [
        ("tollgate.yaml", GATEWAY),
        ("tenants/acme.yaml", ACME),
        ("tenants/zeta.yaml", "tenant: zeta\n"),
        ("tenants/base.yaml", "tenant: base\nabstract: true\ntools: [{ allow: x }]\n"),
    ];
    read(&files).unwrap()
}

#[test]
fn what_only_the_gateways_place_has_is_not_missed() {
    let configuration = example();
    let names: Vec<&str> = configuration.tenants().map(|member| member.tenant().id.as_str()).collect();
    assert_eq!(names, ["acme", "base", "zeta"]);
    assert_eq!((configuration.snapshot.tenants, configuration.snapshot.upstreams.len()), (2, 1));
    assert!(configuration.tenant("base").unwrap().tenant().is_abstract);
}

#[test]
fn every_other_error_is_one() {
    let check = |gateway: &str, code: &str| {
        let unfit = read(&[("tollgate.yaml", gateway), ("tenants/acme.yaml", ACME)]).unwrap_err();
        let codes: Vec<&str> = unfit.problems.iter().map(|problem| problem.code).collect();
        assert!(!codes.is_empty() && codes.iter().all(|found| *found == code), "{codes:?} {gateway}");
    };
    check(&GATEWAY.replace("8443", "x"), "bad-address");
    check(&GATEWAY.replace("{ file: none.secret }", "short"), "short-secret");
    check(&GATEWAY.replace("https:", "htps:"), "bad-url");
    check(
        &GATEWAY.replace("admin_token: { env: TOLLGATE_TEST_NO_SUCH_VARIABLE }", ""),
        "admin-without-token",
    );
}

#[test]
fn names_that_nothing_has_are_told_with_the_nearest() {
    let configuration = example();
    let check = |tenant: &str, key: Option<&str>, expected: &str| {
        assert_eq!(configuration.asker(tenant, key).unwrap_err().to_string(), expected);
    };
    check("acmee", None, "there is no tenant `acmee`; did you mean `acme`?");
    check("qqqqqq", None, "there is no tenant `qqqqqq`; there are `acme`, `base`, `zeta`");
    check("acme", Some("bacth"), "the tenant `acme` has no key `bacth`; did you mean `batch`?");
    check("zeta", Some("prod"), "the tenant `zeta` has no key `prod`; there are none");
}

#[test]
fn calls_and_models_are_decided_as_the_gateway_does() {
    let configuration = example();
    let check = |key: Option<&str>, tool: &str, expected: Outcome| {
        let asker = configuration.asker("acme", key).unwrap();
        let args = Arguments::read("{}", 8);
        let call = Call { tool, args: &args, place: Place::Emitted, now: NOW };
        assert_eq!(asker.decide(&call).outcome, expected, "{key:?} {tool}");
        assert_eq!(asker.explain(&call).decision.outcome, expected, "{key:?} {tool}");
    };
    check(None, "a", Outcome::Allow);
    check(None, "b", Outcome::Allow);
    check(Some("prod"), "a", Outcome::Allow);
    check(Some("prod"), "b", Outcome::Deny);
    check(Some("batch"), "a", Outcome::Deny);
    let may_use = |key, model: &str| configuration.asker("acme", key).unwrap().may_use(model);
    assert!(may_use(None, "gpt-5") && may_use(None, "gpt-5-mini") && may_use(Some("batch"), "gpt-5-mini"));
    assert!(!may_use(Some("batch"), "gpt-5") && !may_use(None, "gpt-4") && !may_use(None, "claude"));
}

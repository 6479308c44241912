//! O6: the wall clock is set forward and back while the gateway runs.

use crate::{
    signer::Signer,
    support::{ACME, GLOBEX, Gateway, chat, run, tools},
};
use serde_json::json;
use std::{process::Command, time::SystemTime};

/// The last day of a key, in the format of the configuration: today, as the machine has it.
fn today() -> String {
    let day = Command::new("date").args(["-u", "+%F"]).output().unwrap();
    String::from_utf8(day.stdout).unwrap().trim().to_owned()
}

/// Stands before the system's clock; what it adds, in seconds, is in the file `CLOCK_OFFSET`.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *time) {
  static int (*system_clock)(clockid_t, struct timespec *);
  if (!system_clock) system_clock = dlsym(RTLD_NEXT, "clock_gettime");
  int told = system_clock(id, time);
  const char *path = getenv("CLOCK_OFFSET");
  if (told == 0 && id == CLOCK_REALTIME && path) {
    char text[32] = {0};
    int file = open(path, O_RDONLY);
    if (file >= 0) {
      if (read(file, text, sizeof text - 1) > 0) time->tv_sec += atoll(text);
      close(file);
    }
  }
  return told;
}
"#;

/// Starts it again with a clock that is so many seconds off, as it is set.
fn with_a_clock_that_jumps(gateway: &mut Gateway) -> impl Fn(i64) + use<> {
    let dir = gateway.dir.path().to_owned();
    std::fs::write(dir.join("clock.c"), SHIM).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o", "clock.so", "clock.c", "-ldl"]).current_dir(&dir);
    assert!(compiler.status().is_ok_and(|status| status.success()), "there is no C compiler");
    // Replaced at once: a half-written one would be another time.
    let set = move |seconds: i64| {
        std::fs::write(dir.join("fresh"), seconds.to_string()).unwrap();
        std::fs::rename(dir.join("fresh"), dir.join("offset")).unwrap();
    };
    set(0);
    again(gateway);
    set
}

/// Starts it once more, with that clock.
fn again(gateway: &mut Gateway) {
    let dir = gateway.dir.path().display();
    let script = format!("CLOCK_OFFSET={dir}/offset LD_PRELOAD={dir}/clock.so exec SERVE");
    assert!(gateway.restart_by(&script), "{}", gateway.stderr());
}

const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

#[test]
fn o6_a_clock_that_jumps_gives_nothing_back_and_takes_nothing_away() {
    let tenants = format!(
        "
  acme:
    keys: [{{ id: prod, sha256: @ACME@ }}]
    models: [\"*\"]
    limits: {{ requests: 3/hour }}
  globex:
    keys: [{{ id: prod, sha256: @GLOBEX@, expires: {} }}]
    models: [\"*\"]
",
        today()
    );
    let mut gateway = Gateway::with(&tenants, "");
    let set = with_a_clock_that_jumps(&mut gateway);
    let ask = |key| gateway.chat(key, &chat("hi", "")).status;
    assert_eq!([ask(ACME), ask(ACME), ask(ACME), ask(ACME)], [200, 200, 200, 429]);
    for seconds in [HOUR, -HOUR, -DAY, 0, 1, 0] {
        set(seconds);
        assert_eq!(ask(ACME), 429, "the limit is used up, whatever the clock says: {seconds}");
        if seconds <= 1 {
            assert_eq!(ask(GLOBEX), 200, "{seconds}");
        }
    }
    // A key works until its last day is over by the wall clock, and again where that is set right.
    set(2 * DAY);
    assert_eq!((ask(GLOBEX), ask(ACME)), (401, 429));
    set(0);
    assert_eq!((ask(GLOBEX), ask(ACME)), (200, 429));
    // One record a request, of whoever was known.
    for (tenant, requests) in [("acme", 12), ("globex", 6)] {
        assert_eq!(gateway.lines("log", tenant, requests).len(), requests, "{tenant}");
    }
    gateway.stop();
    let (status, out, err) = run(&["audit", "verify", "data"], gateway.dir.path(), "");
    assert_eq!(status, 0, "{out}{err}");
}

/// Signed tokens go by the wall clock as it is: over while it says so, and good again once it is set right, however often they
/// were known before.
#[test]
fn o6_signed_tokens_go_by_the_clock_as_it_is_set() {
    let signer = Signer::of("ES256");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let token = |issued: u64, expires: u64| {
        let claims = json!({ "iss": "https://idp.example", "aud": "tollgate", "exp": expires, "iat": issued, "sub": "alice", "org": "acme" });
        signer.token(&json!({ "alg": "ES256", "kid": "k" }).to_string(), &claims.to_string())
    };
    let more = "identity:\n  jwt: [{ issuer: \"https://idp.example\", audience: tollgate, jwks: { file: jwks.json }, tenant: claims.org }]\n";
    let jwks = json!({ "keys": [signer.jwk("k")] }).to_string();
    let mut gateway =
        Gateway::with_all(crate::before::TENANTS, &|_| String::new(), more, &[("jwks.json", &jwks)]);
    let set = with_a_clock_that_jumps(&mut gateway);
    let (held, fresh) = (token(now, now + 1800), token(now + 3600, now + 5400));
    let ask = |shown: &str| gateway.get("/v1/models", shown).status;
    let mut served = 0;
    // Of the token that is held, and of one that was issued an hour later.
    for (seconds, expected) in [
        (0, [200, 401]),
        (HOUR, [401, 200]),
        (0, [200, 401]),
        // What was issued some seconds from now is taken: clocks differ.
        (-30, [200, 401]),
        (-HOUR, [401, 401]),
        (1200, [200, 401]),
        (HOUR, [401, 200]),
        (DAY, [401, 401]),
        (-DAY, [401, 401]),
        (0, [200, 401]),
    ] {
        set(seconds);
        assert_eq!([ask(&held), ask(&fresh)], expected, "{seconds}");
        assert_eq!(ask(ACME), 200, "a key without a last day: {seconds}");
        served += 1 + expected.iter().filter(|status| **status == 200).count();
    }
    set(0);
    assert_eq!(gateway.lines("log", "acme", served).len(), served);
}

/// A start with a clock that is years ahead removes nothing, however often; and what is too old goes once the days go by.
#[test]
fn o6_retention_does_not_follow_a_clock_that_jumps() {
    let mut gateway = Gateway::with(
        "\n  acme:\n    keys: [{ id: prod, sha256: @ACME@ }]\n    models: [\"*\"]\n    tools: [{ allow: \"get_*\" }]\n",
        "records: { retain: 30d }\n",
    );
    let set = with_a_clock_that_jumps(&mut gateway);
    let decide = |gateway: &Gateway| {
        assert_eq!(gateway.chat(ACME, &chat("hi", &tools(&["get_a", "delete_b"]))).status, 200);
    };
    decide(&gateway);
    let first = format!("{}.jsonl", today());
    gateway.lines("log", "acme", 1);
    again(&mut gateway);
    let records = gateway.lines("audit", "acme", 1).len();
    let is_there = |gateway: &Gateway| {
        ["audit", "log"].map(|kind| {
            let file = gateway.dir.path().join("data").join(kind).join("acme").join(&first);
            file.exists() || file.with_extension("jsonl.gz").exists()
        })
    };
    let verified = |gateway: &Gateway| {
        let (status, out, err) = run(&["audit", "verify", "data"], gateway.dir.path(), "");
        assert_eq!(status, 0, "{out}{err}");
        out
    };
    for _ in 0..3 {
        set(1100 * DAY);
        again(&mut gateway);
        gateway.wait("a word of it", |gateway| gateway.stderr().contains("nothing more is removed"));
        decide(&gateway);
        assert_eq!(is_there(&gateway), [true, true], "{}", gateway.stderr());
        let (status, out, err) = run(&["usage", "--config", "tollgate.yaml"], gateway.dir.path(), "");
        assert!(status == 0 && out.contains("acme"), "{out}{err}");
        verified(&gateway);
    }
    for days in [0, 6, 12, 18, 24] {
        set(days * DAY);
        again(&mut gateway);
        assert!(!gateway.stderr().contains("removed"), "{}", gateway.stderr());
        assert_eq!(is_there(&gateway), [true, true], "{days}");
    }
    // While it runs.
    set(31 * DAY);
    let removed = format!("1 audit files ({records} records) and 1 log files");
    gateway.wait("a word of it", |gateway| gateway.stderr().contains(&removed));
    assert_eq!(is_there(&gateway), [false, false]);
    gateway.stop();
    let out = verified(&gateway);
    assert!(out.contains(&format!("{records} removed by retention")), "{out}");
}

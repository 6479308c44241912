//! Redacting twice changes nothing, and JSON stays JSON.
#![no_main]
use std::sync::LazyLock;
use tollgate::redact::{Detectors, Redactor, TenantSecret};
static REDACTOR: LazyLock<Redactor> =
    LazyLock::new(|| Redactor::new(TenantSecret::derive(b"fuzz", "acme"), Detectors::all(), Vec::new()));
libfuzzer_sys::fuzz_target!(|text: &str| {
    let once = REDACTOR.text(text);
    assert_eq!(REDACTOR.text(once.as_str()).as_str(), once.as_str());
    if let Some(json) = REDACTOR.json(text) {
        assert!(tollgate::json::parse(json.as_str().as_bytes(), 512).is_ok());
    }
});

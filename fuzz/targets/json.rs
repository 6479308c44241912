//! What is read and written is read again as the same, and another parser takes it for JSON too.
#![no_main]
use tollgate::json;
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = json::parse(bytes, 64) {
        assert!(serde_json::from_slice::<serde_json::Value>(bytes).is_ok());
        let mut written = Vec::new();
        json::write(&value, &mut written);
        assert_eq!(json::parse(&written, 64).as_ref(), Ok(&value));
    }
});

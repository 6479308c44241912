//! Events are found at the same places, however the bytes came in.
#![no_main]
use tollgate::sse::{Scan, boundary, boundary_from, event};
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let whole = boundary(bytes).map(|found| format!("{found:?}"));
    let mut scan = Scan::default();
    let mut found = None;
    for end in 0..=bytes.len() {
        found = boundary_from(&bytes[..end], &mut scan).map(|found| format!("{found:?}"));
        if found.is_some() {
            break;
        }
    }
    assert_eq!(found.is_some(), whole.is_some());
    let _ = event(bytes);
});

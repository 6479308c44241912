//! Every path means one thing, and what it means holds nothing that leads out of it.
#![no_main]
use tollgate::gateway::Route;
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for method in ["GET", "POST", "DELETE"] {
        let Ok(request) = http::Request::builder().method(method).uri(bytes).body(()) else { return };
        if let Ok(Route::Stored { id, .. } | Route::Mcp(Some(id))) = Route::of(&request.into_parts().0) {
            assert!(!id.is_empty() && !id.contains(['/', '.', '%', ' ']));
        }
    }
});

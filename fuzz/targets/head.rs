//! A head of HTTP/1 that is taken can be read in one way: no bare line feed, one length, one host.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(head) = tollgate::server::good_head(bytes) {
        let text = String::from_utf8_lossy(head).to_ascii_lowercase();
        assert!(text.ends_with("\r\n\r\n") && !text.replace("\r\n", "").contains(['\n', '\r', '\0']));
        let count = |name: &str| text.split("\r\n").filter(|line| line.starts_with(name)).count();
        assert!(count("content-length:") + count("transfer-encoding:") <= 1 && count("host:") <= 1);
    }
});

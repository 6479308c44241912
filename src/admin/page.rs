//! `GET /`: the page for people, one document with everything in it. It asks for nothing from elsewhere, and its
//! security policy lets it run its own script alone: what tenants and models write can be shown, never run.

use crate::gateway::Body;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, header};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const DOCUMENT: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

struct Page {
    document: Bytes,
    policy: Option<HeaderValue>,
}

static PAGE: LazyLock<Page> = LazyLock::new(|| {
    let script = [SCRIPT_OPENS, SCRIPT, "</script>"].concat();
    let style = ["<style>", STYLE, "</style>"].concat();
    let document = DOCUMENT.replacen("<!-- style -->", &style, 1).replacen("<!-- script -->", &script, 1);
    let digest = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        digest(SCRIPT),
        digest(STYLE)
    );
    Page { document: document.into(), policy: HeaderValue::try_from(policy).ok() }
});

const SCRIPT_OPENS: &str = "<script>";

/// The page. Nothing of any tenant's is in it: what it shows it asks the admin API for, as whoever looks at it.
pub(super) fn answer() -> Response<Body> {
    let mut response = Response::new(Body::full(PAGE.document.clone()));
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Without its policy the page is not given out.
    match &PAGE.policy {
        Some(policy) => drop(headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone())),
        None => *response.body_mut() = Body::full(Bytes::new()),
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_its_parts_and_no_way_around_its_policy() {
        let document = String::from_utf8(PAGE.document.to_vec()).unwrap();
        for (part, times) in [("<script", 1), ("<style", 1), ("<!-- s", 0)] {
            assert_eq!(document.matches(part).count(), times, "{part}");
        }
        // Nothing from elsewhere, no text that becomes markup or code, no attribute that the policy forbids.
        let namespace = "http://www.w3.org/2000/svg";
        let document = document.replace(namespace, "");
        for word in [
            "http://",
            "https://",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
            "DOMParser",
            "srcdoc",
            "javascript:",
            " style=",
            " onclick=",
            "localStorage",
            "\"style\"",
        ] {
            assert!(!document.contains(word), "the page holds {word}");
        }
        let policy = PAGE.policy.as_ref().unwrap().to_str().unwrap();
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(document.len() < 200 << 10, "{} bytes", document.len());
    }
}

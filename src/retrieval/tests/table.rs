//! The table of endpoints in the documentation is the one that decides.

use crate::retrieval::{Operation, Store, Verdict};
use std::fmt::Write;

/// The rows of a store's table.
fn rows(store: Store) -> String {
    let mut rows = String::new();
    for endpoint in store.endpoints() {
        let verdict = match endpoint.verdict {
            Verdict::Serves(Operation::Describe, _) => "whoever may use the store".to_owned(),
            Verdict::Serves(operation, _) => format!("`__{}`", operation.as_str()),
            Verdict::Refuses(why) => format!("403: {why}"),
        };
        writeln!(rows, "| `{} {}` | {verdict} |", endpoint.method, endpoint.path).unwrap();
    }
    rows
}

#[test]
fn the_documentation_has_every_endpoint() {
    let text = include_str!("../../../docs/retrieval.md");
    for store in Store::ALL {
        let (begin, end) = (format!("<!-- endpoints of {} -->\n", store.as_str()), "<!-- end -->");
        let table =
            text.split_once(&begin).and_then(|(_, rest)| rest.split_once(end)).map(|(table, _)| table);
        let expected = format!("| endpoint | |\n|---|---|\n{}", rows(store));
        assert_eq!(
            table.unwrap_or_default(),
            expected,
            "write it into docs/retrieval.md, behind `{}`",
            begin.trim()
        );
    }
}

#[test]
fn no_endpoint_is_there_twice() {
    for store in Store::ALL {
        let mut seen = std::collections::HashSet::new();
        for endpoint in store.endpoints() {
            assert!(seen.insert((endpoint.method, endpoint.path)), "{} {}", endpoint.method, endpoint.path);
        }
    }
}

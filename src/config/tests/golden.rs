//! Broken configurations and what is said of them, in `golden/`. With UPDATE=1 the expected texts are written anew.

use std::path::Path;

use crate::config::{Colour, load, to_json, to_text};

const GOLDEN: &str = "src/config/tests/golden";

#[test]
fn broken_configurations_are_explained() {
    let mut cases: Vec<_> = std::fs::read_dir(GOLDEN).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 4);
    for case in cases {
        let loaded = load(&case.join("tollgate.yaml"));
        let prefix = format!("{}/", case.display());
        let text = to_text(&loaded.problems, &loaded.files, Colour::Plain).replace(&prefix, "");
        expect(&case.join("expected.txt"), &text);
        let json = serde_json::to_string_pretty(&to_json(&loaded.problems, &loaded.files)).unwrap();
        expect(&case.join("expected.json"), &format!("{}\n", json.replace(&prefix, "")));
        assert!(!text.contains("hunter2") && !json.contains("hunter2"), "{}", case.display());
    }
}

pub(super) fn expect(path: &Path, found: &str) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, found).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert!(expected == found, "{} differs; it should be:\n{found}", path.display());
}

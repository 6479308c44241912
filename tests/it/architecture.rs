//! The map, as a test: who may import whom, where the world is touched, and that every file says why it exists.

use std::{fs, path::Path};

/// Lowest first. A module may import only from above its line, and only the shell may touch the world.
const LAYERS: &[&str] = &[
    "clock",
    "descriptors",
    "names",
    "json",
    "sse",
    "usage",
    "tokens",
    "trace",
    "operator",
    "seal",
    "call",
    "redact",
    "quota",
    "policy",
    "records",
    "tenant",
    "refusal",
    "room",
    "tool_api",
    "retrieval",
    "identity",
    "hosts",
    "mcp",
    "pins",
    "dialect",
    "translate",
    "wire",
    "denials",
    "stored",
    "ledger",
    "approvals",
    "asked",
    "authorize",
    "exchange",
    "fleet",
    "upstream",
    "snapshot",
    "telemetry",
    "server",
    "config",
    "offline",
    "gateway",
    "admin",
    "mock",
    "cli",
];
/// Modules, or files of them, that may touch the network, the disk, the runtime or the clock.
const SHELL: &[&str] = &[
    "clock",
    "descriptors",
    "operator",
    "room",
    "fleet",
    "upstream",
    "telemetry",
    "server",
    "gateway",
    "admin",
    "mock",
    "cli",
    "main",
    "config/load",
    "config/secret",
    "config/compile",
    "config/test_files",
    "config/watch",
    "config/tests",
    "dialect/anthropic/tests",
    "dialect/openai/tests",
    "dialect/responses/tests",
    "dialect/tests",
    "ledger/disk",
    "offline/access/tests",
    "offline/diff/tests",
    "offline/replay/run",
    "offline/replay/tests",
    "offline/tests",
    "pins/disk",
    "pins/tests",
    "quota/reserve/tests",
    "records/audit_files",
    "records/compress",
    "records/day_file",
    "records/disk",
    "records/erase",
    "records/mod",
    "records/pulse",
    "records/recent",
    "records/recover",
    "records/secret",
    "records/sink",
    "records/stream",
    "records/sync",
    "records/tenant_secrets",
    "retrieval/tests",
    "records/tests",
    "records/turns",
    "records/trail",
    "records/verify",
    "records/writer",
    "stored/calls",
    "stored/shelf",
    "translate/tests",
];
const WORLD: &[&str] = &[
    "tokio",
    "hyper::",
    "rustls",
    "TcpStream",
    "std::fs",
    "std::thread",
    "std::env",
    "Instant::now",
    "SystemTime::now",
];
const FILE_LINES_MAX: usize = 600;

#[test]
fn modules_import_only_from_above() {
    for source in sources() {
        let Some(at) = LAYERS.iter().position(|layer| *layer == source.module) else {
            assert!(["lib", "main"].contains(&source.module.as_str()), "{} is not on the map", source.path);
            continue;
        };
        for (found, tag) in source.code.match_indices("crate::") {
            for imported in names(&source.code[found + tag.len()..]) {
                let above = LAYERS[..at].contains(&imported);
                assert!(
                    above || imported == source.module,
                    "{} imports crate::{imported}, which the map does not put above {}",
                    source.path,
                    source.module
                );
            }
        }
    }
}

#[test]
fn only_the_shell_touches_the_world() {
    for source in sources() {
        let place = source.path.trim_start_matches("src/").trim_end_matches(".rs");
        let shell = SHELL.iter().any(|shell| place == *shell || place.starts_with(&format!("{shell}/")));
        for world in WORLD {
            assert!(shell || !source.code.contains(world), "{} names {world}", source.path);
        }
    }
}

#[test]
fn files_say_why_they_exist_and_stay_readable() {
    for source in sources() {
        assert!(source.text.starts_with("//! "), "{} does not open with its reason to exist", source.path);
        let lines = source.text.lines().count();
        let tests = source.path.contains("tests");
        assert!(tests || lines <= FILE_LINES_MAX, "{} has {lines} lines", source.path);
    }
}

#[test]
fn the_map_in_words_is_the_map_in_code() {
    let words = fs::read_to_string("ARCHITECTURE.md").unwrap();
    let mut named = words.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    for layer in LAYERS {
        assert_eq!(named.next(), Some(*layer), "ARCHITECTURE.md lists the modules in another order");
    }
}

struct Source {
    module: String,
    path: String,
    text: String,
    /// Without tests and comments.
    code: String,
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    walk(Path::new("src"), &mut found);
    assert!(found.len() > 50, "the sources are not where they are looked for");
    found
}

fn walk(dir: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let first = path.strip_prefix("src").unwrap().components().next().unwrap();
            let module = first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
            let (code, _) = text.split_once("#[cfg(test)]\nmod tests {").unwrap_or((&text, ""));
            let code = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect::<Vec<_>>()
                .join("\n");
            found.push(Source { module, path: path.to_str().unwrap().to_owned(), text, code });
        }
    }
}

/// `a::b` names `a`; `{a::b, c::{d}}` names `a` and `c`.
fn names(after: &str) -> Vec<&str> {
    let word = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let Some(list) = after.strip_prefix('{') else { return vec![&after[..word(after)]] };
    let (mut depth, mut start, mut found) = (0_u32, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(list[start..at].trim());
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    found.into_iter().filter(|name| !name.is_empty()).map(|name| &name[..word(name)]).collect()
}

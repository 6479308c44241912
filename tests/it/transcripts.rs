//! What commands print, word by word: each `golden/*.txt` is a session at a terminal, in that directory. A line that
//! begins with `$ ` is a command, what follows is all that it printed. With UPDATE=1 what follows is written anew.

use crate::support::run;
use std::{fs, path::Path};

const GOLDEN: &str = "tests/it/golden";

fn check(name: &str) {
    let path = Path::new(GOLDEN).join(name);
    let expected = fs::read_to_string(&path).unwrap();
    let commands: Vec<&str> = expected.lines().filter_map(|line| line.strip_prefix("$ tollgate ")).collect();
    assert!(!commands.is_empty(), "{name} has no commands");
    let said: Vec<String> = commands.into_iter().map(said).collect();
    let found = said.join("\n");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &found).unwrap();
    } else {
        assert!(found == expected, "{name} differs; it should be:\n{found}");
    }
}

fn said(command: &str) -> String {
    let words = words(command);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (status, out, err) = run(&words, Path::new(GOLDEN), "");
    let status = if status == 0 { String::new() } else { format!("[exit status {status}]\n") };
    format!("$ tollgate {command}\n{out}{err}{status}")
}

/// The words of a command as a shell splits them, where single quotes are all that is quoted with.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut quoted) = (vec![String::new()], false);
    for c in command.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => words.last_mut().unwrap().push(c),
        }
    }
    words
}

#[test]
fn explain() {
    check("explain.txt");
}

#[test]
fn test() {
    check("test.txt");
}

#[test]
fn diff() {
    check("diff.txt");
}

#[test]
fn access() {
    check("access.txt");
}

#[test]
fn replay() {
    check("replay.txt");
}

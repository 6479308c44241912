//! How well redaction finds what it should, and leaves what it should not: `cargo bench --bench redact_quality`.
//!
//! Without arguments, over prompts of its own generator (`-- --seed 7 --prompts 4000`). With `-- CORPUS.jsonl`, over a
//! labelled file: `{"id", "text", "spans": [{"start", "end", "entity", "value"}], "negatives": [{"start", "end", "type"}]}`
//! a line, places in code points. `-- --write FILE` writes the generated prompts in that form. Where Python has
//! `presidio_analyzer`, its pattern recognisers are scored over the same prompts.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::too_many_lines,
    clippy::too_many_arguments,
    reason = "a bench prints what it measures, and ends where a file is none"
)]

use std::{
    io::Write,
    process::{Command, Stdio},
    time::Instant,
};

use serde_json::{Value, json};
use tollgate::redact::{Detectors, Redactor, TenantSecret};

mod corpus;
mod credentials;
mod dice;
mod disguise;
mod lookalikes;
mod personal;
mod prompts;
mod score;

use prompts::{Group, Prompt};
use score::Score;

const PRESIDIO: &str = include_str!("presidio.py");

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let option = |name: &str| arguments.iter().position(|a| a == name).and_then(|at| arguments.get(at + 1));
    let number = |name: &str, usual: u64| option(name).and_then(|n| n.parse().ok()).unwrap_or(usual);
    let file = arguments
        .iter()
        .find(|a| !a.starts_with("--") && a.ends_with(".jsonl") && option("--write") != Some(a));
    let prompts: Vec<Prompt> = match file {
        Some(path) => corpus::read(&std::fs::read_to_string(path).unwrap()),
        None => {
            (0..number("--prompts", 4000)).map(|n| prompts::prompt(number("--seed", 1) << 32 | n)).collect()
        }
    };
    if let Some(path) = option("--write") {
        std::fs::write(path, prompts.iter().map(|p| format!("{}\n", corpus::line(p))).collect::<String>())
            .unwrap();
        return;
    }
    let bytes: usize = prompts.iter().map(|p| p.text.len()).sum();
    println!("{} prompts, {bytes} bytes, {}", prompts.len(), file.map_or("generated", String::as_str));
    println!(
        "{:28} {:>9} {:>11} {:>7} {:>10} {:>7} {:>7} {:>11} {:>8}",
        "", "personal", "credentials", "told", "disguised", "chars", "clean", "look-alikes", "MB/s"
    );

    let redactor = Redactor::new(TenantSecret::derive(b"bench", "tenant"), Detectors::all(), Vec::new());
    let started = Instant::now();
    let texts: Vec<String> = prompts.iter().map(|p| redactor.line(&p.text).into_string()).collect();
    let took = started.elapsed().as_secs_f64();
    let mut score = Score::default();
    prompts.iter().zip(&texts).for_each(|(prompt, text)| score.add(prompt, text));
    row("tollgate", &score, bytes as f64 / took / 1e6);
    match presidio(&prompts) {
        Ok((score, seconds)) => row("Presidio's patterns, 0.4", &score, bytes as f64 / seconds / 1e6),
        Err(why) => println!("Presidio is not scored: {why}"),
    }
    if arguments.iter().any(|a| a == "--show") {
        for (entity, rate) in score.entities.iter().filter(|(_, rate)| rate.bad > 0) {
            println!("{entity:28} {:>4} of {:<5} {:>6.2} %", rate.bad, rate.of, rate.percent());
        }
        score.misses.iter().chain(&score.damage).take(60).for_each(|line| println!("{line}"));
    }
}

/// Leaks and losses in percent.
fn row(name: &str, score: &Score, speed: f64) {
    let group = |group| score.group(group).percent();
    println!(
        "{name:28} {:>8.2}% {:>10.2}% {:>6.2}% {:>9.2}% {:>6.3}% {:>6.2}% {:>10.2}% {speed:>8.2}",
        group(Group::Personal),
        group(Group::Credential),
        group(Group::Told),
        group(Group::Disguised),
        score.characters.percent(),
        score.clean_damaged.percent(),
        score.look_alikes_hit().percent(),
    );
}

/// The same prompts through Presidio, as places; cut like placeholders, so that both are scored alike.
fn presidio(prompts: &[Prompt]) -> Result<(Score, f64), String> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut child = Command::new(python)
        .args(["-c", PRESIDIO])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let input: String = prompts.iter().map(|p| format!("{}\n", json!(p.text))).collect();
    let mut stdin = child.stdin.take().ok_or("no input")?;
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()).is_ok());
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    writer.join().ok();
    if !output.status.success() {
        return Err("`presidio_analyzer` is not installed (PYTHON names the interpreter)".to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut score = Score::default();
    let mut seconds = 0.0;
    for (prompt, line) in prompts.iter().zip(text.lines()) {
        let found: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        seconds += found.get("seconds").and_then(Value::as_f64).unwrap_or(0.0);
        score.add(prompt, &cut(&prompt.text, found.get("spans")));
    }
    Ok((score, seconds))
}

fn cut(text: &str, spans: Option<&Value>) -> String {
    let mut lost = vec![false; text.chars().count()];
    for span in spans.and_then(Value::as_array).into_iter().flatten() {
        let place = |name: &str| {
            span.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
        };
        let end = place("end").min(lost.len());
        lost.get_mut(place("start").min(end)..end).unwrap_or_default().fill(true);
    }
    let mut out = String::new();
    let mut was_lost = false;
    for (c, lost) in text.chars().zip(lost) {
        match (lost, was_lost) {
            (true, false) => out.push_str("[X:aaaaaaaaaaaaaaaa]"),
            (true, true) => {}
            (false, _) => out.push(c),
        }
        was_lost = lost;
    }
    out
}

//! The goals of redaction, held over prompts that are made when the test runs: other seeds every hundred thousand
//! prompts would do as well. A value that is still readable is a leak; a character outside every value that is gone is
//! damage.

#[path = "../../benches/redact_quality/credentials.rs"]
mod credentials;
#[path = "../../benches/redact_quality/dice.rs"]
mod dice;
#[path = "../../benches/redact_quality/disguise.rs"]
mod disguise;
#[path = "../../benches/redact_quality/lookalikes.rs"]
mod lookalikes;
#[path = "../../benches/redact_quality/personal.rs"]
mod personal;
#[expect(dead_code, reason = "the bench reads more of it")]
#[path = "../../benches/redact_quality/prompts.rs"]
mod prompts;
#[path = "../../benches/redact_quality/score.rs"]
mod score;

use prompts::Group;
use tollgate::redact::{Detectors, Redactor, TenantSecret};

#[test]
fn goals_are_met_and_redacting_twice_changes_nothing() {
    let redactor = Redactor::new(TenantSecret::derive(b"test", "acme"), Detectors::all(), Vec::new());
    let mut score = score::Score::default();
    for seed in 0..4000 {
        let prompt = prompts::prompt(0x5EED_0000_0000 + seed);
        let once = redactor.line(&prompt.text);
        let twice = redactor.line(once.as_str());
        assert_eq!(once.as_str(), twice.as_str(), "{}", prompt.text);
        if serde_json::from_str::<serde_json::Value>(&prompt.text).is_ok() {
            serde_json::from_str::<serde_json::Value>(once.as_str()).unwrap();
        }
        score.add(&prompt, once.as_str());
    }
    let mut failed = Vec::new();
    let mut hold = |what: &str, percent: f64, most: f64| {
        if percent > most {
            failed.push(format!("{what}: {percent:.2} %, {most} % at most"));
        }
    };
    hold("personal data leaked", score.group(Group::Personal).percent(), 1.0);
    hold("credentials leaked", score.group(Group::Credential).percent(), 0.5);
    hold("passwords told leaked", score.group(Group::Told).percent(), 5.0);
    hold("disguised leaked", score.group(Group::Disguised).percent(), 10.0);
    for (kind, rate) in score.entities.iter().filter(|(entity, _)| entity.starts_with("disguised:")) {
        hold(kind, rate.percent(), 25.0);
    }
    let shape = |name: &str| score.shapes.get(name).map_or(0.0, score::Rate::percent);
    hold("tool arguments above plain text", shape("tool_args") - shape("plain"), 0.5);
    hold("characters lost", score.characters.percent(), 0.1);
    hold("clean prompts damaged", score.clean_damaged.percent(), 3.0);
    hold("look-alikes hit", score.look_alikes_hit().percent(), 1.5);
    let shown: Vec<&str> = score.misses.iter().chain(&score.damage).map(String::as_str).take(40).collect();
    assert!(failed.is_empty(), "{}\n{}", failed.join("\n"), shown.join("\n"));
}

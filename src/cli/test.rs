//! `tollgate test`: runs policy tests; every failure says what was expected, what was decided, and by which rule.

use super::{
    Config, Format, Status,
    print::{self, plural},
};
use crate::{
    call::Place,
    clock,
    config::{self, Colour, Files, NoTests, Problem},
    json::{self, Value},
    offline::{
        Configuration,
        cases::{self, Answer, Case, Coverage, Covered, Difference, Verdict, What, Wrong},
    },
    policy::Outcome,
};
use std::{
    io::{Write, stderr, stdout},
    path::PathBuf,
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: Config,
    /// Test files, or directories with `*.test.yaml` files in them; without any, those beside the tenants' files
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Show which rules no case reaches
    #[arg(long)]
    coverage: bool,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// So many differences of arguments are shown of a failure.
const DIFFERENCES_SHOWN: usize = 8;

pub(super) fn run(arguments: &Arguments) -> Status {
    let now = clock::unix_seconds(clock::wall());
    let mut configuration = match Configuration::read(&arguments.config.config, now) {
        Ok(configuration) => configuration,
        Err(unfit) => return print::unfit(&unfit, arguments.format),
    };
    let paths = match paths(arguments, &configuration) {
        Ok(paths) => paths,
        Err(wrong) => return refuse(&wrong),
    };
    let mut files = std::mem::take(&mut configuration.loaded.files);
    let (mut all, mut problems) = (Vec::new(), Vec::new());
    for path in &paths {
        let (tests, mut wrong) = config::load_tests(path, &mut files);
        let (cases, more) = tests.map(|tests| cases::read(&configuration, &tests, now)).unwrap_or_default();
        wrong.extend(more);
        // What is missing in a file with errors may have been meant.
        all.extend(cases.into_iter().filter(|_| wrong.is_empty()));
        problems.append(&mut wrong);
    }
    let mut coverage = Coverage::default();
    let mut done = Vec::new();
    for case in all {
        let verdict = case.run();
        coverage.add(&case, &verdict);
        done.push((case, verdict));
    }
    let covered = arguments.coverage.then(|| coverage.of(&configuration));
    let report = Report { done, problems, covered, files };
    match arguments.format {
        Format::Json => print::line(&report.json().to_string()),
        Format::Text => {
            let text = config::to_text(&report.problems, &report.files, print::colour(&stderr()));
            drop(stderr().lock().write_all(text.as_bytes()));
            print::text(&report.text(print::colour(&stdout())));
        }
    }
    if report.failed() == 0 && report.problems.is_empty() { Status::Fine } else { Status::Findings }
}

fn paths(arguments: &Arguments, configuration: &Configuration) -> Result<Vec<PathBuf>, Vec<NoTests>> {
    if arguments.paths.is_empty() {
        Ok(config::test_files(&configuration.loaded))
    } else {
        config::test_files_at(&arguments.paths)
    }
}

fn refuse(wrong: &[NoTests]) -> Status {
    for wrong in wrong {
        print::error(&print::tame(&wrong.to_string()));
    }
    if wrong.iter().any(NoTests::is_usage) { Status::Usage } else { Status::Findings }
}

/// What came of all cases.
struct Report<'c> {
    done: Vec<(Case<'c>, Verdict<'c>)>,
    problems: Vec<Problem>,
    covered: Option<Vec<Covered<'c>>>,
    files: Files,
}

impl Report<'_> {
    fn failed(&self) -> usize {
        self.done.iter().filter(|(_, verdict)| !verdict.is_passed()).count()
    }

    fn text(&self, colour: Colour) -> String {
        let mut lines = Vec::new();
        for (case, verdict) in self.done.iter().filter(|(_, verdict)| !verdict.is_passed()) {
            self.failure(case, verdict, &mut lines);
            lines.push(String::new());
        }
        if let Some(covered) = &self.covered {
            coverage_lines(covered, &mut lines);
            lines.push(String::new());
        }
        let text: String = lines.iter().map(|line| print::tame(line) + "\n").collect();
        // What was tamed holds no escape of its own.
        let text = text.replace("\nFAIL ", &format!("\n{} ", colour.paint("1;31", "FAIL")));
        let text = match text.strip_prefix("FAIL ") {
            Some(rest) => format!("{} {rest}", colour.paint("1;31", "FAIL")),
            None => text,
        };
        format!("{text}{}\n", self.summary())
    }

    fn summary(&self) -> String {
        let failed = self.failed();
        let passed = self.done.len() - failed;
        let mut summary = format!("{}: {passed} passed, {failed} failed", plural(self.done.len(), "case"));
        if !self.problems.is_empty() {
            let errors = plural(self.problems.len(), "error");
            summary.push_str(&format!("; {errors}, and the cases of a file with errors are not run"));
        }
        summary
    }

    fn failure(&self, case: &Case<'_>, verdict: &Verdict<'_>, lines: &mut Vec<String>) {
        let key = case.asker.key.map(|key| format!(", key {}", key.id)).unwrap_or_default();
        let place = self.files.place(case.at);
        lines.push(format!("FAIL {place}  {}: {}{key}", case.asker.tenant.id, subject(&case.what)));
        let because = case.because.as_ref().map(|because| format!(", because {}", Value::string(&**because)));
        lines.push(format!("  expected  {}{}", case.expect.as_str(), because.unwrap_or_default()));
        let at = |answer: &Answer<'_>| match case.what {
            What::Call { .. } => format!(" ({})", places(&answer.places).join(", ")),
            What::Model(_) => String::new(),
        };
        for answer in verdict.answers.iter().filter(|answer| !answer.wrong.is_empty()) {
            lines.push(format!("  got       {}{}", answer.outcome.as_str(), at(answer)));
            if let What::Call { .. } = case.what {
                let by = answer.rule.map(|rule| format!("{}  {rule}", rule.source));
                lines.push(format!("  by        {}", by.unwrap_or_else(|| "no rule".to_owned())));
            }
            if !answer.reason.is_empty() || answer.wrong.contains(&Wrong::Reason) {
                lines.push(format!("  reason    {}", Value::string(&*answer.reason)));
            }
            for wrong in &answer.wrong {
                if let Wrong::Arguments(differences) = wrong {
                    lines.extend(differences.iter().take(DIFFERENCES_SHOWN).map(difference));
                    let more = differences.len().saturating_sub(DIFFERENCES_SHOWN);
                    if more > 0 {
                        lines.push(format!("            and {} more", plural(more, "difference")));
                    }
                }
            }
        }
        for answer in verdict.answers.iter().filter(|answer| answer.wrong.is_empty()) {
            lines.push(format!("  as expected in {}", places(&answer.places).join(", ")));
        }
    }

    fn json(&self) -> Value<'static> {
        let problems = config::to_json(&self.problems, &self.files).to_string();
        let problems = json::parse(problems.as_bytes(), json::NESTING_MAX).unwrap_or_default().into_owned();
        let failed = self.failed();
        let cases = self.done.iter().map(|(case, verdict)| self.case_json(case, verdict)).collect();
        let covered = self.covered.as_ref().map(|covered| covered.iter().map(covered_json).collect());
        Value::object([
            ("passed", count(self.done.len() - failed)),
            ("failed", count(failed)),
            ("errors", count(self.problems.len())),
            ("cases", Value::Array(cases)),
            ("coverage", covered.map_or(Value::Null, Value::Array)),
            ("problems", problems),
        ])
    }

    fn case_json(&self, case: &Case<'_>, verdict: &Verdict<'_>) -> Value<'static> {
        let (call, model, args) = match &case.what {
            What::Call { tool, args, .. } => (Some(tool), None, args.clone()),
            What::Model(model) => (None, Some(model), None),
        };
        Value::object([
            ("file", Value::string(self.files.path(case.at.file).to_owned())),
            ("line", Value::integer(u64::from(case.at.line))),
            ("tenant", Value::string(case.asker.tenant.id.to_string())),
            ("key", text_or_null(case.asker.key.map(|key| key.id.to_string()))),
            ("call", text_or_null(call.cloned())),
            ("model", text_or_null(model.cloned())),
            ("args", args.unwrap_or_default()),
            ("expected", Value::string(case.expect.as_str())),
            ("because", text_or_null(case.because.clone())),
            ("passed", Value::Bool(verdict.is_passed())),
            ("got", Value::Array(verdict.answers.iter().map(answer_json).collect())),
        ])
    }
}

fn coverage_lines(covered: &[Covered<'_>], lines: &mut Vec<String>) {
    lines.push("coverage".to_owned());
    let width = covered.iter().map(|tenant| tenant.tenant.len()).max().unwrap_or(0);
    for tenant in covered.iter().filter(|tenant| tenant.is_tested) {
        let reached = tenant.rules - tenant.unreached.len();
        let (rules, percent) = (plural(tenant.rules, "rule"), tenant.percent());
        lines.push(format!("  {:<width$}  {percent:>3} %  {reached} of {rules}", tenant.tenant));
        for rule in &tenant.unreached {
            lines.push(format!("    not reached: {}  {rule}", rule.source));
        }
    }
    let untested: Vec<&str> =
        covered.iter().filter(|tenant| !tenant.is_tested).map(|tenant| tenant.tenant).collect();
    if !untested.is_empty() {
        lines.push(format!("  no tests: {}", untested.join(", ")));
    }
}

fn subject(what: &What) -> String {
    match what {
        What::Call { tool, args: Some(args), .. } => format!("{tool} {args}"),
        What::Call { tool, args: None, .. } => tool.clone(),
        What::Model(model) => format!("model {model}"),
    }
}

fn difference(difference: &Difference) -> String {
    let path = if difference.path.is_empty() { "all of it" } else { &difference.path };
    let shown = |value: &Option<Value<'_>>| value.as_ref().map_or_else(|| "nothing".into(), Value::to_string);
    format!("  becomes   {path}: expected {}, got {}", shown(&difference.expected), shown(&difference.got))
}

fn places(places: &[Place]) -> Vec<&'static str> {
    places.iter().map(|place| place.as_str()).collect()
}

fn answer_json(answer: &Answer<'_>) -> Value<'static> {
    let wrong = answer.wrong.iter().flat_map(|wrong| match wrong {
        Wrong::Decision => vec![Value::object([("what", Value::string("decision"))])],
        Wrong::Reason => vec![Value::object([("what", Value::string("reason"))])],
        Wrong::Arguments(differences) => differences.iter().map(difference_json).collect(),
    });
    let decision: Outcome = answer.outcome;
    Value::object([
        ("places", Value::Array(places(&answer.places).into_iter().map(Value::string).collect())),
        ("decision", Value::string(decision.as_str())),
        ("rule", text_or_null(answer.rule.map(|rule| rule.source.to_string()))),
        ("reason", Value::string(answer.reason.to_string())),
        ("wrong", Value::Array(wrong.collect())),
    ])
}

fn difference_json(difference: &Difference) -> Value<'static> {
    Value::object([
        ("what", Value::string("becomes")),
        ("path", Value::string(difference.path.clone())),
        ("expected", difference.expected.clone().unwrap_or_default()),
        ("got", difference.got.clone().unwrap_or_default()),
    ])
}

fn covered_json(covered: &Covered<'_>) -> Value<'static> {
    let unreached = covered.unreached.iter().map(|rule| {
        Value::object([
            ("rule", Value::string(rule.source.to_string())),
            ("text", Value::string(rule.to_string())),
        ])
    });
    Value::object([
        ("tenant", Value::string(covered.tenant.to_owned())),
        ("tested", Value::Bool(covered.is_tested)),
        ("rules", count(covered.rules)),
        ("percent", count(covered.percent())),
        ("unreached", Value::Array(unreached.collect())),
    ])
}

fn count(number: usize) -> Value<'static> {
    Value::integer(u64::try_from(number).unwrap_or(u64::MAX))
}

fn text_or_null(text: Option<String>) -> Value<'static> {
    text.map_or(Value::Null, Value::string)
}

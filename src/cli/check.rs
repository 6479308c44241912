//! `tollgate check`: everything that is wrong with a configuration, at once.

use super::{
    Config, Status,
    print::{self, plural},
};
use crate::{
    clock,
    config::{self, Problem, Severity, compile},
    pins::disk,
};
use dashmap::DashMap;
use std::io::stdout;

/// How problems are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Workflow commands, which GitHub shows at their places
    Github,
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    Text,
}

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: Config,
    /// Warnings are findings too
    #[arg(long)]
    strict: bool,
    /// Do without what is only where the gateway runs: secrets in variables and files, certificates and their keys
    #[arg(long)]
    without_secrets: bool,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Status {
    let mut loaded = config::load(&arguments.config.config);
    let env = |name: &str| std::env::var(name).ok();
    let (quotas, now) = (DashMap::new(), clock::unix_seconds(clock::wall()));
    let context = compile::Context {
        env: &env,
        secrets: &crate::records::TenantSecrets::of_master([0; 32]),
        quotas: &quotas,
        before: None,
        now,
    };
    let (tenants, mut problems) = if arguments.without_secrets {
        let (read, problems) = compile::compile_to_read(&loaded, now);
        (read.map(|snapshot| snapshot.tenants), problems)
    } else {
        let (compiled, problems) = compile::compile(&loaded, &context);
        (compiled.map(|compiled| compiled.snapshot.tenants), problems)
    };
    let mut tests = Vec::new();
    for path in config::test_files(&loaded) {
        let (read, more) = config::load_tests(&path, &mut loaded.files);
        if let Some(read) = read {
            problems.extend(config::check_tests(&loaded, &read));
            tests.push(read);
        }
        problems.extend(more);
    }
    problems.extend(config::lint(&loaded, &tests));
    let data_dir = compile::records_place(&loaded, &env).data_dir;
    problems.extend(config::lint_definitions(&loaded, &disk::books(&data_dir)));
    match arguments.format {
        Format::Github => print::text(&config::to_github(&problems, &loaded.files)),
        Format::Sarif => print::line(&config::to_sarif(&problems, &loaded.files).to_string()),
        Format::Json => print::line(&config::to_json(&problems, &loaded.files).to_string()),
        Format::Text => {
            print::text(&config::to_text(&problems, &loaded.files, print::colour(&stdout())));
            print::line(&summary(&problems, tenants));
        }
    }
    let worst = if arguments.strict { !problems.is_empty() } else { count(&problems, Severity::Error) > 0 };
    if worst { Status::Findings } else { Status::Fine }
}

fn count(problems: &[Problem], severity: Severity) -> usize {
    problems.iter().filter(|problem| problem.severity == severity).count()
}

fn summary(problems: &[Problem], tenants: Option<usize>) -> String {
    let errors = count(problems, Severity::Error);
    let warnings = plural(count(problems, Severity::Warning), "warning");
    match tenants {
        Some(tenants) if errors == 0 => format!("ok: {}, {warnings}", plural(tenants, "tenant")),
        Some(_) | None => format!("{}, {warnings}", plural(errors.max(1), "error")),
    }
}

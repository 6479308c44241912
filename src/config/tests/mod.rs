//! Tests of the configuration's outer layer as a whole; the small languages are tested in `values`.

mod extends;
mod golden;
mod laws;
mod lints;
mod loading;
mod schema;
mod values;

use super::{Colour, FileId, check, files::Understood, problem, raw, shape::MapShape, yaml};

/// Everything that is said of a text as a file of a kind.
fn said(text: &str, shape: &'static MapShape) -> String {
    let (node, mut problems) = yaml::parse(FileId(0), text);
    let mut hidden = Vec::new();
    if let Some(node) = &node {
        let findings = check::check(node, shape);
        problems.extend(findings.problems);
        hidden = findings.hidden;
    }
    let mut files = super::Files::default();
    let understood = if node.is_some() { Understood::Yes } else { Understood::No };
    files.push(super::files::Source {
        shown: "config.yaml".to_owned(),
        dir: ".".into(),
        text: Some(text.to_owned()),
        hidden,
        understood,
    });
    let json = problem::to_json(&problems, &files);
    let colour = problem::to_text(&problems, &files, Colour::Ansi);
    if problems.is_empty() {
        return String::new();
    }
    format!("{}\n{colour}\n{json}\n", problem::to_text(&problems, &files, Colour::Plain))
}

fn full(name: &str) -> String {
    std::fs::read_to_string(format!("src/config/tests/full/{name}")).unwrap()
}

/// The typed mirror of a text, as `Debug` shows it.
fn mirrored<T: super::read::Read + std::fmt::Debug>(node: &yaml::Node<'_>) -> String {
    format!("{:?}", T::read(node))
}

type Mirror = fn(&yaml::Node<'_>) -> String;

/// The three kinds of file, each with an example that holds every key.
fn kinds() -> [(String, &'static MapShape, Mirror); 3] {
    [
        (full("tollgate.yaml"), &super::gateway_shape::GATEWAY, mirrored::<raw::Gateway>),
        (full("tenants/acme.yaml"), &super::tenant_shape::TENANT, mirrored::<raw::Tenant>),
        (full("tenants/acme.test.yaml"), &super::test_shape::TESTS, mirrored::<raw::Tests>),
    ]
}

//! Problems as GitHub's workflow commands: a line each, which a pull request shows at its place.

use super::{
    files::Files,
    problem::{Problem, hints, sorted},
};

/// All problems, in order of their places.
pub fn to_github(problems: &[Problem], files: &Files) -> String {
    sorted(problems).into_iter().map(|problem| command(problem, files)).collect()
}

fn command(problem: &Problem, files: &Files) -> String {
    let mut properties = Vec::new();
    if let Some(at) = problem.at {
        properties.push(format!("file={}", property(files.path(at.file))));
        properties.push(format!(
            "line={},col={},endColumn={}",
            at.line,
            at.col,
            at.col.saturating_add(at.len)
        ));
    }
    properties.push(format!("title={}", property(problem.code)));
    let message = std::iter::once(problem.message.clone()).chain(hints(problem, files)).collect::<Vec<_>>();
    let message = data(&message.join("\n"));
    format!("::{} {}::{message}\n", problem.severity.as_str(), properties.join(","))
}

/// What a message may not hold, as GitHub reads it back.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_is_escaped() {
        let check = |text: &str, in_data: &str, in_property: &str| {
            assert_eq!((data(text).as_str(), property(text).as_str()), (in_data, in_property), "{text}");
        };
        check(
            "a: b, 100%\r\n::error::x",
            "a: b, 100%25%0D%0A::error::x",
            "a%3A b%2C 100%25%0D%0A%3A%3Aerror%3A%3Ax",
        );
        check("%0A", "%250A", "%250A");
        let problem = Problem::error("x", None, "a\nb").hint("c");
        assert_eq!(to_github(&[problem], &Files::default()), "::error title=x::a%0Ab%0Ac\n");
    }
}

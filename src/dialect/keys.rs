//! Keys that some readers take for others. Go's encoding/json, which several OpenAI-compatible servers are written
//! with, matches keys without regard to case, by Unicode's simple folding: `Model`, and `tool\u{17f}` for `tools`.
//! What is decided on must be what every reader reads.

use crate::{json::Value, refusal::Refusal};

/// Whether a reader that folds case takes `key` for `name`, which is lower-case ASCII.
pub(super) fn reads_as(key: &str, name: &str) -> bool {
    key.chars().map(fold_char).eq(name.chars())
}

/// A key as a reader that folds case takes it.
pub(super) fn fold(key: &str) -> String {
    key.chars().map(fold_char).collect()
}

fn fold_char(c: char) -> char {
    match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        _ => c.to_ascii_lowercase(),
    }
}

/// Refuses an object in which a key is not one of these names and yet could be read as one of them.
pub(super) fn no_twins(object: &Value<'_>, names: &[&str], param: &str) -> Result<(), Refusal> {
    for (key, _) in object.members().unwrap_or_default() {
        // Nobody reads a key of small letters as another one.
        if key.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
            continue;
        }
        let twin = names.iter().find(|name| key != *name && reads_as(key, name));
        if let Some(name) = twin {
            let message = format!("a key could be read as `{name}`; write it exactly so, or leave it out");
            return Err(Refusal::invalid(message, Some(param)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_as_go_does() {
        for (key, name) in
            [("Model", "model"), ("TOOLS", "tools"), ("tool\u{17f}", "tools"), ("to\u{212a}en", "token")]
        {
            assert!(reads_as(key, name), "{key}");
        }
        assert!(!reads_as("tool", "tools") && !reads_as("modèl", "model"));
    }
}

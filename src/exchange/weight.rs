//! How much a request weighs where nobody counts its tokens: four bytes of its body are taken for one. A picture or file
//! within it is no text: its base64 is taken for what a large picture costs.

use crate::usage::Usage;
use bytes::Bytes;

/// So many bytes of text are taken for a token where the provider does not count.
pub(super) const BYTES_A_TOKEN: u64 = 4;
/// A run of base64 of so many bytes is no text.
const FILE_BYTES_MIN: usize = 2048;
/// So many tokens a picture or a page costs, about. Source: OpenAI's and Anthropic's guides to vision.
const FILE_TOKENS: u64 = 1600;

/// What was used by a request of such a weight, of whose answer nothing is known.
pub fn estimate(weight: u64) -> Usage {
    Usage { input: weight.div_ceil(BYTES_A_TOKEN), ..Usage::default() }
}

/// The bytes of a body that count: all of its text, and for each file as much text as it costs.
pub fn weight(body: &Bytes) -> u64 {
    let length = count(body.len());
    if body.len() < FILE_BYTES_MIN {
        return length;
    }
    let files = body.split(|byte| !is_base64(*byte)).map(|run| count(run.len()));
    let excess = files
        .filter(|run| *run >= count(FILE_BYTES_MIN))
        .map(|run| run.saturating_sub(FILE_TOKENS * BYTES_A_TOKEN))
        .fold(0, u64::saturating_add);
    length.saturating_sub(excess)
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_weighs_its_bytes_and_files_a_picture_each() {
        let tokens = |body: String| estimate(weight(&body.into())).input;
        assert_eq!(tokens(String::new()), 0);
        assert_eq!(tokens("word ".repeat(8000)), 10_000);
        let file = "iVBORw0KGgo+/A".repeat(100_000);
        let body = format!("{{\"url\":\"data:image/png;base64,{file}\"}}");
        assert!((1600..1650).contains(&tokens(body.clone())));
        assert!((3200..3300).contains(&tokens(format!("[{body},{body}]"))));
        // A short run is what it is.
        assert_eq!(tokens("a".repeat(4000)), 1000);
    }
}

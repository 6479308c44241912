//! Tokens by the length of a text. A picture or file in it is no text: its base64 is taken for what a large picture costs.

/// So many bytes of text are taken for a token where nobody counts.
const BYTES_A_TOKEN: u64 = 4;
/// A run of base64 of so many bytes is no text.
const FILE_BYTES_MIN: usize = 2048;
/// So many tokens a picture or a page costs, about. Source: OpenAI's and Anthropic's guides to vision.
pub(super) const FILE_TOKENS: u64 = 1600;

/// The tokens of so many bytes of text.
pub fn of_length(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_A_TOKEN)
}

/// The tokens of a request's body, whatever stands in it.
pub fn of_body(body: &[u8]) -> u64 {
    let all = super::length(body.len());
    if body.len() < FILE_BYTES_MIN {
        return of_length(all);
    }
    let files = body.split(|byte| !is_base64(*byte)).map(|run| super::length(run.len()));
    let excess = files
        .filter(|run| *run >= super::length(FILE_BYTES_MIN))
        .map(|run| run.saturating_sub(FILE_TOKENS * BYTES_A_TOKEN))
        .fold(0, u64::saturating_add);
    of_length(all.saturating_sub(excess))
}

/// Whether a text is a file: base64, behind the head of a `data:` URL or alone.
pub(super) fn is_file(text: &str) -> bool {
    let data = text.rsplit_once(',').filter(|_| text.starts_with("data:")).map_or(text, |(_, data)| data);
    let data = data.trim_end_matches('=');
    data.len() >= FILE_BYTES_MIN && data.bytes().all(is_base64)
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_counts_by_its_bytes_and_files_a_picture_each() {
        let tokens = |body: &str| of_body(body.as_bytes());
        assert_eq!(tokens(""), 0);
        assert_eq!(tokens(&"word ".repeat(8000)), 10_000);
        let file = "iVBORw0KGgo+/A".repeat(100_000);
        let body = format!("{{\"url\":\"data:image/png;base64,{file}\"}}");
        assert!((1600..1650).contains(&tokens(&body)));
        assert!((3200..3300).contains(&tokens(&format!("[{body},{body}]"))));
        // A short run is what it is.
        assert_eq!(tokens(&"a".repeat(4000)), 1000);
    }

    #[test]
    fn a_file_is_known_by_its_letters() {
        let file = "iVBORw0KGgo+/A".repeat(200);
        assert!(is_file(&file) && is_file(&format!("data:image/png;base64,{file}==")));
        assert!(!is_file(&format!("look: {file}")) && !is_file("aGVsbG8="));
    }
}

//! Signed checkpoints: how long a tenant's chain was at some time and how it ended, under the gateway's private key.
//! Apart from the head, which says the same under a secret: whoever has the public key can check a checkpoint, and
//! with it everything up to there, and can make none.
//!
//! A checkpoint is a line. Signed are its bytes without its `sig` member. Each has a number, and names the SHA-256 of the
//! line before it, so that none can be taken out or moved; the first names SHA-256(`tollgate audit checkpoints TENANT`).

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{
    chain::Digest,
    head::{Base, file_name, parse_file_name},
    signing::{KeyId, PublicKey, SIGNATURE_BYTES, Signer},
    stamp::Day,
};

const KIND: &str = "tollgate audit checkpoint";
const SIGNATURE: &str = r#","sig":""#;

/// Where a tenant's checkpoints stand: after the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signed {
    /// The number of the last one; 0: there is none.
    pub(super) number: u64,
    /// What the next one names as the one before it.
    pub(super) last: Digest,
    /// Records of the chain that the last one counts.
    pub(super) records: u64,
    /// How many were removed by retention, the first ones.
    pub(super) removed: u64,
}

impl Signed {
    pub(super) fn genesis(tenant: &str) -> Self {
        let last = Digest::of([b"tollgate audit checkpoints ", tenant.as_bytes(), b""]);
        Self { number: 0, last, records: 0, removed: 0 }
    }
}

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) time: String,
    pub(super) tenant: String,
    pub(super) number: u64,
    /// The file that holds the last record.
    pub(super) day: Option<Day>,
    /// Records of the chain, those that retention removed included.
    pub(super) records: u64,
    /// Hash of the last of them.
    pub(super) last: Digest,
    pub(super) base: Base,
    /// How many of the first checkpoints were removed by retention.
    pub(super) removed: u64,
    pub(super) prev: Digest,
    pub(super) key: KeyId,
}

/// A checkpoint as it was read, and what it was signed with.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub(super) checkpoint: Checkpoint,
    message: Vec<u8>,
    signature: [u8; SIGNATURE_BYTES],
}

impl Read {
    /// Whether it was signed with the private key of this public one.
    pub(super) fn is_signed_by(&self, key: &PublicKey) -> bool {
        *key.id() == self.checkpoint.key && key.is_signed(&self.message, &self.signature)
    }
}

impl Checkpoint {
    /// The line, newline included, and where the checkpoints stand behind it; None if it cannot be signed now.
    pub(super) fn sign(&self, signer: &Signer) -> Option<(Vec<u8>, Signed)> {
        let mut line = self.message();
        let signature = signer.sign(line.as_bytes())?;
        line.pop();
        line.push_str(SIGNATURE);
        line.push_str(&STANDARD.encode(signature));
        line.push_str("\"}");
        let signed = self.stand(line.as_bytes());
        line.push('\n');
        Some((line.into_bytes(), signed))
    }

    /// Where the checkpoints stand behind this one, of which `line` is the line.
    pub(super) fn stand(&self, line: &[u8]) -> Signed {
        let last = Digest::of([line, b"", b""]);
        Signed { number: self.number, last, records: self.records, removed: self.removed }
    }

    /// Reads a line without its newline; None for anything that is no checkpoint to the letter.
    pub(super) fn parse(line: &[u8]) -> Option<Read> {
        let text = std::str::from_utf8(line).ok()?;
        let (message, signature) = text.strip_suffix("\"}")?.rsplit_once(SIGNATURE)?;
        let signature = STANDARD.decode(signature).ok()?.try_into().ok()?;
        let message = format!("{message}}}");
        let checkpoint = Self::from_members(&serde_json::from_str(&message).ok()?)?;
        // Rendering anew what was understood, and comparing, leaves no room for a member that was not looked at.
        (checkpoint.message() == message).then(|| Read {
            checkpoint,
            message: message.into_bytes(),
            signature,
        })
    }

    fn message(&self) -> String {
        let file =
            |day: Option<Day>| day.map_or_else(|| "null".to_owned(), |day| format!("\"{}\"", file_name(day)));
        format!(
            r#"{{"kind":"{KIND}","time":"{}","tenant":"{}","number":{},"file":{},"records":{},"last":"{}","base":{{"file":{},"prev":"{}","records":{},"checkpoints":{}}},"prev":"{}","key":"{}"}}"#,
            self.time,
            self.tenant,
            self.number,
            file(self.day),
            self.records,
            self.last.as_str(),
            file(self.base.day),
            self.base.prev.as_str(),
            self.base.records,
            self.removed,
            self.prev.as_str(),
            self.key,
        )
    }

    fn from_members(document: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let digest = |value: &Value| Digest::parse(value.as_str()?.as_bytes());
        let day = |value: &Value| {
            if value.is_null() { Some(None) } else { parse_file_name(value.as_str()?).map(Some) }
        };
        let base = document.get("base")?;
        Some(Self {
            time: text(document.get("time")?)?,
            tenant: text(document.get("tenant")?)?,
            number: document.get("number")?.as_u64()?,
            day: day(document.get("file")?)?,
            records: document.get("records")?.as_u64()?,
            last: digest(document.get("last")?)?,
            base: Base {
                day: day(base.get("file")?)?,
                prev: digest(base.get("prev")?)?,
                records: base.get("records")?.as_u64()?,
            },
            removed: base.get("checkpoints")?.as_u64()?,
            prev: digest(document.get("prev")?)?,
            key: KeyId::parse(document.get("key")?.as_str()?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::signing::tests::pair, *};

    fn line() -> Vec<u8> {
        let (signer, _) = pair(1);
        let next = Checkpoint {
            time: "2026-11-25T10:00:00.000Z".into(),
            tenant: "acme".into(),
            number: 1,
            day: Day::parse("2026-11-25"),
            records: 7,
            last: Digest::of([b"x", b"", b""]),
            base: Base::genesis("acme"),
            removed: 0,
            prev: Signed::genesis("acme").last,
            key: signer.id().clone(),
        };
        let (mut line, signed) = next.sign(&signer).unwrap();
        line.pop();
        assert_eq!(signed, next.stand(&line));
        line
    }

    #[test]
    fn a_checkpoint_reads_back_and_no_changed_byte_does() {
        let (_, public) = pair(1);
        let line = line();
        let read = Checkpoint::parse(&line).unwrap();
        assert!(read.is_signed_by(&public) && !read.is_signed_by(&pair(2).1));
        assert_eq!((read.checkpoint.number, read.checkpoint.records), (1, 7));
        assert_eq!(read.checkpoint.prev, Signed::genesis("acme").last);
        for bit in 0..line.len() * 8 {
            let mut changed = line.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let is_good = Checkpoint::parse(&changed).is_some_and(|read| read.is_signed_by(&public));
            assert!(!is_good, "bit {bit}");
        }
    }

    #[test]
    fn what_is_signed_is_what_the_page_says() {
        let text = String::from_utf8(line()).unwrap();
        let (message, signature) = text.split_once(",\"sig\":\"").unwrap();
        let signature = STANDARD.decode(signature.strip_suffix("\"}").unwrap()).unwrap();
        assert!(pair(1).1.is_signed(format!("{message}}}").as_bytes(), &signature));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["file"], "2026-11-25.jsonl");
        assert_eq!(value["time"], "2026-11-25T10:00:00.000Z");
        assert_eq!(value["key"], pair(1).1.id().as_str());
    }
}

//! A chain's head: how many records there are, which is the last, and where. Apart from the chain because it shows
//! what the chain cannot: that its end was cut off, or that all of it was computed anew, which the MAC under the
//! tenant's secret makes impossible without that secret. Also the base, from which on records are still kept.

use std::{collections::BTreeSet, time::SystemTime};

use serde_json::{Value, json};

use super::{
    chain::{Digest, genesis},
    stamp::{Day, parse_time, rfc3339},
};
use crate::redact::TenantSecret;

/// The state of a tenant's chain on disk, as of the last fsync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// Records of the chain, those that retention removed included.
    pub(super) records: u64,
    /// Hash of the last of them; the genesis when there is none.
    pub(super) last: Digest,
    /// The file that holds the last record, and its length behind it.
    pub(super) at: Option<(Day, u64)>,
    pub(super) base: Base,
    /// The number of the last signed checkpoint, and the hash of its line; None: there is none.
    pub(super) signed: Option<(u64, Digest)>,
    /// Days whose files begin with a record of the day before, of which there is no file: it came after that was closed.
    pub(super) late: BTreeSet<Day>,
    /// Retention is removing the files from before the base, or was when it was interrupted.
    pub(super) is_removing: bool,
    /// Whoever wrote it ended there: no record is behind it before it is put in place anew.
    pub(super) is_end: bool,
    /// Until when records may come behind it. None where it says that it ends, or is of a version that did not say it.
    pub(super) until: Option<SystemTime>,
}

/// Where a chain begins on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base {
    /// Files of earlier days were removed by retention; None: nothing was.
    pub(super) day: Option<Day>,
    /// What the first record that is kept names as `prev`.
    pub(super) prev: Digest,
    /// How many records were removed.
    pub(super) records: u64,
}

impl Base {
    pub(super) fn genesis(tenant: &str) -> Self {
        Self { day: None, prev: genesis(tenant), records: 0 }
    }
}

/// Why a head cannot be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadHead {
    #[error("unreadable")]
    Shape,
    #[error("not made with this secret")]
    Mac,
}

impl Head {
    /// The head as the text of its file.
    pub(super) fn render(&self, tenant: &str, secret: &TenantSecret) -> String {
        let mut document = self.members(tenant);
        let mac = secret.hmac_hex("audit head", document.to_string().as_bytes());
        if let Value::Object(members) = &mut document {
            members.insert("mac".into(), Value::String(mac));
        }
        format!("{document}\n")
    }

    /// Reads a head. Without a secret its MAC is not checked.
    pub(super) fn parse(text: &str, tenant: &str, secret: Option<&TenantSecret>) -> Result<Self, BadHead> {
        let document: Value = serde_json::from_str(text).map_err(|_| BadHead::Shape)?;
        let head = Self::from_members(&document).ok_or(BadHead::Shape)?;
        // Rendering anew what was understood, and comparing, leaves no room for a member that was not looked at.
        let mut own = head.members(tenant);
        let signed = own.to_string();
        let mac = document.get("mac").and_then(Value::as_str).ok_or(BadHead::Shape)?;
        if let Value::Object(members) = &mut own {
            members.insert("mac".into(), mac.into());
        }
        if own != document {
            return Err(BadHead::Shape);
        }
        match secret {
            Some(secret) if secret.hmac_hex("audit head", signed.as_bytes()) != mac => Err(BadHead::Mac),
            Some(_) | None => Ok(head),
        }
    }

    fn members(&self, tenant: &str) -> Value {
        let file = |day: Day| file_name(day);
        let mut document = json!({
            "tenant": tenant,
            "records": self.records,
            "last": self.last.as_str(),
            "file": self.at.map(|(day, _)| file(day)),
            "bytes": self.at.map_or(0, |(_, bytes)| bytes),
            "base": {
                "file": self.base.day.map(file),
                "prev": self.base.prev.as_str(),
                "records": self.base.records,
            },
        });
        if let (Value::Object(members), Some((number, last))) = (&mut document, &self.signed) {
            members.insert("signed".into(), json!({ "checkpoints": number, "last": last.as_str() }));
        }
        if let (Value::Object(members), false) = (&mut document, self.late.is_empty()) {
            members.insert("late".into(), self.late.iter().map(|day| file(*day)).collect());
        }
        if let (Value::Object(members), true) = (&mut document, self.is_removing) {
            members.insert("removing".into(), Value::Bool(true));
        }
        if let (Value::Object(members), true) = (&mut document, self.is_end) {
            members.insert("end".into(), Value::Bool(true));
        }
        if let (Value::Object(members), Some(until)) = (&mut document, self.until) {
            members.insert("until".into(), rfc3339(until).into());
        }
        document
    }

    fn from_members(document: &Value) -> Option<Self> {
        let day = |value: &Value| match value {
            Value::Null => Some(None),
            Value::String(name) => parse_file_name(name).map(Some),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let digest = |value: &Value| Digest::parse(value.as_str()?.as_bytes());
        let base = document.get("base")?;
        let bytes = document.get("bytes")?.as_u64()?;
        let signed = match document.get("signed") {
            Some(signed) => Some((signed.get("checkpoints")?.as_u64()?, digest(signed.get("last")?)?)),
            None => None,
        };
        let late = document.get("late").and_then(Value::as_array).into_iter().flatten();
        let late = late.map(|name| parse_file_name(name.as_str()?)).collect::<Option<_>>()?;
        let until = match document.get("until") {
            Some(until) => Some(parse_time(until.as_str()?)?),
            None => None,
        };
        let (records, removed) = (document.get("records")?.as_u64()?, base.get("records")?.as_u64()?);
        if removed > records {
            return None;
        }
        Some(Self {
            records,
            last: digest(document.get("last")?)?,
            at: day(document.get("file")?)?.map(|day| (day, bytes)),
            base: Base { day: day(base.get("file")?)?, prev: digest(base.get("prev")?)?, records: removed },
            signed,
            late,
            is_removing: document.get("removing").is_some(),
            is_end: document.get("end").is_some(),
            until,
        })
    }
}

/// The name of a day's file.
pub(super) fn file_name(day: Day) -> String {
    format!("{day}.jsonl")
}

/// The day of a file's name; None for a file that is not a day's.
pub(super) fn parse_file_name(name: &str) -> Option<Day> {
    Day::parse(name.strip_suffix(".jsonl").filter(|day| day.len() == 10)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(at: Option<(Day, u64)>, base_day: Option<Day>) -> Head {
        let base = Base { day: base_day, ..Base::genesis("acme") };
        let signed = at.map(|(_, bytes)| (bytes, genesis("y")));
        let late = base_day.into_iter().collect();
        let (is_removing, is_end) = (at.is_some(), at.is_none());
        let until = parse_time("2026-11-25T10:05:00.123Z").filter(|_| !is_end);
        Head { records: 7, last: genesis("x"), at, base, signed, late, is_removing, is_end, until }
    }

    #[test]
    fn a_head_reads_back_and_no_changed_byte_does() {
        let secret = TenantSecret::derive(&[7; 32], "acme");
        let day = Day::parse("2026-11-25");
        for head in [head(None, None), head(day.map(|day| (day, 4711)), day)] {
            let text = head.render("acme", &secret);
            assert_eq!(Head::parse(&text, "acme", Some(&secret)), Ok(head.clone()));
            assert_eq!(Head::parse(&text, "acme", None), Ok(head));
            assert!(Head::parse(&text, "globex", Some(&secret)).is_err());
            for at in 0..text.len() - 1 {
                let mut changed = text.clone().into_bytes();
                changed[at] ^= 1;
                let Ok(changed) = String::from_utf8(changed) else { continue };
                assert!(Head::parse(&changed, "acme", Some(&secret)).is_err(), "byte {at}");
            }
        }
    }

    #[test]
    fn another_secret_is_told_from_another_shape() {
        let text = head(None, None).render("acme", &TenantSecret::derive(&[7; 32], "acme"));
        let other = TenantSecret::derive(&[8; 32], "acme");
        assert_eq!(Head::parse(&text, "acme", Some(&other)), Err(BadHead::Mac));
        assert_eq!(Head::parse("{}", "acme", None), Err(BadHead::Shape));
    }

    #[test]
    fn only_days_files_are_days_files() {
        for name in ["2026-11-25.jsonl.torn", "2026-11-25", "x2026-11-25.jsonl", "2026-11-255.jsonl", "lock"]
        {
            assert_eq!(parse_file_name(name), None, "{name}");
        }
        let day = Day::parse("2026-11-25").unwrap();
        assert_eq!(parse_file_name(&file_name(day)), Some(day));
    }
}

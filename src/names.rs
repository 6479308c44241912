//! The names that the gateway trusts: checked once, when they are made, then only passed on.
//! Apart from everything else because every module speaks of tenants, keys and upstreams, and none may invent one.

use sha2::{Digest, Sha256};
use std::{fmt, sync::Arc};

/// Why a text is no name, in words that fit behind "the name `…`".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadName(&'static str);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The name as shared text, for records.
            pub fn shared(&self) -> Arc<str> {
                Arc::clone(&self.0)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = BadName;

            fn try_from(text: &str) -> Result<Self, BadName> {
                let check: fn(&str) -> Result<(), BadName> = $check;
                check(text)?;
                Ok(Self(Arc::from(text)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name!(
    /// A customer of the platform: `a-z0-9-`, 1 to 63 characters, no dash at either end.
    TenantId,
    tenant
);
name!(
    /// A credential of a tenant, by its public id: 1 to 63 characters of `a-zA-Z0-9._-`; or another kind of caller.
    KeyId,
    key
);
name!(
    /// A server that the gateway forwards to: `a-z0-9_-`, 1 to 63 characters, without `__`,
    /// which separates it from an operation in a tool's name.
    UpstreamName,
    upstream
);

/// So long may a subject be that stands in an id as it is.
const SUBJECT_BYTES_MAX: usize = 63;

impl KeyId {
    /// The id of a caller without a key: `ISSUER:SUBJECT`, which is no key's. A subject that is long, or holds other
    /// characters than letters, digits and `._:|/-` (an e-mail address, say), stands there as a digest.
    pub fn of_caller(issuer: &str, subject: &str) -> Self {
        let is_plain = subject.len() <= SUBJECT_BYTES_MAX
            && all(subject, |b| b.is_ascii_alphanumeric() || b"._:|/-".contains(&b)).is_some();
        if is_plain && !subject.starts_with(DIGEST) {
            return Self(format!("{issuer}:{subject}").into());
        }
        let digest = Sha256::digest(subject);
        let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self(format!("{issuer}:{DIGEST}{hex}").into())
    }

    /// What stands before the subject; `None` for a key's own id.
    pub fn issuer(&self) -> Option<&str> {
        self.0.split_once(':').map(|(issuer, _)| issuer)
    }
}

/// Before the digest of a subject.
const DIGEST: &str = "sha256-";

fn tenant(text: &str) -> Result<(), BadName> {
    length(text)?;
    if text.starts_with('-') || text.ends_with('-') {
        return Err(BadName("must not begin or end with a dash"));
    }
    all(text, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        .ok_or(BadName("may hold only a-z, 0-9 and -"))
}

fn key(text: &str) -> Result<(), BadName> {
    length(text)?;
    all(text, |b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        .ok_or(BadName("may hold only letters, digits, dot, underscore and dash"))
}

fn upstream(text: &str) -> Result<(), BadName> {
    length(text)?;
    if text.contains("__") {
        return Err(BadName("must not hold `__`, which separates server and tool"));
    }
    all(text, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
        .ok_or(BadName("may hold only a-z, 0-9, underscore and dash"))
}

fn length(text: &str) -> Result<(), BadName> {
    match text.len() {
        0 => Err(BadName("is empty")),
        1..=63 => Ok(()),
        _ => Err(BadName("is longer than 63 characters")),
    }
}

fn all(text: &str, allowed: impl Fn(u8) -> bool) -> Option<()> {
    text.bytes().all(allowed).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_told_apart_in_few_bytes() {
        let check = |subject: &str, expected: &str| {
            let id = KeyId::of_caller("jwt", subject);
            assert_eq!((id.as_str(), id.issuer()), (expected, Some("jwt")), "{subject}");
            // No key can have such an id.
            assert!(KeyId::try_from(id.as_str()).is_err());
        };
        check("alice", "jwt:alice");
        check("auth0|5f7c", "jwt:auth0|5f7c");
        check("system:serviceaccount:prod:agent", "jwt:system:serviceaccount:prod:agent");
        // Source of the figures: Python's hashlib.
        check("a@b.example", "jwt:sha256-ebb18a030bf15174f5714e24d63af1a8");
        check("a b", "jwt:sha256-c8687a08aa5d6ed2044328fa6a697ab8");
        let longest = "x".repeat(SUBJECT_BYTES_MAX);
        check(&longest, &format!("jwt:{longest}"));
        for other in [
            "\n",
            "\u{202e}",
            &"x".repeat(64),
            &"x".repeat(100_000),
            "sha256-c8687a08aa5d6ed2044328fa6a697ab8",
        ] {
            let id = KeyId::of_caller("jwt", other);
            assert!(
                id.as_str().len() == "jwt:sha256-".len() + 32
                    && id.as_str().bytes().all(|b| b.is_ascii_graphic()),
                "{id}"
            );
            assert_ne!(id, KeyId::of_caller("jwt", "a b"));
        }
        assert_eq!(KeyId::try_from("prod").unwrap().issuer(), None);
    }

    #[test]
    fn names_are_checked() {
        let check = |text: &str, tenant: bool, key: bool, upstream: bool| {
            assert_eq!(TenantId::try_from(text).is_ok(), tenant, "tenant {text}");
            assert_eq!(KeyId::try_from(text).is_ok(), key, "key {text}");
            assert_eq!(UpstreamName::try_from(text).is_ok(), upstream, "upstream {text}");
        };
        check("acme", true, true, true);
        check("acme-2", true, true, true);
        check("-acme", false, true, true);
        check("Acme", false, true, false);
        check("a_b", false, true, true);
        check("a__b", false, true, false);
        check("a.b", false, true, false);
        check("", false, false, false);
        check("..", false, true, false);
        check("a/b", false, false, false);
        check(&"a".repeat(64), false, false, false);
    }
}

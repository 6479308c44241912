//! How a client certificate names its tenant: by a pattern of its one URI name, such as a SPIFFE ID. A pattern can match a
//! name in one way only, so that nobody can choose a name that reads as another tenant's.

use super::{Directory, Identity, Unidentified};
use crate::names::{KeyId, TenantId};
use std::sync::Arc;

/// What the ids of callers with a certificate begin with. No issuer is called so.
pub const MTLS: &str = "mtls";
/// A longer name is nobody's. Source: the SPIFFE ID specification, section 2.3.
const NAME_BYTES_MAX: usize = 2048;
/// Where the tenant's name stands.
const TENANT: &str = "{tenant}";

/// A certificate that a client proved to hold, as far as it is known who signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// It is good now; with its URI name, if it has exactly one.
    Good(Option<Arc<str>>),
    /// It was good, and is not any more.
    Lapsed,
}

/// A pattern of names, as it was configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// `spiffe`, of `spiffe://…`.
    scheme: Box<str>,
    segments: Vec<Segment>,
}

/// What stands between two slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Any,
    Exactly(Box<str>),
    /// The tenant's name, between these.
    Tenant(Box<str>, Box<str>),
}

impl Pattern {
    /// Reads `spiffe://example.org/ns/{tenant}/sa/*`. `*` stands for one whole segment.
    ///
    /// # Errors
    /// When it is none, or names could be read in two ways.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match text.matches(TENANT).count() {
            1 => {}
            0 => return Err("must hold {tenant} where the tenant's name stands"),
            _ => return Err("must hold {tenant} only once"),
        }
        let (scheme, rest) =
            text.split_once("://").ok_or("must begin as the names do, such as spiffe://example.org/")?;
        if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Err("must begin with a scheme in lower case, such as spiffe://");
        }
        let segments = rest.split('/').map(segment).collect::<Result<Vec<_>, _>>()?;
        if segments.first() == Some(&Segment::Any) {
            return Err("must name its trust domain, behind ://");
        }
        Ok(Self { scheme: scheme.into(), segments })
    }

    /// The tenant that a name names.
    pub fn tenant_of<'n>(&self, name: &'n str) -> Option<&'n str> {
        let rest = name.strip_prefix(&*self.scheme)?.strip_prefix("://")?;
        if name.len() > NAME_BYTES_MAX || !rest.bytes().all(is_plain) {
            return None;
        }
        let mut tenant = None;
        let mut given = rest.split('/');
        for segment in &self.segments {
            let text = given.next().filter(|text| !["", ".", ".."].contains(text))?;
            match segment {
                Segment::Any => {}
                Segment::Exactly(expected) => (**expected == *text).then_some(())?,
                Segment::Tenant(before, behind) => {
                    let name = text.strip_prefix(&**before)?.strip_suffix(&**behind)?;
                    tenant = Some(name).filter(|name| TenantId::try_from(*name).is_ok());
                }
            }
        }
        tenant.filter(|_| given.next().is_none())
    }
}

fn segment(text: &str) -> Result<Segment, &'static str> {
    if text == "*" {
        return Ok(Segment::Any);
    }
    if text.is_empty() {
        return Err("holds two slashes in a row, or ends in one");
    }
    let plain = |text: &str| text.bytes().all(is_plain);
    match text.split_once(TENANT) {
        None if text.contains('*') => Err("a `*` stands for what is between two slashes, alone"),
        None if plain(text) => Ok(Segment::Exactly(text.into())),
        // What a tenant's name could begin or end with would make two names of one.
        Some((before, behind)) if !before.ends_with(of_names) && !behind.starts_with(of_names) => {
            if plain(before) && plain(behind) {
                Ok(Segment::Tenant(before.into(), behind.into()))
            } else {
                Err("holds a character that names do not have")
            }
        }
        Some(_) => {
            Err("a letter, digit or dash beside {tenant} could be the name's own; set it off by . or _ or /")
        }
        None => Err("holds a character that names do not have"),
    }
}

/// Whether a character can stand in a tenant's name.
fn of_names(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

/// Whether a byte stands in a SPIFFE ID, or another plain name: nothing that is encoded, no query, no user.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._/:".contains(&byte)
}

impl Directory {
    /// Takes certificates too, by their names.
    pub fn certify(&mut self, pattern: Pattern) {
        self.certificates = Some(pattern);
    }

    /// Who a request is of that came with a certificate, where certificates name tenants. What it shows besides has to
    /// be the same tenant's, and narrows it.
    pub fn certified(
        &self,
        certificate: Option<&Certificate>,
        shown: Result<Option<Identity>, Unidentified>,
    ) -> Result<Option<Identity>, Unidentified> {
        let shown = shown?;
        let (Some(pattern), Some(certificate)) = (&self.certificates, certificate) else { return Ok(shown) };
        let Certificate::Good(Some(name)) = certificate else { return Err(Unidentified) };
        let member = pattern.tenant_of(name).and_then(|tenant| self.tenants.get(tenant));
        let member = member.filter(|member| !member.tenant.is_abstract).ok_or(Unidentified)?;
        match shown {
            Some(identity) if identity.tenant.id == member.tenant.id => Ok(Some(identity)),
            Some(_) => Err(Unidentified),
            None => {
                let key = self.subject(&member.tenant, KeyId::of_caller(MTLS, name));
                Ok(Some(Identity { tenant: Arc::clone(&member.tenant), key, until: None }))
            }
        }
    }

    /// Whether callers can be known by certificates.
    pub fn takes_certificates(&self) -> bool {
        self.certificates.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_that_name_one_tenant() {
        let check = |pattern: &str, name: &str, tenant: Option<&str>| {
            assert_eq!(Pattern::parse(pattern).unwrap().tenant_of(name), tenant, "{pattern} {name}");
        };
        let kubernetes = "spiffe://example.org/ns/{tenant}/sa/*";
        check(kubernetes, "spiffe://example.org/ns/acme/sa/agent", Some("acme"));
        for other in [
            "spiffe://example.org/ns/acme/sa/agent/x",
            "spiffe://example.org/ns/acme/sa/",
            "spiffe://example.org/ns/acme/sa",
            "spiffe://example.org/ns/acme/sa/..",
            "spiffe://example.org/ns/acme/../globex/sa/agent",
            "spiffe://example.org/ns//sa/agent",
            "spiffe://example.org/ns/Acme/sa/agent",
            "spiffe://example.org/ns/ac%6de/sa/agent",
            "spiffe://example.org/ns/acme/sa/agent?x",
            "spiffe://example.org/ns/acme/sa/agent#x",
            "spiffe://example.org:1/ns/acme/sa/agent",
            "spiffe://EXAMPLE.org/ns/acme/sa/agent",
            "spiffe://other.org/ns/acme/sa/agent",
            "https://example.org/ns/acme/sa/agent",
            "spiffe:example.org/ns/acme/sa/agent",
            "spiffe://u@example.org/ns/acme/sa/agent",
            "spiffe://example.org/ns/acme\0/sa/agent",
            "",
        ] {
            check(kubernetes, other, None);
        }
        check("spiffe://{tenant}.example.org/*", "spiffe://acme.example.org/x", Some("acme"));
        check("spiffe://{tenant}.example.org/*", "spiffe://a.b.example.org/x", None);
        check("spiffe://example.org/t_{tenant}", "spiffe://example.org/t_acme", Some("acme"));
        let long = format!("spiffe://example.org/ns/acme/sa/{}", "x".repeat(NAME_BYTES_MAX));
        check(kubernetes, &long, None);
    }

    #[test]
    fn patterns_that_could_name_two() {
        for bad in [
            "",
            "spiffe://example.org/*",
            "spiffe://{tenant}/{tenant}",
            "{tenant}",
            "spiffe://*/{tenant}",
            "spiffe://example.org/x{tenant}",
            "spiffe://example.org/{tenant}-x",
            "spiffe://example.org/{tenant}*",
            "spiffe://example.org/a*/{tenant}",
            "spiffe://example.org//{tenant}",
            "spiffe://example.org/{tenant}/",
            "spiffe://example.org/ä/{tenant}",
            "SPIFFE://example.org/{tenant}",
            "://example.org/{tenant}",
        ] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        /// A name is a tenant's only if it is the pattern with this tenant's name in it.
        #[test]
        fn a_name_is_read_in_one_way(name in "[a-z0-9./-]{0,30}", last in "[a-z0-9./-]{0,10}") {
            let pattern = Pattern::parse("spiffe://example.org/ns/{tenant}/sa/*").unwrap();
            let full = format!("spiffe://example.org/ns/{name}/sa/{last}");
            if let Some(tenant) = pattern.tenant_of(&full) {
                prop_assert_eq!((tenant, last.contains('/')), (&*name, false));
            }
        }
    }
}

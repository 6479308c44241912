//! How callers are known besides keys, held against the tenants and listeners that there are.

use super::{Compiler, address_of};
use crate::{
    config::{At, Mark, Problem, lineage::Held, nearest, raw},
    identity::{
        Directory, FIXED,
        certificate::{MTLS, Pattern},
        key_set::KeySet,
        token::{Issuer, KeySource},
    },
    upstream::{
        http1::{Origin, Scheme},
        published::Published,
    },
};
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
};

/// Key sets that are fetched, by how they are.
type KeySets = HashMap<Arc<str>, Arc<Published>>;

/// What the ids of an issuer's callers begin with, where nothing else is written: `jwt`, of the second issuer `jwt2`.
fn usual_id(all: &[raw::Jwt], issuer: &At<String>) -> String {
    let before = all.iter().map(|jwt| jwt.issuer.value.as_str()).take_while(|other| *other != issuer.value);
    match before.collect::<HashSet<_>>().len() {
        0 => "jwt".to_owned(),
        others => format!("jwt{}", others + 1),
    }
}

impl Compiler<'_> {
    /// Lets callers be known by tokens, and by being there. Where keys of issuers are fetched from.
    pub(super) fn callers(&mut self, gateway: &raw::Gateway, directory: &mut Directory) -> KeySets {
        let mut key_sets = KeySets::new();
        let Some(identity) = &gateway.identity else { return key_sets };
        if let Some(fixed) = &identity.fixed {
            directory.fix(&fixed.value);
        }
        if let Some(mtls) = &identity.mtls {
            // What is wrong with a pattern was said when it was read.
            Pattern::parse(&mtls.tenant.value).into_iter().for_each(|pattern| directory.certify(pattern));
            let mut listeners = gateway.listen.iter().flat_map(|many| &many.0);
            if !listeners.any(|listener| listener.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())) {
                let message = "no listener asks for client certificates: nobody is known by one";
                let problem = Problem::error("mtls-without-client-ca", mtls.tenant.at, message);
                self.say(problem.hint(
                    "give a listener `tls: { cert, key, client_ca }`; `client_ca` is who signs the clients' certificates",
                ));
            }
        }
        let mut ids: HashMap<String, (&str, Mark)> = HashMap::new();
        let mut issuers = Vec::new();
        for jwt in &identity.jwt {
            let (issuer, at) = (&jwt.issuer, jwt.id.as_ref().map_or(jwt.issuer.at, |id| id.at));
            let id = jwt.id.as_ref().map_or_else(|| usual_id(&identity.jwt, issuer), |id| id.value.clone());
            let (other, first) = *ids.entry(id.clone()).or_insert((&issuer.value, at));
            if other != issuer.value || [FIXED, MTLS].contains(&id.as_str()) {
                let message =
                    format!("the `id` `{id}` is another's: a caller of one would pass for the other's");
                let problem = Problem::error("duplicate-issuer-id", at, message);
                let problem = if at == first { problem } else { problem.see("the first is here", first) };
                self.say(problem.hint("give each issuer an `id` of its own, such as `id: idp2`"));
            }
            let Some(keys) = self.keys_of(&jwt.jwks, &mut key_sets) else { continue };
            issuers.push(Issuer {
                id: id.as_str().into(),
                issuer: issuer.value.clone(),
                audiences: jwt.audience.0.iter().map(|at| at.value.clone()).collect(),
                keys,
                tenant: jwt.tenant.value.trim_start_matches("claims.").to_owned(),
            });
        }
        directory.trust(issuers);
        key_sets
    }

    fn keys_of(&mut self, jwks: &raw::Jwks, key_sets: &mut KeySets) -> Option<KeySource> {
        match jwks {
            raw::Jwks::File(at) => {
                let bytes = self.read_file(at)?;
                let keys = KeySet::read(&bytes).map_err(|bad| {
                    let problem = Problem::error("bad-jwks", at.at, bad.to_string());
                    self.say(
                        problem.hint("expected what the issuer serves at its `jwks_uri`: {\"keys\": [...]}"),
                    );
                });
                let keys = keys.ok()?;
                self.doubt(&keys, &bytes, at.at);
                Some(KeySource::Here(Arc::new(keys)))
            }
            raw::Jwks::Url(url, ca) => self.published(url, ca.as_ref(), key_sets),
        }
    }

    /// What of a key set that can be used is hardly meant.
    fn doubt(&mut self, keys: &KeySet, bytes: &[u8], at: Mark) {
        if let Some(id) = keys.twins() {
            let message = format!(
                "two keys of one kind have the `kid` {id:?}: nobody can say which is meant, and tokens that name it are refused"
            );
            let problem = Problem::warning("twin-jwk", at, message);
            self.say(
                problem.hint("give each key a `kid` of its own, or remove the one that is not used any more"),
            );
        }
        if KeySet::holds_private(bytes) {
            let message =
                "the key set holds a private key: whoever reads this file can sign tokens of any tenant";
            let problem = Problem::warning("private-jwk", at, message);
            self.say(
                problem.hint(
                    "keep the public members alone, and sign with a new key if others can read this one",
                ),
            );
        }
    }

    fn published(
        &mut self,
        url: &At<String>,
        ca: Option<&At<PathBuf>>,
        key_sets: &mut KeySets,
    ) -> Option<KeySource> {
        let origin = Origin::parse(url.value.split('?').next().unwrap_or_default());
        if origin.is_ok_and(|(origin, _)| origin.scheme() == Scheme::Plain && !is_near(origin.host())) {
            let message =
                "the key set comes over plain HTTP: whoever is on the way can sign tokens; better https";
            self.warn("plain-jwks", url.at, message);
        }
        let roots = ca.and_then(|ca| self.read_file(ca));
        match Published::new(&url.value, roots.as_deref()) {
            Ok(published) => {
                let name = how(&url.value, roots.as_deref());
                key_sets.entry(Arc::clone(&name)).or_insert_with(|| Arc::new(published));
                Some(KeySource::Url(name))
            }
            Err(bad) => {
                self.error("bad-url", url.at, bad.to_string());
                None
            }
        }
    }

    pub(super) fn identity(&mut self, gateway: &raw::Gateway, all: &[Held<'_>]) {
        let fixed = gateway.identity.as_ref().and_then(|identity| identity.fixed.as_ref());
        let Some(fixed) = fixed else { return };
        let name = fixed.value.as_str();
        match all.iter().find(|held| held.raw.tenant.value == name) {
            Some(held) if held.is_abstract() => {
                let message = format!("`{name}` is abstract: nobody can be this tenant");
                let problem = Problem::error("abstract-tenant", fixed.at, message)
                    .see("it is only there to be extended", held.raw.tenant.at);
                self.say(problem.hint("name a tenant that extends it"));
            }
            Some(_) => {}
            // A file that could not be read may be the one that is meant: that is said already.
            None if self.loaded.is_broken(name) => {}
            None => {
                let running = all.iter().filter(|held| !held.is_abstract());
                let near = nearest(name, running.map(|held| held.raw.tenant.value.as_str()));
                let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                self.error("unknown-tenant", fixed.at, format!("there is no tenant `{name}`{near}"));
            }
        }
        for listener in gateway.listen.iter().flat_map(|many| &many.0) {
            let at = &listener.address;
            if address_of(&at.value).is_some_and(|address| !address.ip().is_loopback()) {
                let message = format!("this is not on loopback, and whoever reaches it is `{name}`");
                let problem = Problem::error("fixed-not-loopback", at.at, message)
                    .see("`identity.fixed` is here", fixed.at);
                self.say(problem.hint("listen on 127.0.0.1 or [::1], or remove `identity.fixed`"));
            }
        }
    }
}

/// How a key set is fetched: from where, and trusting whom. What was fetched in one way is not what another one would bring.
fn how(url: &str, roots: Option<&[u8]>) -> Arc<str> {
    let Some(roots) = roots else { return url.into() };
    let digest: String = Sha256::digest(roots).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{url} {digest}").into()
}

/// Whether nothing between here and there can be somebody else's.
fn is_near(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

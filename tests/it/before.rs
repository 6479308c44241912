//! A gateway before upstreams of a test's own, whose models go by the upstreams' names.

use crate::{
    fault::Upstream,
    support::{ACME, Answer, Gateway, chat},
};

/// Two tenants that may do everything.
pub(crate) const TENANTS: &str = "
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    models: [\"*\"]
    tools: [{ allow: \"*\" }]
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    models: [\"*\"]
    tools: [{ allow: \"*\" }]
";
pub(crate) const NO_RETRY: &str = ", retry: { attempts: 0 }";

/// Each upstream by its name, and what else is said of it; `more` goes to the models and behind them.
pub(crate) fn before(upstreams: &[(&str, &Upstream, &str)], more: &str) -> Gateway {
    let yaml: String = upstreams.iter().map(|(name, upstream, more)| upstream.yaml(name, more)).collect();
    let names: Vec<&str> = upstreams.iter().map(|(name, ..)| *name).collect();
    behind(&yaml, &names, more)
}

/// The same of upstreams that are written out.
pub(crate) fn behind(upstreams: &str, models: &[&str], more: &str) -> Gateway {
    let models: String = models.iter().map(|name| format!("  {name}: {{ upstream: {name} }}\n")).collect();
    Gateway::with_all(TENANTS, &|_| upstreams.to_owned(), &(models + more), &[]).watched()
}

/// One that keeps every byte, behind the model `probe`.
pub(crate) fn recorded() -> (Gateway, Upstream) {
    let upstream = Upstream::answering();
    (before(&[("probe", &upstream, "")], ""), upstream)
}

pub(crate) fn ask(gateway: &Gateway, model: &str) -> Answer {
    ask_as(gateway, ACME, model, "hi")
}

pub(crate) fn ask_as(gateway: &Gateway, key: &str, model: &str, text: &str) -> Answer {
    gateway.chat(key, &chat(text, "").replace("gpt-5", model))
}

pub(crate) fn ask_stream(gateway: &Gateway, model: &str) -> Answer {
    gateway.chat(ACME, &chat("hi", r#","stream":true"#).replace("gpt-5", model))
}

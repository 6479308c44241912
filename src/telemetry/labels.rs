//! The labels of metrics: few, bounded, and spelled in one place.

use super::series::OfTenant;
use crate::{
    asked::{AskedModel, End},
    refusal::Refusal,
};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelSetEncoder, LabelValueEncoder};
use std::{
    fmt,
    sync::{Arc, LazyLock},
};

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(super) struct $name { $(pub $field: $type),+ }

        impl EncodeLabelSet for $name {
            fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
                use prometheus_client::encoding::EncodeLabelKey;
                $(
                    let mut label = encoder.encode_label();
                    let mut key = label.encode_label_key()?;
                    EncodeLabelKey::encode(&stringify!($field), &mut key)?;
                    let mut value = key.encode_label_value()?;
                    EncodeLabelValue::encode(&self.$field, &mut value)?;
                    value.finish()?;
                )+
                Ok(())
            }
        }
    };
}

labels!(
    /// Whose requests, for what and where.
    Line { tenant: Arc<str>, model: Arc<str>, upstream: Arc<str> }
);
labels!(
    /// Of a request's outcome.
    RequestLabels { tenant: Arc<str>, model: Arc<str>, upstream: Arc<str>, outcome: &'static str }
);
labels!(
    /// Of a request's times.
    RouteLabels { model: Arc<str>, upstream: Arc<str> }
);
labels!(
    /// Of a decision.
    DecisionLabels { tenant: Arc<str>, place: &'static str, outcome: &'static str, mode: &'static str }
);
labels!(
    /// Of a refusal by a limit.
    LimitLabels { tenant: Arc<str>, limit: &'static str }
);
labels!(
    /// Of a listener.
    ListenLabels { listen: String }
);
labels!(
    /// Of tokens.
    TokenLabels { tenant: Arc<str>, model: Arc<str>, upstream: Arc<str>, kind: TokenKind }
);
labels!(
    /// Of what is a tenant's.
    TenantLabels { tenant: Arc<str> }
);
labels!(
    /// Of a tenant's budget, by the time after which it is renewed.
    BudgetLabels { tenant: Arc<str>, per: &'static str }
);
labels!(
    /// Of tries at an upstream, by what came of them.
    TryLabels { upstream: Arc<str>, outcome: &'static str }
);
labels!(
    /// Of records that were not exported.
    DropLabels { tenant: Arc<str>, reason: &'static str }
);
labels!(
    /// Of an upstream.
    UpstreamLabels { upstream: Arc<str> }
);
labels!(
    /// Of a tenant's requests that wait for an upstream.
    QueueLabels { upstream: Arc<str>, tenant: Arc<str> }
);
labels!(
    /// Of an MCP server's definitions.
    PinLabels { upstream: Arc<str>, state: &'static str }
);
labels!(
    /// Of a tenant's use of an upstream.
    TenantUpstreamLabels { tenant: Arc<str>, upstream: Arc<str> }
);
labels!(
    /// Of redacted values.
    EntityLabels { tenant: Arc<str>, entity: Arc<str> }
);
labels!(
    /// Of the binary that runs.
    BuildLabels { version: &'static str }
);

impl RequestLabels {
    pub(super) fn of(line: &Line, outcome: &'static str) -> Self {
        let Line { tenant, model, upstream } = line.clone();
        Self { tenant, model, upstream, outcome }
    }
}

impl TokenLabels {
    pub(super) fn of(line: &Line, kind: TokenKind) -> Self {
        let Line { tenant, model, upstream } = line.clone();
        Self { tenant, model, upstream, kind }
    }
}

macro_rules! of_tenant {
    ($($name:ident),+) => {
        $(impl OfTenant for $name {
            fn tenant(&self) -> &str {
                &self.tenant
            }
        })+
    };
}

of_tenant!(DecisionLabels, DropLabels, EntityLabels, LimitLabels, TenantLabels, TenantUpstreamLabels);

/// Which tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum TokenKind {
    Input,
    Output,
}

impl EncodeLabelValue for TokenKind {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        let name = match self {
            Self::Input => "input",
            Self::Output => "output",
        };
        EncodeLabelValue::encode(&name, encoder)
    }
}

static OTHER: LazyLock<Arc<str>> = LazyLock::new(|| "other".into());
static NONE: LazyLock<Arc<str>> = LazyLock::new(|| "none".into());

/// A model's label: its configured name, else `other`: a client chooses no label.
pub(super) fn model(model: Option<&AskedModel>) -> Arc<str> {
    match model {
        Some(AskedModel::Declared { name, .. }) => Arc::clone(name),
        Some(AskedModel::Unknown(_)) => Arc::clone(&OTHER),
        None => none(),
    }
}

/// A route's labels as they are written out.
pub(super) fn written(route: &RouteLabels) -> String {
    format!("model=\"{}\",upstream=\"{}\"", route.model, route.upstream)
}

/// The label of what a request did not come to.
pub(super) fn none() -> Arc<str> {
    Arc::clone(&NONE)
}

/// An outcome's label: `ok`, `client_gone`, or the code of what was told; what an upstream refused is told apart from
/// what the gateway refuses and what fails.
pub(super) fn outcome(end: &End) -> &'static str {
    match end {
        End::ClientGone => "client_gone",
        End::Complete => "ok",
        End::Refused(Refusal::UpstreamRefused { status: 429, .. }) => "upstream_limited",
        End::Refused(Refusal::UpstreamRefused { .. }) => "upstream_refused",
        End::Refused(refusal) => refusal.code(),
    }
}

//! The labels of metrics: few, bounded, and spelled in one place.

use crate::asked::AskedModel;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelSetEncoder, LabelValueEncoder};
use std::{fmt, sync::Arc};

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name { $(pub $field: $type),+ }

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
    /// Of tokens.
    TokenLabels { tenant: Arc<str>, model: Arc<str>, kind: TokenKind }
);
labels!(
    /// Of what is a tenant's.
    TenantLabels { tenant: Arc<str> }
);
labels!(
    /// Of records that were not exported.
    DropLabels { tenant: Arc<str>, reason: &'static str }
);
labels!(
    /// Of cost.
    TenantModelLabels { tenant: Arc<str>, model: Arc<str> }
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

/// Which tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
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

/// A model's label: its configured name, else `other`: a client chooses no label.
pub(super) fn model(model: Option<&AskedModel>) -> Arc<str> {
    match model {
        Some(AskedModel::Declared { name, .. }) => Arc::clone(name),
        Some(AskedModel::Unknown(_)) => "other".into(),
        None => "none".into(),
    }
}

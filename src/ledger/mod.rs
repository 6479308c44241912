//! What tenants used, by key, model, tool and hour: the figures behind budgets, `tollgate usage` and `GET /v1/usage`.
//!
//! A request is added when it is settled, and is on disk a few milliseconds later: one thread writes all that came
//! meanwhile in one transaction. A process that is killed loses so much; a power cut loses what the system had not
//! written, about a second. What cannot be written stays in memory and is tried again.

mod disk;

pub use disk::{Ledger, Options, ReadError, count, erase, read};

use crate::json::Value;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// So many names of models and tools a tenant has in an hour; more are `other`: models make names up.
const NAMES_MAX: usize = 1000;
/// A name is no longer.
const NAME_BYTES_MAX: usize = 256;
const OTHER: &str = "other";

/// What is added to a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub requests: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cost_micro_usd: u64,
    /// Calls of tools that were denied, and requests that a limit or the tenant's models refused.
    pub denied: u64,
}

impl Counts {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.requests, other.requests),
            (&mut self.input_tokens, other.input_tokens),
            (&mut self.output_tokens, other.output_tokens),
            (&mut self.cost_micro_usd, other.cost_micro_usd),
            (&mut self.denied, other.denied),
        ];
        for (mine, more) in pairs {
            *mine = mine.saturating_add(more);
        }
    }
}

/// One event, to be added to its row. Its names are redacted.
#[derive(Debug, Clone)]
pub struct Charge {
    pub tenant: Arc<str>,
    pub key: Arc<str>,
    pub model: Option<Arc<str>>,
    pub tool: Option<Arc<str>>,
    /// Seconds since 1970, UTC.
    pub time: i64,
    pub counts: Counts,
}

/// What a tenant used with a key, a model and a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub tenant: String,
    pub key: String,
    pub model: Option<String>,
    pub tool: Option<String>,
    pub counts: Counts,
}

impl Row {
    /// As `tollgate usage --format json` tells it.
    pub fn to_json(&self) -> Value<'static> {
        let name = |name: &Option<String>| name.clone().map_or(Value::Null, Value::string);
        let Counts { requests, input_tokens, output_tokens, cost_micro_usd, denied } = self.counts;
        let cost = crate::usage::MicroUsd(cost_micro_usd).to_string();
        let cost = crate::json::parse(cost.as_bytes(), 1).map_or(Value::Null, Value::into_owned);
        Value::object([
            ("tenant", Value::string(self.tenant.clone())),
            ("key", Value::string(self.key.clone())),
            ("model", name(&self.model)),
            ("tool", name(&self.tool)),
            ("requests", Value::integer(requests)),
            ("input_tokens", Value::integer(input_tokens)),
            ("output_tokens", Value::integer(output_tokens)),
            ("cost_usd", cost),
            ("denied", Value::integer(denied)),
        ])
    }
}

/// Which rows are read.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub tenant: Option<String>,
    /// From the hour on that this is in: seconds since 1970, UTC.
    pub since: Option<i64>,
}

/// The hour that a time is in, by its first second.
pub fn hour(time: i64) -> i64 {
    time.div_euclid(3600) * 3600
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    tenant: Arc<str>,
    hour: i64,
    key: Arc<str>,
    model: Arc<str>,
    tool: Arc<str>,
}

/// What came since the last write, row by row.
#[derive(Debug, Default)]
struct Gathered {
    rows: HashMap<Place, Counts>,
    /// Names of the hour that is now, by tenant.
    names: HashMap<Arc<str>, HashSet<Arc<str>>>,
    hour: i64,
}

impl Gathered {
    fn add(&mut self, charge: Charge) {
        let hour = hour(charge.time);
        if hour > self.hour {
            self.names.clear();
            self.hour = hour;
        }
        let Charge { tenant, key, model, tool, counts, .. } = charge;
        let model = self.known(&tenant, model);
        let tool = self.known(&tenant, tool);
        self.rows.entry(Place { tenant, hour, key, model, tool }).or_default().add(&counts);
    }

    fn known(&mut self, tenant: &Arc<str>, name: Option<Arc<str>>) -> Arc<str> {
        let Some(name) = name else { return Arc::from("") };
        if !self.names.contains_key(tenant) {
            self.names.insert(Arc::clone(tenant), HashSet::new());
        }
        let Some(names) = self.names.get_mut(tenant) else { return name };
        if let Some(known) = names.get(&name) {
            return Arc::clone(known);
        }
        if names.len() >= NAMES_MAX || name.len() > NAME_BYTES_MAX || name.is_empty() {
            return Arc::from(OTHER);
        }
        names.insert(Arc::clone(&name));
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_made_up_end_in_one_row() {
        let mut gathered = Gathered::default();
        for tool in 0..2 * NAMES_MAX {
            gathered.add(Charge {
                tenant: "acme".into(),
                key: "prod".into(),
                model: None,
                tool: Some(tool.to_string().into()),
                time: 7200,
                counts: Counts { denied: 1, ..Counts::default() },
            });
        }
        assert_eq!(gathered.rows.len(), NAMES_MAX + 1);
        let denied: u64 = gathered.rows.values().map(|counts| counts.denied).sum();
        assert_eq!(denied, 2 * NAMES_MAX as u64);
    }

    #[test]
    fn a_row_tells_its_cost_digit_for_digit() {
        let row = Row {
            tenant: "acme".into(),
            key: "prod".into(),
            model: Some("gpt-5".into()),
            tool: None,
            counts: Counts { cost_micro_usd: 1_000_012, ..Counts::default() },
        };
        let told = row.to_json().to_string();
        assert!(told.contains(r#""tool":null"#) && told.contains(r#""cost_usd":1.000012"#), "{told}");
    }
}

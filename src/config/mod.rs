//! The configuration's outer layer: YAML files in, typed values with their places out, and every problem at once.
//! Apart from what runs: this knows the files' language and nothing of gateways.
//!
//! `yaml` (text to located nodes) -> `check` (nodes held against the description in `*_shape`) -> `read`, `raw`
//! (typed values); `load` reads the files; `lineage` makes one of a tenant's file and those that it extends; `lint`
//! finds what is allowed and hardly meant; `problem`, `github` and `sarif` show what is wrong; `schema` tells editors.

mod check;
pub mod compile;
mod excerpt;
mod files;
pub mod forms;
mod gateway_shape;
mod github;
mod inside;
pub(crate) mod lineage;
pub mod lint;
mod load;
mod mask;
pub mod openapi;
mod problem;
pub mod raw;
mod read;
mod sarif;
mod scalar;
mod schema;
mod secret;
mod shape;
mod tenant_shape;
pub(crate) mod test_cases;
mod test_files;
mod test_shape;
pub mod values;
mod watch;
mod yaml;

#[cfg(test)]
mod tests;

pub use check::nearest;
pub use excerpt::{Excerpt, Texts};
pub use files::{At, FileId, Files, Mark};
pub use github::to_github;
pub use lint::{lint, lint_definitions};
pub use load::{Loaded, load, load_tests, test_files};
pub use mask::quoted_key;
pub use problem::{Colour, Problem, Severity, to_json, to_text};
pub use sarif::to_sarif;
pub use schema::schema;
pub use secret::why_unread;
pub use secret::{Secret, SecretMissing, SecretRef};
pub use test_cases::check_tests;
pub use test_files::{NoTests, test_files_at};
pub use values::moment;
pub use watch::Watched;

//! The Model Context Protocol as the gateway speaks it to both sides: revisions, messages, lists, names, sessions, and
//! what a denial looks like. Pure; what is decided comes from `authorize`, what travels is the shell's.
//!
//! Two eras are served. Until 2025-11-25 a client opens a session with `initialize`; from 2026-07-28 on each request
//! stands for itself and says in its `_meta` and its headers what it is. Which one it is is told by the request alone.
//! Source: the specification of the revisions named in `Revision`, pages "Transports", "Lifecycle", "Tools", "Prompts",
//! "Resources" and "Completion".

pub mod about;
pub mod act;
pub mod answer;
pub mod envelope;
mod head;
pub mod lines;
pub mod list;
pub mod message;
pub mod mirror;
pub mod names;
pub mod question;
mod revision;
pub mod session;
pub mod task;
pub mod template;
pub mod uri;

pub use head::Head;
pub use message::{Fault, Message, Request};
pub use revision::Revision;

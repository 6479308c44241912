//! What the OpenAI dialect promises, as laws over golden streams, random plans and arbitrary bytes.

mod client;
mod golden;
mod laws;
mod mutations;
mod plan;
mod requests;
mod script;
mod shapes;

use super::*;

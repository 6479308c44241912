//! What the OpenAI dialect promises, as laws over golden streams, random plans and arbitrary bytes.

mod client;
mod golden;
mod known;
mod laws;
mod mutations;
mod plan;
mod requests;
mod script;
mod shapes;

use super::{restrict, understand, whole};
use crate::dialect::{Api, HoldLimits, Progress, Stream, notice};

//! What all dialects promise alike, and what their own tests share: a judge, golden streams, changes of streams.

mod bounds;
pub(in crate::dialect) mod dice;
pub(in crate::dialect) mod golden;
pub(in crate::dialect) mod mutate;
mod parts;
pub(in crate::dialect) mod request;
pub(in crate::dialect) mod script;
mod table;
pub(in crate::dialect) mod twist;
pub(in crate::dialect) mod wire;

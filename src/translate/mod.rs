//! One client reaches every provider: a request of one dialect becomes one of another, and its answer comes back in
//! the client's own. Apart from `dialect`, which decides and must be trusted: here nothing is decided. A request was
//! judged before it is translated, and an answer is judged after, both in the client's dialect.
//!
//! Everything goes through one neutral form (`conversation`, `piece`), so that a further dialect is one reader and
//! one writer more. What cannot be carried over is a 400 that names the parameter, never dropped in silence;
//! `docs/translation.md` has the whole table.

mod conversation;
mod piece;

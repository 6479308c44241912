//! The mock upstream: an OpenAI-shaped LLM API and a small MCP server in one listener, for `tollgate mock`,
//! `tollgate demo` and the tests. Apart from everything else because nothing of the gateway may lean on it.
//!
//! # What it answers
//! The last user message steers it, since a gateway in between passes on nothing else unchanged. Plain text is
//! answered with a friendly sentence. A text that names tools which are offered is answered with calls of them, in
//! that order, with arguments made up from their schemas; after a tool's result the answer is text, so that agents
//! come to an end. Lines that start with `!` are directives (also in `prompt` and `input` of the other endpoints):
//!
//! | directive | effect |
//! |---|---|
//! | `!call NAME ARGUMENTS` | a tool call; the rest of the line goes out verbatim. Several lines: parallel calls |
//! | `!say TEXT`, `!big N` | the text, before any calls; N KiB of text |
//! | `!refusal [TEXT]` | a refusal in place of text |
//! | `!finish WORD` | the finish reason: `stop`, `length`, `tool_calls`, `function_call` or `content_filter` |
//! | `!usage IN OUT`, `!usage-none` | the token counts; no usage even if asked for |
//! | `!chunks N`, `!arg-chunk N` | text in N deltas; arguments in fragments of N bytes (whole characters) |
//! | `!interleave`, `!whole` | fragments of the calls in turn; all calls whole, with the finish, in one delta |
//! | `!no-index`, `!same-index` | calls without an index; all at index 0 |
//! | `!repeat-id`, `!name-split` | the id in every fragment; the name over two deltas |
//! | `!object-args` | arguments as an object, not as a string |
//! | `!function-call`, `!custom` | the legacy form of a (single) call; calls of type `custom` |
//! | `!delay 5ms` | a pause before each event but the first |
//! | `!split N`, `!crlf` | N bytes a write, flushed; events end in CRLF |
//! | `!cut N`, `!stall N`, `!error N` | after N events: the connection closes, nothing more comes, an error event. A whole body: after half of it |
//! | `!no-done` | no `[DONE]` |
//! | `!garbage` | an event, or a body, that is not JSON |
//! | `!status CODE [retry-after S]` | an error that quotes a (made-up) key |
//! | `!status-times N CODE` | the same body fails N times, is then answered, and so on |
//! | `!hang`, `!slow-head 500ms` | no answer, ever; a late one |
//! | `!headers` | adds rate-limit headers, an organisation and a cookie |
//!
//! Anything else after a `!` is a 400 that says so. With `n` above 1 every choice gets the same answer, its text
//! prefixed by `[choice I]`.
//!
//! # What it saw
//! `GET /mock/requests` lists the last 256 requests, `DELETE /mock/requests` forgets them (see [`Seen`]).

mod chat;
mod completion;
mod dice;
mod directions;
mod fixed;
mod mcp;
mod plan;
mod schema;
mod script;
mod seen;
mod server;
#[cfg(test)]
mod socket_tests;
mod sse;
#[cfg(test)]
mod tests;

pub use seen::{Outcome, Request, Seen};
pub use server::serve;

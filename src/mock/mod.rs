//! The mock upstream: an LLM API that speaks three dialects, and a small MCP server, in one listener, for
//! `tollgate mock`, `tollgate demo` and the tests. Apart from everything else because nothing of the gateway may lean
//! on it.
//!
//! # What it answers
//! OpenAI's Chat Completions (and Completions, Embeddings, Moderations, Models) and Responses, Anthropic's Messages.
//! The last user message steers it, since a gateway in between passes on nothing else unchanged. Plain text is
//! answered with a friendly sentence. A text that names tools which are offered is answered with calls of them, in
//! that order, with arguments made up from their schemas; after a tool's result the answer is text, so that agents
//! come to an end. Lines that start with `!` are directives (also in `prompt` and `input` of the other endpoints).
//! Where the dialects differ, R is Responses and M is Messages:
//!
//! | directive | effect |
//! |---|---|
//! | `!call NAME ARGUMENTS` | a tool call; the rest of the line goes out verbatim. Several lines: parallel calls. M whole: arguments that are not JSON stand as `{"INVALID_JSON": "…"}` |
//! | `!say TEXT`, `!big N` | the text, before any calls; N KiB of text |
//! | `!reasoning TEXT` | before the text: deltas of `reasoning_content`; R a reasoning item with a summary; M a thinking block with a made-up signature |
//! | `!refusal [TEXT]` | a refusal in place of text; M text and `stop_reason` refusal |
//! | `!hosted TYPE` | a tool that the provider ran. R an item of that type (`web_search_call`, `mcp_call`, …); M `server_tool_use` and its result (`mcp_tool_use` for `mcp`). Chat: a 400 |
//! | `!item TYPE [JSON]` | R an item of that type (`computer_call`, `shell_call`, `mcp_approval_request`, …) with these members over its usual ones; M a block of that type with these members, whole. Chat: a 400 |
//! | `!finish WORD` | the finish reason: `stop`, `length`, `tool_calls`, `function_call` or `content_filter`. R `length` and `content_filter` end in `response.incomplete`; M as `stop_reason`: `end_turn`, `max_tokens`, `tool_use`, `tool_use`, `refusal` |
//! | `!usage IN OUT [CACHED [REASONING]]`, `!usage-none` | the token counts, what is cached being part of IN (M: told apart from it) and what is reasoned part of OUT; no usage even if asked for |
//! | `!chunks N`, `!arg-chunk N` | text in N deltas; arguments in fragments of N bytes (whole characters) |
//! | `!interleave`, `!whole` | the events of the calls in turn; all calls whole, with the finish, in one delta (R, M: one fragment each) |
//! | `!no-index`, `!same-index` | calls without an index; all at index 0. R, M: every item or block |
//! | `!repeat-id`, `!name-split` | the id in every fragment; the name over two deltas. R, M: no effect |
//! | `!object-args` | arguments as an object, not as a string, and without deltas; M the whole `input` in `content_block_start` |
//! | `!function-call`, `!custom` | the legacy form of a (single) call (R, M: no effect); calls of type `custom` (M: no effect) |
//! | `!done-only`, `!item-only` | R arguments first in `….done`; in `response.output_item.done`. Elsewhere no effect |
//! | `!completed-only`, `!completed-differs [ARGUMENTS]` | R, streamed: calls only in the last event; with other arguments there than before. Elsewhere no effect |
//! | `!delay 5ms` | a pause before each event but the first |
//! | `!split N`, `!crlf` | N bytes a write, flushed; events end in CRLF |
//! | `!cut N`, `!stall N`, `!error N` | after N events: the connection closes, nothing more comes, an error event. A whole body: after half of it |
//! | `!no-done` | no `[DONE]`; R, M: a clean end without the last event |
//! | `!garbage` | an event, or a body, that is not JSON |
//! | `!status CODE [retry-after S]` | an error that quotes a (made-up) key |
//! | `!status-times N CODE` | the same body fails N times, is then answered, and so on |
//! | `!hang`, `!slow-head 500ms` | no answer, ever; a late one |
//! | `!headers` | adds rate-limit headers, an organisation and a cookie |
//!
//! Anything else after a `!` is a 400 that says so. In Chat with `n` above 1 every choice gets the same answer, its
//! text prefixed by `[choice I]`.
//!
//! The MCP server answers at `/mcp`; below it are others in other tempers (see `mcp_modes`).
//!
//! # What it refuses
//! Responses: a `previous_response_id` that is not among the last 256 responses (those with `store: false` are not
//! kept), and calls without outputs or outputs without calls, the stored response's calls counted in. Messages: no key,
//! no `anthropic-version`, no `max_tokens`, a member that Anthropic does not know, an empty text, a role other than
//! `user` and `assistant`, a `tool_use` whose `tool_result` does not stand at the beginning of the next turn, and a
//! `tool_result` without its `tool_use`. Each in the words of the API that it stands for.
//!
//! # What it saw
//! `GET /mock/requests` lists the last 256 requests, `DELETE /mock/requests` forgets them (see [`Seen`]); responses
//! that are stored stay.

mod chat;
#[cfg(test)]
mod chat_tests;
mod completion;
mod dialect;
mod dice;
mod directions;
mod directive;
mod fixed;
mod layout;
mod mcp;
mod mcp_catalog;
mod mcp_mirrors;
mod mcp_modes;
mod messages;
mod offered;
mod plan;
mod responses;
mod route;
mod schema;
mod script;
mod seen;
mod server;
#[cfg(test)]
mod socket_tests;
mod sse;
#[cfg(test)]
mod tests;
mod write;

pub use seen::{Outcome, Request, Seen};
pub use server::serve;

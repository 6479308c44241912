//! A frame of MCP is a message or a fault, and what is made of a message is one again.
#![no_main]
use tollgate::{
    json,
    mcp::message::{self, Message},
};
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = json::parse(bytes, 64) else { return };
    match message::read(&value) {
        Ok(Message::Request(request)) => {
            let answer = message::error(Some(request.id), &message::Fault::bad("no"));
            assert!(json::parse(&answer, 64).is_ok());
        }
        Ok(Message::Notification { .. } | Message::Response { .. }) => {}
        Err(fault) => assert!(json::parse(&message::error(None, &fault), 64).is_ok()),
    }
});

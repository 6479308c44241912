//! Frames of MCP: lines are found however the bytes came in, a line is a message or a fault, and what is made of a message
//! is one again.
#![no_main]
use tollgate::{
    json,
    mcp::{
        lines::{Line, Lines, line_of},
        list::{self, Kind},
        message::{self, Message},
        task,
    },
};

fn lines<'b>(pieces: impl Iterator<Item = &'b [u8]>) -> Vec<Line> {
    let mut lines = Lines::new(4096);
    let mut found = Vec::new();
    for piece in pieces {
        lines.push(piece);
        found.extend(std::iter::from_fn(|| lines.next_line()));
    }
    found
}

fn frame(bytes: &[u8]) {
    let Ok(value) = json::parse(bytes, 64) else { return };
    let is_message = |bytes: &[u8]| json::parse(bytes, 64).is_ok_and(|value| message::read(&value).is_ok());
    match message::read(&value) {
        Ok(Message::Request(request)) => {
            assert!(is_message(&message::error(Some(request.id), &message::Fault::bad("no"))));
            let answer = message::result(request.id, &json::Value::object([]));
            assert!(is_message(&answer));
            let line = line_of(answer);
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1, "a message is one line");
        }
        Ok(Message::Notification { .. } | Message::Response { .. }) => {}
        Err(fault) => assert!(json::parse(&message::error(None, &fault), 64).is_ok()),
    }
    for kind in Kind::ALL {
        let _ = list::page(kind, &value);
    }
    let _ = task::is_task(&value);
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let whole = lines(std::iter::once(bytes));
    assert_eq!(whole, lines(bytes.chunks(1)));
    for line in whole {
        if let Line::Whole(line) = line {
            frame(&line);
        }
    }
    frame(bytes);
});

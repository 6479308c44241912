//! Changes of streams, from one byte to whole events of others. What must hold of what comes of them is each
//! dialect's business.

use super::golden::events;
use proptest::prelude::*;

/// One change of a stream.
#[derive(Debug, Clone)]
pub(in crate::dialect) enum Change {
    Byte {
        at: usize,
        byte: u8,
    },
    Cut {
        at: usize,
        len: usize,
    },
    /// A run of another stream is put in.
    Splice {
        at: usize,
        stream: usize,
        from: usize,
        len: usize,
    },
    /// A whole event comes again somewhere else.
    Event {
        at: usize,
        from: usize,
    },
    /// A whole event of another stream comes in between.
    Foreign {
        at: usize,
        stream: usize,
        from: usize,
    },
}

pub(in crate::dialect) fn changes() -> impl Strategy<Value = Change> {
    let anywhere = || any::<usize>();
    let byte = prop_oneof![prop::sample::select(&b"\"\\{}[]:,0 \n\rn"[..]), any::<u8>()];
    prop_oneof![
        3 => (anywhere(), byte).prop_map(|(at, byte)| Change::Byte { at, byte }),
        1 => (anywhere(), 0..40_usize).prop_map(|(at, len)| Change::Cut { at, len }),
        1 => (anywhere(), anywhere(), anywhere(), 0..80_usize)
            .prop_map(|(at, stream, from, len)| Change::Splice { at, stream, from, len }),
        4 => (anywhere(), anywhere()).prop_map(|(at, from)| Change::Event { at, from }),
        4 => (anywhere(), anywhere(), anywhere()).prop_map(|(at, stream, from)| Change::Foreign { at, stream, from }),
    ]
}

/// A place among so many.
pub(in crate::dialect) fn place(any: usize, len: usize) -> usize {
    any % len.max(1)
}

/// Changes a stream; what comes of others is taken from `streams`.
pub(in crate::dialect) fn apply(input: &mut Vec<u8>, change: &Change, streams: &[Vec<u8>]) {
    match *change {
        Change::Byte { at, byte } => {
            let at = place(at, input.len());
            if let Some(old) = input.get_mut(at) {
                *old = byte;
            }
        }
        Change::Cut { at, len } => {
            let at = place(at, input.len());
            input.drain(at..(at + len).min(input.len()));
        }
        Change::Splice { at, stream, from, len } => {
            let other = &streams[place(stream, streams.len())];
            let from = place(from, other.len());
            let at = place(at, input.len());
            input.splice(at..at, other[from..(from + len).min(other.len())].iter().copied());
        }
        Change::Event { at, from } => {
            let own = input.clone();
            insert(input, at, &own, from);
        }
        Change::Foreign { at, stream, from } => {
            insert(input, at, &streams[place(stream, streams.len())], from);
        }
    }
}

/// Puts an event of `other` between two events.
fn insert(input: &mut Vec<u8>, at: usize, other: &[u8], from: usize) {
    let theirs = events(other);
    let event = theirs[place(from, theirs.len())];
    let own = events(input);
    let start = own.iter().take(place(at, own.len())).map(|event| event.len()).sum::<usize>();
    input.splice(start..start, event.iter().copied());
}

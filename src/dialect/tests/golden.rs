//! Streams as providers send them, in `golden/NAME`, and what leaves of them. With UPDATE=1 `expected.sse` is
//! written anew. A `script` beside them tells the judge more than the names do. Every stream also obeys the laws of
//! reading: split anywhere, with and without the fast path.

use super::script::{Reading, Run, Script, run};
use crate::{dialect::Api, sse};
use std::{fs, path::Path};

/// A dialect's golden streams.
#[derive(Debug, Clone, Copy)]
pub(in crate::dialect) struct Goldens {
    pub(in crate::dialect) api: Api,
    pub(in crate::dialect) dir: &'static str,
    /// There are so many at least.
    pub(in crate::dialect) count: usize,
}

#[derive(Debug, Clone)]
pub(in crate::dialect) struct Golden {
    pub(in crate::dialect) api: Api,
    pub(in crate::dialect) name: String,
    pub(in crate::dialect) input: Vec<u8>,
    pub(in crate::dialect) script: Script,
}

impl Golden {
    /// What comes of it in one piece.
    pub(in crate::dialect) fn run(&self) -> Run {
        self.in_pieces([&*self.input])
    }

    /// What comes of it, up to `len`.
    pub(in crate::dialect) fn cut(&self, len: usize) -> Run {
        self.in_pieces([&self.input[..len]])
    }

    /// Where it may be split or cut: around every end of a line, and here and there in between, where all places are
    /// alike.
    pub(in crate::dialect) fn places(&self) -> impl Iterator<Item = usize> {
        let is_end = |at: usize| self.input.get(at).is_some_and(|byte| matches!(byte, b'\n' | b'\r'));
        (0..=self.input.len()).filter(move |&at| at % 7 == 0 || (at.saturating_sub(2)..at + 2).any(is_end))
    }

    pub(in crate::dialect) fn in_pieces<'p>(&self, pieces: impl IntoIterator<Item = &'p [u8]>) -> Run {
        run(self.api, pieces, self.script.clone(), Reading::Plain)
    }
}

impl Goldens {
    /// Every golden stream, by name.
    pub(in crate::dialect) fn all(self) -> Vec<Golden> {
        let read = |entry: fs::DirEntry| {
            let path = entry.path();
            Golden {
                api: self.api,
                name: path.file_name().unwrap().to_str().unwrap().to_owned(),
                input: fs::read(path.join("input.sse")).unwrap(),
                script: Script::read(&fs::read_to_string(path.join("script")).unwrap_or_default()),
            }
        };
        let mut found: Vec<_> = fs::read_dir(self.dir).unwrap().map(|entry| read(entry.unwrap())).collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        assert!(found.len() >= self.count, "the golden streams are not where they are looked for");
        found
    }

    /// The golden stream of this name.
    pub(in crate::dialect) fn named(self, name: &str) -> Golden {
        self.all().into_iter().find(|golden| golden.name == name).unwrap()
    }

    #[track_caller]
    pub(in crate::dialect) fn leave_as_expected(self) {
        for golden in self.all() {
            let path = Path::new(self.dir).join(&golden.name).join("expected.sse");
            let found = golden.run().out;
            if std::env::var_os("UPDATE").is_some() {
                fs::write(&path, &found).unwrap();
            }
            let expected = fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&found);
            assert!(expected == found, "{} differs; it should be:\n{text}", path.display());
        }
    }

    #[track_caller]
    pub(in crate::dialect) fn read_the_same_however_they_are_split(self) {
        for golden in self.all() {
            let whole = golden.run();
            for at in golden.places() {
                let (first, second) = golden.input.split_at(at);
                assert_eq!(golden.in_pieces([first, second]), whole, "{} split at {at}", golden.name);
            }
            assert_eq!(golden.in_pieces(golden.input.chunks(1)), whole, "{} byte by byte", golden.name);
        }
    }

    #[track_caller]
    pub(in crate::dialect) fn read_the_same_fast_and_slow(self) {
        for golden in self.all() {
            let [fast, slow] = both_ways(self.api, &golden.input, &golden.script);
            assert_eq!(fast, slow, "{}", golden.name);
            assert_eq!(fast, golden.run(), "{} in one piece", golden.name);
        }
    }
}

/// The events of a stream, each with its blank line, and what is left.
pub(in crate::dialect) fn events(input: &[u8]) -> Vec<&[u8]> {
    let mut events = Vec::new();
    let mut rest = input;
    while let Some(sse::Boundary { end }) = sse::boundary(rest) {
        let (event, after) = rest.split_at(end);
        events.push(event);
        rest = after;
    }
    events.push(rest);
    events
}

/// A stream of named events in the one form that all clients read alike, up to its last event; nothing where an event
/// has no name.
pub(in crate::dialect) fn regular(input: &[u8], last: &str) -> Option<String> {
    let mut regular = String::new();
    for event in events(input) {
        let event = sse::event(event)?;
        let Some(data) = event.data else { continue };
        let name = event.name?;
        regular.push_str(&format!("event: {name}\ndata: {}\n\n", data.replace('\n', "")));
        if name == last {
            break;
        }
    }
    Some(regular)
}

/// The same stream, event by event, read with and without what it learns of its events.
pub(in crate::dialect) fn both_ways(api: Api, input: &[u8], script: &Script) -> [Run; 2] {
    [Reading::Plain, Reading::Forgetful].map(|reading| run(api, events(input), script.clone(), reading))
}

/// One byte of a learnt event's likeness is another: whatever it makes of the event, both ways read the same.
/// `input` is its events; `near` is the place of one that is known again by those before it.
#[track_caller]
pub(in crate::dialect) fn no_byte_takes_a_wrong_path(api: Api, input: &[&[u8]], near: usize) {
    for at in 0..input[near].len() {
        for byte in [b'"', b'\\', b'}', b'{', b',', b'x', b'\n', b'\r', b' ', b'1', 0, 0x80] {
            let mut changed = input[near].to_vec();
            changed[at] = byte;
            let mut events = input.to_vec();
            events[near] = &changed;
            let stream = events.concat();
            let [fast, slow] = both_ways(api, &stream, &Script::default());
            assert_eq!(fast, slow, "byte {byte:#x} at {at}: {}", String::from_utf8_lossy(&changed));
            let at_once = run(api, [&*stream], Script::default(), Reading::Plain);
            assert_eq!(fast, at_once, "byte {byte:#x} at {at}, in one piece");
        }
    }
}

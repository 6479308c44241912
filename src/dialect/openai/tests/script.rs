//! A judge that decides by a tool's name and remembers what it was asked, and a run of a stream before it.

use super::{Api, HoldLimits, Progress, Stream};
use crate::{
    call::Arguments,
    dialect::{Judge, Transcript, Verdict},
    refusal::Refusal,
    usage::Usage,
};

pub(super) const LIMITS: HoldLimits = HoldLimits { nesting: 32, tool_arguments: 4096 };
/// What the judge makes of a call that it rewrites.
pub(super) const FORCED: &str = r#"{"input":"forced"}"#;

/// One call as it came before the judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ruling {
    pub(super) tool: String,
    pub(super) text: String,
    /// The arguments that rules see; `None` where they cannot be read.
    pub(super) args: Option<String>,
    /// `None` for a call that did not come to its end.
    pub(super) verdict: Option<Verdict>,
}

impl Ruling {
    /// The argument text that a client may see, if it may see the call.
    pub(super) fn released(&self) -> Option<&str> {
        match self.verdict {
            Some(Verdict::Release) => Some(&self.text),
            Some(Verdict::Rewrite { .. }) => Some(FORCED),
            Some(Verdict::Abort(_) | Verdict::Remove { .. }) | None => None,
        }
    }
}

/// Removes `delete…`, rewrites `set…`, aborts at `abort…` and at what it is told to remove; releases the rest.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) removed: Vec<String>,
    pub(super) log: Vec<Ruling>,
}

impl Script {
    pub(super) fn removing(removed: &[&str]) -> Self {
        Self { removed: removed.iter().map(|&tool| tool.to_owned()).collect(), log: Vec::new() }
    }

    fn verdict(&self, tool: &str) -> Verdict {
        match tool {
            _ if tool.starts_with("delete") || self.removed.iter().any(|removed| removed == tool) => {
                Verdict::Remove { notice: super::notice(tool, "not here") }
            }
            _ if tool.starts_with("set") => Verdict::Rewrite { arguments: FORCED.to_owned() },
            _ if tool.starts_with("abort") => Verdict::Abort(Refusal::NotFound),
            _ => Verdict::Release,
        }
    }
}

impl Judge for Script {
    fn judge(&mut self, tool: &str, args: &Arguments<'_>, text: &str) -> Verdict {
        let verdict = self.verdict(tool);
        let args = match args {
            Arguments::Known(args) => Some(args.to_string()),
            Arguments::Unreadable => None,
            Arguments::Open => panic!("an emitted call has arguments"),
        };
        let (tool, text) = (tool.to_owned(), text.to_owned());
        self.log.push(Ruling { tool, text, args, verdict: Some(verdict.clone()) });
        verdict
    }

    fn offered_as(&self, _: &str) -> Option<String> {
        None
    }

    fn incomplete(&mut self, tool: &str, text: &str) {
        self.log.push(Ruling { tool: tool.to_owned(), text: text.to_owned(), args: None, verdict: None });
    }
}

/// What came of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) out: Vec<u8>,
    pub(super) log: Vec<Ruling>,
    pub(super) completion: String,
    pub(super) usage: Option<Usage>,
    pub(super) failed: Option<Refusal>,
}

/// How a stream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Plain,
    /// Whatever the stream has learnt of its events is forgotten before each piece.
    Forgetful,
}

/// Reads a stream in these pieces, to its end or until it fails, as the exchange does.
pub(super) fn run<'p>(pieces: impl IntoIterator<Item = &'p [u8]>, script: Script, reading: Reading) -> Run {
    let mut script = script;
    let mut out = Vec::new();
    let mut stream = Stream::new(Api::Chat, LIMITS, Transcript::keeping(1 << 20));
    let mut came = 0;
    let mut progress = Progress::Continue;
    for piece in pieces {
        if reading == Reading::Forgetful {
            stream.forget();
        }
        came += piece.len();
        progress = stream.read(piece, &mut script, &mut out);
        let held = stream.bytes_held() + stream.bytes_pending();
        assert!(held <= 2 * came, "{held} bytes held of {came}");
        if progress != Progress::Continue {
            break;
        }
    }
    if progress == Progress::Continue {
        progress = stream.end(&mut script, &mut out);
        assert!(!stream.holds(), "nothing is held behind the end");
    }
    let failed = match progress {
        Progress::Continue | Progress::Done => None,
        Progress::Failed(refusal) => Some(refusal),
    };
    let usage = stream.told.usage;
    Run { out, log: script.log, completion: stream.told.completion.into_text(), usage, failed }
}

/// The stream in one piece, judged by name.
pub(super) fn once(input: &[u8]) -> Run {
    run([input], Script::default(), Reading::Plain)
}

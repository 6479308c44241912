//! A judge that decides by a tool's name and remembers what it was asked, and a run of an answer before it.

use crate::{
    call::Arguments,
    dialect::{self, Api, HoldLimits, Judge, KeptAnswer, Progress, Stream, Told, Transcript, Verdict},
    refusal::Refusal,
    usage::Usage,
};
use std::fmt;

pub(in crate::dialect) const LIMITS: HoldLimits = HoldLimits { nesting: 32, tool_arguments: 4096 };
/// What the judge makes of a call that it rewrites.
pub(in crate::dialect) const FORCED: &str = r#"{"input":"forced"}"#;
/// The arguments of a call that the provider ran and that was decided when it was offered.
pub(in crate::dialect) const OPEN: &str = "open";

/// One call as it came before the judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dialect) struct Ruling {
    pub(in crate::dialect) tool: String,
    pub(in crate::dialect) text: String,
    /// The arguments that rules see; `None` where they cannot be read.
    pub(in crate::dialect) args: Option<String>,
    /// `None` for a call that did not come to its end.
    pub(in crate::dialect) verdict: Option<Verdict>,
}

impl Ruling {
    /// The argument text that a client may see, if it may see the call.
    pub(in crate::dialect) fn released(&self) -> Option<&str> {
        match self.verdict {
            Some(Verdict::Release) => Some(&self.text),
            Some(Verdict::Rewrite { .. }) => Some(FORCED),
            Some(Verdict::Abort(_) | Verdict::Remove { .. }) | None => None,
        }
    }
}

/// Removes `delete…`, rewrites `set…`, aborts at `abort…`, each at the provider too; removes and rewrites what it is
/// told to; releases the rest.
#[derive(Debug, Clone, Default)]
pub(in crate::dialect) struct Script {
    pub(in crate::dialect) removed: Vec<String>,
    pub(in crate::dialect) rewritten: Vec<String>,
    /// Tools that the request offered.
    pub(in crate::dialect) offered: Vec<String>,
    pub(in crate::dialect) log: Vec<Ruling>,
}

impl Script {
    pub(in crate::dialect) fn removing(removed: &[&str]) -> Self {
        Self { removed: removed.iter().map(|&tool| tool.to_owned()).collect(), ..Self::default() }
    }

    /// Reads lines of `remove TOOL`, `rewrite TOOL` and `offer TOOL`.
    pub(in crate::dialect) fn read(text: &str) -> Self {
        let mut script = Self::default();
        for line in text.lines() {
            let (what, tool) = line.split_once(' ').unwrap();
            let list = match what {
                "offer" => &mut script.offered,
                "remove" => &mut script.removed,
                "rewrite" => &mut script.rewritten,
                _ => panic!("{line}"),
            };
            list.push(tool.to_owned());
        }
        script
    }

    fn verdict(&self, tool: &str) -> Verdict {
        let named = |list: &[String]| list.iter().any(|listed| listed == tool);
        match tool.strip_prefix("builtin__").unwrap_or(tool) {
            plain if plain.starts_with("delete") || named(&self.removed) => {
                Verdict::Remove { notice: dialect::notice(tool, "not here") }
            }
            plain if plain.starts_with("set") || named(&self.rewritten) => {
                Verdict::Rewrite { arguments: FORCED.to_owned() }
            }
            plain if plain.starts_with("abort") => Verdict::Abort(Refusal::NotFound),
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
            Arguments::Open => {
                assert!(self.offered.iter().any(|offered| offered == tool), "{tool} was never offered");
                Some(OPEN.to_owned())
            }
        };
        let (tool, text) = (tool.to_owned(), text.to_owned());
        self.log.push(Ruling { tool, text, args, verdict: Some(verdict.clone()) });
        verdict
    }

    fn offered_as(&self, tool: &str) -> Option<String> {
        self.offered.iter().find(|offered| offered.starts_with(tool)).cloned()
    }

    fn withhold(&mut self, tool: &str, text: &str, _reason: &'static str) {
        self.log.push(Ruling { tool: tool.to_owned(), text: text.to_owned(), args: None, verdict: None });
    }
}

/// What came of an answer. What it estimates is none of it: that may differ by the way that it was read.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::dialect) struct Run {
    pub(in crate::dialect) out: Vec<u8>,
    pub(in crate::dialect) log: Vec<Ruling>,
    pub(in crate::dialect) completion: String,
    pub(in crate::dialect) usage: Option<Usage>,
    pub(in crate::dialect) kept: Option<KeptAnswer>,
    pub(in crate::dialect) failed: Option<Refusal>,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { out, log, completion, usage, kept, failed } = self;
        let out = String::from_utf8_lossy(out);
        write!(f, "{out}\n{log:#?}\n{completion:?} {usage:?} {kept:?} {failed:?}")
    }
}

impl Run {
    /// What left, as text.
    pub(in crate::dialect) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).expect("UTF-8 leaves")
    }
}

/// How a stream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dialect) enum Reading {
    Plain,
    /// Whatever the stream has learnt of its events is forgotten before each piece.
    Forgetful,
}

/// Reads a stream in these pieces, to its end or until it fails, as the exchange does.
pub(in crate::dialect) fn run<'p>(
    api: Api,
    pieces: impl IntoIterator<Item = &'p [u8]>,
    script: Script,
    reading: Reading,
) -> Run {
    let mut script = script;
    let mut out = Vec::new();
    let mut stream = Stream::new(api, LIMITS, Transcript::keeping(1 << 20));
    let mut came = 0;
    let mut progress = Progress::Continue;
    for piece in pieces {
        if reading == Reading::Forgetful {
            stream.forget();
        }
        came += piece.len();
        progress = stream.read(piece, &mut script, &mut out);
        let held = stream.bytes_held() + stream.bytes_pending();
        // What stands for a denied item of a response is told in six events.
        let times = if api == Api::Responses { 16 } else { 2 };
        assert!(held <= times * came, "{held} bytes held of {came}");
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
    let Told { usage, completion, kept, .. } = stream.told;
    Run { out, log: script.log, completion: completion.into_said().as_str().to_owned(), usage, kept, failed }
}

/// The stream in one piece, judged by name.
pub(in crate::dialect) fn once(api: Api, input: &[u8]) -> Run {
    run(api, [input], Script::default(), Reading::Plain)
}

/// A whole answer as it leaves, with what was asked of the judge and what it told.
pub(in crate::dialect) fn whole(api: Api, body: &[u8], script: Script) -> Run {
    let mut script = script;
    let mut told = Told { completion: Transcript::keeping(1 << 20), ..Told::default() };
    let result = dialect::whole(api, body, LIMITS, &mut told, &mut script);
    let Told { usage, completion, kept, .. } = told;
    let (out, failed) = match result {
        Ok(changed) => (changed.unwrap_or_else(|| body.to_vec()), None),
        Err(refusal) => (Vec::new(), Some(refusal)),
    };
    Run { out, log: script.log, completion: completion.into_said().as_str().to_owned(), usage, kept, failed }
}

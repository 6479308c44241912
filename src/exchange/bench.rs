//! The judge of emitted calls: the tenant's policy, what people decided, and every verdict on record.

use super::{
    Terms,
    asking::{Docket, IsNew, Ruled, Sequence, WaitingCall},
};
use crate::{
    asked::{Asked, Upshot, told_of, told_of_limit},
    call::{Arguments, Place},
    denials::{self, Fate},
    dialect::{self, BUILTIN, Form, Judge, Verdict},
    json,
    policy::{Decision, Outcome, Question, Source},
    records::Entry,
    refusal::Refusal,
    tenant::OnDeny,
};
use std::sync::Arc;

/// Tools whose calls go by another name than the one under which they were offered.
const OLDER_NAMES: [(&str, &str); 2] =
    [("computer", "computer_use_preview"), ("builtin__web_search", "builtin__web_search_preview")];

/// Why a call is denied that ran before anybody could be asked.
const NOBODY_TO_ASK: &str = "a person has to approve this call, and the provider ran it without asking";

/// What was decided in this answer.
#[derive(Debug, Default)]
pub(super) struct Court {
    pub(super) evidence: Vec<Entry>,
    pub(super) tools_denied: Vec<String>,
    /// Calls that are the client's to run and that a limit or a person could deny: what became of each.
    pub(super) fates: Vec<(denials::Call, Fate)>,
}

/// Why a call is denied that its rules let through: the rule whose limit it is beyond, and what is told of it.
#[derive(Debug, Clone)]
struct Beyond {
    rule: Arc<str>,
    reason: String,
}

/// How much was decided at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    evidence: usize,
    tools_denied: usize,
    fates: usize,
}

#[derive(Debug)]
pub(super) struct Bench {
    pub(super) asked: Asked,
    pub(super) terms: Terms,
    pub(super) court: Court,
    pub(super) docket: Docket,
    /// Calls that count for the limits of rules, and what is told of those that are beyond.
    limited: Sequence<(String, String), Option<Beyond>>,
    /// The audit lines of calls that people are asked about. They stand even where a reading is undone.
    pub(super) asks: Vec<Entry>,
}

impl Bench {
    pub(super) fn new(asked: Asked, terms: Terms, tools_denied: Vec<String>) -> Self {
        let court = Court { tools_denied, ..Court::default() };
        Self {
            asked,
            terms,
            court,
            docket: Docket::default(),
            limited: Sequence::default(),
            asks: Vec::new(),
        }
    }

    /// Whether any call could have to wait for a person.
    pub(super) fn may_ask(&self) -> bool {
        self.asked.identity.tenant().policy.asks()
    }

    pub(super) fn mark(&self) -> Mark {
        let Court { evidence, tools_denied, fates } = &self.court;
        Mark { evidence: evidence.len(), tools_denied: tools_denied.len(), fates: fates.len() }
    }

    /// Forgets what was decided since: the reading is undone.
    pub(super) fn go_back(&mut self, mark: Mark) {
        self.court.evidence.truncate(mark.evidence);
        self.court.tools_denied.truncate(mark.tools_denied);
        self.court.fates.truncate(mark.fates);
        self.start_again();
    }

    /// The present reading is sent.
    pub(super) fn settle(&mut self) {
        self.docket.settle();
        self.limited.settle();
    }

    /// What was not sent is read again.
    pub(super) fn start_again(&mut self) {
        self.docket.go_back();
        self.limited.go_back();
    }

    /// What is told of a call that is beyond the limit of one of its rules, and is denied for it.
    fn beyond(&mut self, tool: &str, text: &str, decision: &Decision<'_>) -> Option<Verdict> {
        if decision.limits.is_empty() {
            return None;
        }
        let quota = Arc::clone(&self.asked.identity.tenant().quota);
        let key = (tool.to_owned(), text.to_owned());
        let (beyond, _) = self.limited.next(key, || {
            let limits = decision.limits.iter().filter_map(|rule| Some((rule, rule.limit.as_ref()?)));
            limits.into_iter().find_map(|(rule, limit)| {
                let wait = quota.call(limit).err()?;
                Some(Beyond { rule: rule.source.shared(), reason: told_of_limit(limit, wait) })
            })
        });
        let Beyond { rule, reason } = beyond?;
        let (rule, time) = (Some(rule), self.asked.time);
        let upshot = Upshot { outcome: Outcome::Deny, by: None, rule, reason: &reason, time };
        self.court.evidence.push(self.asked.evidence_of_upshot(Place::Emitted, tool, text, upshot));
        Some(self.deny(tool, reason))
    }

    /// Lets something be judged of which nothing is kept but the calls to ask about.
    pub(super) fn look_ahead<R>(&mut self, look: impl FnOnce(&mut dyn Judge) -> R) -> R {
        let court = std::mem::take(&mut self.court);
        let seen = look(self);
        self.court = court;
        seen
    }

    /// What comes of a call that a person has to decide on.
    fn ask(&mut self, tool: &str, args: &Arguments<'_>, text: &str, decision: &Decision<'_>) -> Verdict {
        let rewritten = decision.rewritten.as_ref().map(ToString::to_string);
        if self.terms.settled {
            // What was not denied then was approved.
            return match (self.terms.denied.iter().any(|call| call.tool == tool), rewritten) {
                (true, _) => self.deny(tool, "no person approved this call".to_owned()),
                (false, Some(arguments)) => Verdict::Rewrite { arguments },
                (false, None) => Verdict::Release,
            };
        }
        let within = decision.within.unwrap_or_default();
        let call = WaitingCall {
            tool: tool.to_owned(),
            produced: text.to_owned(),
            judged: match args {
                Arguments::Known(args) => Some(args.to_string()),
                Arguments::Open | Arguments::Unreadable => None,
            },
            args: rewritten.clone().unwrap_or_else(|| text.to_owned()),
            rule: decision.source().map_or_else(|| "".into(), Source::shared),
            rule_text: decision.rule.map(ToString::to_string).unwrap_or_default(),
            reason: (&*decision.reason).into(),
            within,
        };
        let (ruling, is_new) = self.docket.next(call);
        if is_new == IsNew::Yes {
            self.asks.extend(self.asked.evidence(Place::Emitted, tool, Some(text), decision));
        }
        // What is not decided yet is read again.
        let Some(Ruled { ruling, time }) = ruling else { return Verdict::Remove { notice: String::new() } };
        let (outcome, by, reason) = told_of(ruling, within);
        let rule = decision.source().map(Source::shared);
        let person = Upshot { outcome, by, rule, reason: &reason, time };
        self.court.evidence.push(self.asked.evidence_of_upshot(Place::Emitted, tool, text, person));
        match (outcome, rewritten) {
            (Outcome::Allow, Some(arguments)) => Verdict::Rewrite { arguments },
            (Outcome::Allow, None) => Verdict::Release,
            (Outcome::Ask | Outcome::Deny, _) => self.deny(tool, reason.into_owned()),
        }
    }

    /// Decides a call. Whether a limit or a person could deny it, though its rules let it through.
    fn decide(&mut self, tool: &str, args: &Arguments<'_>, text: &str) -> (Verdict, bool) {
        let identity = self.asked.identity.clone();
        let key = identity.key();
        let decision = identity.tenant().policy.decide(&Question {
            caller: &key.caller,
            key_tools: key.tools.as_ref(),
            tool,
            args,
            place: Place::Emitted,
            now: self.asked.unix_seconds(),
        });
        if decision.outcome == Outcome::Ask && tool.starts_with(BUILTIN) {
            let rule = decision.source().map(Source::shared);
            let (by, time) = (None, self.asked.time);
            let upshot = Upshot { outcome: Outcome::Deny, by, rule, reason: NOBODY_TO_ASK, time };
            self.court.evidence.push(self.asked.evidence_of_upshot(Place::Emitted, tool, text, upshot));
            return (self.deny(tool, NOBODY_TO_ASK.to_owned()), false);
        }
        let accountable = decision.is_accountable() && !self.terms.settled;
        if !self.terms.settled
            && let Some(denied) = self.beyond(tool, text, &decision)
        {
            return (denied, accountable);
        }
        if decision.outcome == Outcome::Ask {
            return (self.ask(tool, args, text, &decision), accountable);
        }
        self.court.evidence.extend(self.asked.evidence(Place::Emitted, tool, Some(text), &decision));
        let verdict = match (decision.outcome, decision.rewritten) {
            (Outcome::Allow, Some(arguments)) => Verdict::Rewrite { arguments: arguments.to_string() },
            (Outcome::Allow, None) => Verdict::Release,
            (Outcome::Ask | Outcome::Deny, _) => self.deny(tool, decision.reason.into_owned()),
        };
        (verdict, accountable)
    }

    fn deny(&mut self, tool: &str, reason: String) -> Verdict {
        self.court.tools_denied.push(tool.to_owned());
        match self.asked.identity.tenant().on_deny {
            OnDeny::Error => Verdict::Abort(Refusal::ToolNotAllowed { tool: tool.to_owned(), reason }),
            OnDeny::Notice => Verdict::Remove { notice: dialect::notice(tool, &reason) },
        }
    }
}

impl Judge for Bench {
    fn judge(&mut self, tool: &str, args: &Arguments<'_>, text: &str) -> Verdict {
        self.decide(tool, args, text).0
    }

    fn judge_call(&mut self, id: &str, tool: &str, args: &Arguments<'_>, text: &str) -> Verdict {
        let (verdict, accountable) = self.decide(tool, args, text);
        if accountable {
            let fate = match &verdict {
                Verdict::Abort(_) | Verdict::Remove { .. } => {
                    (denials::Call::of(id, tool, args, text), Fate::Denied)
                }
                Verdict::Release => (denials::Call::of(id, tool, args, text), Fate::Left),
                // The client gets to see what was made of it.
                Verdict::Rewrite { arguments } => {
                    let args = Arguments::read(arguments, json::NESTING_MAX);
                    (denials::Call::of(id, tool, &args, arguments), Fate::Left)
                }
            };
            self.court.fates.push(fate);
        }
        verdict
    }

    fn offered_as(&self, tool: &str) -> Option<String> {
        let older = OLDER_NAMES.iter().find(|(name, _)| *name == tool).map(|(_, older)| *older);
        let names = [Some(tool), older];
        let mut offered =
            names.into_iter().flatten().filter(|name| self.terms.offered.iter().any(|offer| offer == name));
        offered.next().map(ToOwned::to_owned)
    }

    fn restore(&self, text: &mut String, form: Form, bytes_max: usize) -> bool {
        let placeholders = self.terms.placeholders.as_ref();
        placeholders.is_none_or(|placeholders| placeholders.call(text, form == Form::Function, bytes_max))
    }

    fn was_denied(&self, call_id: &str) -> bool {
        self.terms.denied.iter().any(|call| call.call_id == call_id)
    }

    fn withhold(&mut self, tool: &str, text: &str, reason: &'static str) {
        self.court.evidence.push(self.asked.evidence_of_denial(Place::Emitted, tool, text, reason));
        self.court.tools_denied.push(tool.to_owned());
    }
}

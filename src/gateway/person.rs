//! Calls that wait for a person: asked about, told of, waited for.

use super::Gateway;
use crate::{
    approvals::{Ruling, Ticket, Waiting, Wanted},
    asked::Asked,
    call::{Arguments, Place},
    clock,
    exchange::{Exchange, WaitingCall},
    json::Value,
    operator,
    policy::{Outcome, Question},
    records::rfc3339,
};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};
use tokio::time::Sleep;

/// The calls of one answer that wait.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// Each with its number in the answer.
    calls: Vec<(usize, Wait)>,
}

/// A call that waits.
#[derive(Debug)]
pub(super) struct Wait {
    call: WaitingCall,
    place: Place,
    /// `None` where no more may wait.
    ticket: Option<Ticket>,
    expiry: Pin<Box<Sleep>>,
}

impl Waits {
    /// Asks about calls that were found.
    pub(super) fn ask(&mut self, gateway: &Arc<Gateway>, exchange: &mut Exchange) {
        for (number, call) in exchange.asks() {
            self.calls.push((number, Wait::ask(gateway, exchange.asked(), call, Place::Emitted)));
        }
    }

    /// Hands what was decided to the answer. Whether nothing waits any more.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, gateway: &Gateway, exchange: &mut Exchange) -> bool {
        self.calls.retain_mut(|(number, wait)| match wait.poll(cx, gateway, exchange.asked()) {
            Poll::Pending => true,
            Poll::Ready(ruling) => {
                exchange.rule(*number, ruling, clock::wall());
                false
            }
        });
        self.calls.is_empty()
    }
}

impl Wait {
    /// Asks about a call.
    pub(super) fn ask(gateway: &Arc<Gateway>, asked: &Asked, call: WaitingCall, place: Place) -> Self {
        let ticket = ask(gateway, asked, &call, place);
        let left = ticket.as_ref().map_or(Duration::ZERO, |ticket| {
            Duration::from_millis(ticket.expires().saturating_sub(clock::unix_millis(clock::wall())))
        });
        Self { call, place, ticket, expiry: Box::pin(tokio::time::sleep(left)) }
    }

    /// The id under which a person decides.
    pub(super) fn id(&self) -> &str {
        self.ticket.as_ref().map_or("", |ticket| ticket.id())
    }

    /// What was decided, by a person and by today's rules.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, gateway: &Gateway, asked: &Asked) -> Poll<Ruling> {
        self.ruled(cx).map(|ruling| {
            let is_approved = matches!(ruling, Ruling::Approved { .. });
            let changed = is_approved && !still_holds(gateway, asked, &self.call, self.place);
            if changed { Ruling::Changed } else { ruling }
        })
    }

    fn ruled(&mut self, cx: &mut Context<'_>) -> Poll<Ruling> {
        let Some(ticket) = &self.ticket else { return Poll::Ready(Ruling::Full) };
        match ticket.poll(clock::unix_millis(clock::wall()), cx) {
            Poll::Ready(ruling) => Poll::Ready(ruling),
            // A wall clock that goes back does not make a call wait for ever.
            Poll::Pending => self.expiry.as_mut().poll(cx).map(|()| Ruling::Expired),
        }
    }
}

/// Asks about a call, and tells the tenant's webhook.
fn ask(gateway: &Arc<Gateway>, asked: &Asked, call: &WaitingCall, place: Place) -> Option<Ticket> {
    let tenant = asked.identity.tenant();
    let wanted = Wanted {
        tenant: tenant.id.shared(),
        key: asked.identity.key().id.shared(),
        tool: call.tool.as_str().into(),
        args: call.args.as_str().into(),
        rule: Arc::clone(&call.rule),
        rule_text: call.rule_text.clone(),
        reason: Arc::clone(&call.reason),
        journal: Arc::clone(asked.journal()),
        request_id: Arc::clone(&asked.request_id),
        place,
        config: Arc::clone(&asked.config),
    };
    let id = format!("apr_{}", uuid::Uuid::now_v7().simple());
    let now = clock::unix_millis(clock::wall());
    let within = u64::try_from(call.within.as_millis()).unwrap_or(u64::MAX);
    let ticket = gateway.approvals.ask(&wanted, &id, now, now.saturating_add(within))?;
    if let Some(news) = ticket.news() {
        tell(gateway, news.clone());
    }
    Some(ticket)
}

/// Whether a call that was approved may still be made: by today's keys and rules, with the same arguments.
fn still_holds(gateway: &Gateway, asked: &Asked, call: &WaitingCall, place: Place) -> bool {
    let snapshot = gateway.snapshot.load();
    let now = clock::unix_seconds(clock::wall());
    let Some(today) = snapshot.directory.today(&asked.identity) else { return false };
    let key = today.key();
    if key.expires.is_some_and(|expires| expires <= now) {
        return false;
    }
    let judged = call.judged.as_deref();
    let args =
        judged.map_or(Arguments::Unreadable, |judged| Arguments::read(judged, crate::json::NESTING_MAX));
    let decision = today.tenant().policy.decide(&Question {
        caller: &key.caller,
        key_tools: key.tools.as_ref(),
        tool: &call.tool,
        args: &args,
        place,
        now,
    });
    let runs = decision.rewritten.as_ref().map_or_else(|| call.produced.clone(), ToString::to_string);
    decision.outcome != Outcome::Deny && runs == call.args
}

/// Tells the tenant's webhook of a call that waits, without waiting for it.
fn tell(gateway: &Arc<Gateway>, waiting: Waiting) {
    let Some(webhook) = gateway.snapshot.load().webhooks.get(&waiting.call.tenant).cloned() else { return };
    let Ok(place) = Arc::clone(&gateway.webhooks).try_acquire_owned() else {
        operator::warn(&format!(
            "too many webhooks are on their way; {} of {} is told of only in the list",
            waiting.id, waiting.call.tenant
        ));
        return;
    };
    tokio::spawn(async move {
        let (id, tenant) = (Arc::clone(&waiting.id), Arc::clone(&waiting.call.tenant));
        // Redacting takes its time: not on a thread that others wait for.
        let shown = tokio::task::spawn_blocking(move || shown(&waiting, Detail::Brief)).await;
        let data = shown.unwrap_or_default();
        let body = Value::object([("type", Value::string("approval.requested")), ("data", data)]).to_string();
        if let Err(failed) = webhook.tell(&id, clock::unix_seconds(clock::wall()), &body).await {
            operator::warn(&format!("the webhook for approvals of {tenant} was not told of {id}: {failed}"));
        }
        drop(place);
    });
}

/// How much of a call's arguments is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Their beginning and end, where they are long.
    Brief,
    Whole,
}

/// Longer arguments are shown in part.
const SHOWN_BYTES_MAX: usize = 16 << 10;

/// A call that waits, as people are shown it. Takes its time where the arguments are long.
pub fn shown(waiting: &Waiting, detail: Detail) -> Value<'static> {
    let Waiting { id, call, asked, expires } = waiting;
    let redactor = &call.journal.redactor;
    let text = |text: &str| Value::string(text.to_owned());
    let redacted = redactor.json(&call.args).unwrap_or_else(|| redactor.text(&call.args));
    let redacted = redacted.as_str();
    let time = |millis: u64| text(&rfc3339(SystemTime::UNIX_EPOCH + Duration::from_millis(millis)));
    let args = if detail == Detail::Brief && redacted.len() > SHOWN_BYTES_MAX {
        text(&without_middle(redacted))
    } else {
        let parsed = crate::json::parse(redacted.as_bytes(), crate::json::NESTING_MAX);
        parsed.map_or_else(|_| text(redacted), Value::into_owned)
    };
    let mut shown = Value::object([
        ("id", text(id)),
        ("tenant", text(&call.tenant)),
        ("key", text(&call.key)),
        // A model may have made up the name.
        ("tool", text(redactor.name(&call.tool).as_str())),
        ("args", args),
        ("rule", text(&call.rule)),
        ("reason", text(&call.reason)),
        ("asked", time(*asked)),
        ("expires", time(*expires)),
    ]);
    if hides_code(&call.args, redacted) {
        shown.set(
            "warning",
            text("what is redacted holds characters of program code; look before you approve"),
        );
    }
    shown
}

/// Whether what was taken out of a text holds characters by which a shell or a database takes text for code.
fn hides_code(text: &str, redacted: &str) -> bool {
    const CODE: &[char] = &['$', '`', '|', ';', '&', '<', '>', '(', ')', '{', '}', '\\', '\'', '\n'];
    CODE.iter().any(|c| text.matches(*c).count() > redacted.matches(*c).count())
}

fn without_middle(text: &str) -> String {
    let (head, tail) = (text.floor_char_boundary(SHOWN_BYTES_MAX / 2), text.len() - SHOWN_BYTES_MAX / 2);
    let tail = text.ceil_char_boundary(tail);
    let (head, rest) = text.split_at_checked(head).unwrap_or((text, ""));
    let cut = tail.saturating_sub(head.len());
    let tail = rest.get(cut..).unwrap_or_default();
    format!("{head} [cut: {cut} bytes; GET /admin/approvals/ID shows all] {tail}")
}

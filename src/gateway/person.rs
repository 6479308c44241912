//! Calls that wait for a person: asked about, told of, waited for.

use super::Gateway;
use crate::{
    approvals::{Listed, Ruling, Ticket, Wanted},
    asked::Asked,
    clock,
    exchange::{Exchange, WaitingCall},
    json::Value,
    operator,
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
    calls: Vec<Wait>,
}

#[derive(Debug)]
struct Wait {
    /// Which call of the answer it is.
    number: usize,
    /// `None` where no more may wait.
    ticket: Option<Ticket>,
    expiry: Pin<Box<Sleep>>,
}

impl Waits {
    /// Asks about calls that were found.
    pub(super) fn ask(&mut self, gateway: &Arc<Gateway>, exchange: &mut Exchange) {
        for (number, call) in exchange.asks() {
            let ticket = ask(gateway, exchange.asked(), &call);
            let left = ticket.as_ref().map_or(Duration::ZERO, |ticket| {
                Duration::from_millis(ticket.expires().saturating_sub(clock::unix_millis(clock::wall())))
            });
            self.calls.push(Wait { number, ticket, expiry: Box::pin(tokio::time::sleep(left)) });
        }
    }

    /// Hands what was decided to the answer. Whether nothing waits any more.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, exchange: &mut Exchange) -> bool {
        self.calls.retain_mut(|wait| match wait.poll(cx) {
            Poll::Pending => true,
            Poll::Ready(ruling) => {
                exchange.rule(wait.number, ruling, clock::wall());
                false
            }
        });
        self.calls.is_empty()
    }
}

impl Wait {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ruling> {
        let Some(ticket) = &self.ticket else { return Poll::Ready(Ruling::Full) };
        match ticket.poll(clock::unix_millis(clock::wall()), cx) {
            Poll::Ready(ruling) => Poll::Ready(ruling),
            // A wall clock that goes back does not make a call wait for ever.
            Poll::Pending => self.expiry.as_mut().poll(cx).map(|()| Ruling::Expired),
        }
    }
}

/// Asks about a call, and tells the tenant's webhook.
fn ask(gateway: &Arc<Gateway>, asked: &Asked, call: &WaitingCall) -> Option<Ticket> {
    let tenant = asked.identity.tenant();
    let redactor = &tenant.journal.redactor;
    let shown = redactor.json(&call.args).unwrap_or_else(|| redactor.text(&call.args));
    let wanted = Wanted {
        tenant: tenant.id.shared(),
        key: asked.identity.key().id.shared(),
        tool: call.tool.clone(),
        args: call.args.clone(),
        shown_args: shown.as_str().to_owned(),
        shown_tool: redactor.text(&call.tool).as_str().to_owned(),
        rule: Arc::clone(&call.rule),
        reason: Arc::clone(&call.reason),
    };
    let id = format!("apr_{}", uuid::Uuid::now_v7().simple());
    let now = clock::unix_millis(clock::wall());
    let within = u64::try_from(call.within.as_millis()).unwrap_or(u64::MAX);
    let ticket = gateway.approvals.ask(&wanted, &id, now, now.saturating_add(within))?;
    if let Some(news) = ticket.news() {
        tell(gateway, news);
    }
    Some(ticket)
}

/// Tells the tenant's webhook of a call that waits, without waiting for it.
fn tell(gateway: &Arc<Gateway>, listed: &Listed) {
    let Some(webhook) = gateway.snapshot.load().webhooks.get(&listed.tenant).cloned() else { return };
    let Ok(place) = Arc::clone(&gateway.webhooks).try_acquire_owned() else {
        operator::warn(&format!(
            "too many webhooks are on their way; {} of {} is told of only in the list",
            listed.id, listed.tenant
        ));
        return;
    };
    let (id, tenant) = (Arc::clone(&listed.id), Arc::clone(&listed.tenant));
    let body = Value::object([("type", Value::string("approval.requested")), ("data", shown(listed))]);
    let body = body.to_string();
    tokio::spawn(async move {
        if let Err(failed) = webhook.tell(&id, clock::unix_seconds(clock::wall()), &body).await {
            operator::warn(&format!("the webhook for approvals of {tenant} was not told of {id}: {failed}"));
        }
        drop(place);
    });
}

/// A call that waits, as people are shown it.
pub fn shown(listed: &Listed) -> Value<'static> {
    let text = |text: &str| Value::string(text.to_owned());
    let args = crate::json::parse(listed.args.as_bytes(), crate::json::NESTING_MAX);
    let time = |millis: u64| text(&rfc3339(SystemTime::UNIX_EPOCH + Duration::from_millis(millis)));
    Value::object([
        ("id", text(&listed.id)),
        ("tenant", text(&listed.tenant)),
        ("key", text(&listed.key)),
        ("tool", text(&listed.tool)),
        ("args", args.map_or_else(|_| text(&listed.args), Value::into_owned)),
        ("rule", text(&listed.rule)),
        ("reason", text(&listed.reason)),
        ("asked", time(listed.asked)),
        ("expires", time(listed.expires)),
    ])
}

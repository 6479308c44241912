//! Reserve: what a call may use at most is held before it is forwarded.

use super::{Route, Visit};
use crate::{
    asked::{Asked, AskedModel},
    clock,
    dialect::{self, Api, Request},
    fleet,
    identity::Identity,
    json::Value,
    quota::fleet::Claimed,
    quota::{Amount, Left, Now, Shortage, Standing, Warned, tighter},
    refusal::Refusal,
    snapshot::Model,
    tokens::{self, Vocabulary},
    usage::Usage,
};
use std::sync::Arc;

/// The tokens that a call's input is taken for, of what it says and what is sent of it: counted in the vocabulary of its
/// model where a limit hangs on them or they are asked for, else by length.
pub(super) fn input(asked: &Asked, model: &str, request: &Request<'_>, body: &Value<'_>, sent: &[u8]) -> u64 {
    let api = request.api;
    let own = asked.identity.key().quota.as_ref();
    let is_limited =
        || asked.identity.tenant().quota.limits_calls() || own.is_some_and(|own| own.limits_calls());
    let vocabulary = Vocabulary::of(model).filter(|_| api == Api::CountTokens || is_limited());
    // That a stream tells its usage is asked for by the gateway, not by the client, and no text of a model's.
    let own = if request.usage_unasked { dialect::openai::usage_bytes(body) } else { 0 };
    tokens::of_request(vocabulary, body, sent.len().saturating_sub(own))
}

/// What a call may use at most: its input, as it is taken for, and the longest answer that it allows.
pub(super) fn at_most(asked: &Asked, model: &Model, api: Api, body: &Value<'_>, input: u64) -> Amount {
    let estimate = || {
        let each = asked.identity.tenant().quota.output_estimate();
        each.saturating_mul(dialect::answers(api, body)).min(dialect::OUTPUT_MAX)
    };
    let output = dialect::output_max(api, body).unwrap_or_else(estimate);
    let usage = Usage { input, output, ..Usage::default() };
    let cost = model.price.map(|price| price.cost(usage)).unwrap_or_default();
    Amount { tokens: usage.tokens(), cost }
}

/// The time for limits.
pub(super) fn now() -> Now {
    Now { instant: clock::now(), unix_s: clock::unix_seconds(clock::wall()) }
}

/// What is left of the tokens of a key, its tenant and the model that is asked for, and the budget that is nearly spent.
pub(super) fn left(
    identity: &Identity,
    model: Option<&AskedModel>,
    now: Now,
) -> (Option<Left>, Option<Warned>) {
    let tenant = identity.tenant();
    let models = model.into_iter().flat_map(|model| tenant.limits_of(model.name()));
    let (tokens, budget) = tenant.quota.tokens_and_money(models, now);
    let own = identity.key().quota.as_ref();
    let own = own.and_then(|quota| quota.tokens_and_money(std::iter::empty(), now).0);
    (tighter(tokens, own), budget)
}

/// Gives back what a call holds that failed, before its answer tells what is left.
pub(super) fn give_back(asked: &mut Asked) {
    let Some(hold) = asked.hold.take() else { return };
    let told = hold.give_back();
    let (tokens, budget) = left(&asked.identity, asked.model.as_ref(), now());
    let standing = asked.standing.unwrap_or_default();
    asked.standing = Some(Standing { tokens: told.or(tokens), budget, ..standing });
}

/// Whether a limit refuses a request: one of this gateway's, or of all that share it.
pub(super) async fn limited(
    visit: &mut Visit,
    route: &Result<Route, Refusal>,
    limited: Option<Refusal>,
) -> Option<Refusal> {
    match (route, limited) {
        // What a call may use is known later: it asks for all at once then.
        (Ok(Route::Call(_)), limited) | (_, limited @ Some(_)) => limited,
        (_, None) => ask_others(visit).await.err(),
    }
}

/// Asks the gateways that share the limits for a request that is no call of a model.
async fn ask_others(visit: &mut Visit) -> Result<(), Refusal> {
    let Some(claimed) = claim(visit, None, now()).await? else { return Ok(()) };
    visit.asked()?.slot.claimed(claimed);
    Ok(())
}

/// What the other gateways let a request have; None where there are none.
async fn claim(visit: &mut Visit, amount: Option<Amount>, now: Now) -> Result<Option<Claimed>, Refusal> {
    let gateway = Arc::clone(visit.gateway());
    let Some(fleet) = &gateway.fleet else { return Ok(None) };
    let asked = visit.asked()?;
    let tenant = asked.identity.tenant();
    let name = tenant.id.shared();
    let models = asked.model.as_ref().into_iter().flat_map(|model| tenant.limits_of(model.name()));
    let own = asked.identity.key().quota.as_ref();
    let is_counted = asked.slot.asked();
    let call = amount.map(|amount| (std::iter::empty(), amount));
    let own = own.and_then(|quota| quota.claim(call, is_counted, now));
    let claim = tenant.quota.claim(amount.map(|amount| (models, amount)), is_counted, now);
    let claim = match (own, claim) {
        (Some(own), Some(claim)) => own.with(claim),
        (own, claim) => match own.or(claim) {
            Some(claim) => claim,
            None => return Ok(None),
        },
    };
    let (came, [requests, tokens]) = match fleet.ask(claim, now).await {
        fleet::Answer::Admitted(claimed, left) => (Ok(claimed), left),
        fleet::Answer::Refused(refused, left) => (Err(refused), left),
    };
    if came.is_err() {
        give_back(asked);
    }
    let standing = asked.standing.unwrap_or_default();
    let (requests, tokens) = (requests.or(standing.requests), tokens.or(standing.tokens));
    asked.standing = Some(Standing { requests, tokens, ..standing });
    came.map(Some).map_err(|fleet::Refused { shortage, limit }| {
        gateway.telemetry.rejected(name, limit);
        refused(shortage)
    })
}

/// Holds what a call may use at most, until it is settled. A count of tokens costs nothing.
pub(super) async fn reserve(visit: &mut Visit, api: Api, amount: Amount) -> Result<(), Refusal> {
    if api == Api::CountTokens {
        return ask_others(visit).await;
    }
    hold(visit, amount)?;
    if let Some(claimed) = claim(visit, Some(amount), now()).await?
        && let Some(hold) = &mut visit.asked()?.hold
    {
        hold.claimed(claimed);
    }
    Ok(())
}

/// Holds it in this gateway.
fn hold(visit: &mut Visit, amount: Amount) -> Result<(), Refusal> {
    let now = now();
    let asked = visit.asked()?;
    let (tenant, model) = (asked.identity.tenant(), asked.model.as_ref());
    let models = model.into_iter().flat_map(|model| tenant.limits_of(model.name()));
    let own = asked.identity.key().quota.as_ref();
    let own = own.map(|quota| quota.hold(std::iter::empty(), amount, now));
    let held = match (tenant.quota.hold(models, amount, now), own) {
        (Ok(hold), None) => Ok(hold),
        (Ok(hold), Some(Ok(own))) => Ok(hold.with(own)),
        (Ok(hold), Some(Err(shortage))) => {
            hold.take_back();
            Err(shortage)
        }
        (Err(shortage), None | Some(Ok(_))) => Err(shortage),
        // Whoever waits is to wait once: for the limit that takes longest.
        (Err(shortage), Some(Err(own))) => Err(shortage.longer(own)),
    };
    match held {
        Ok(hold) => {
            let standing = asked.standing.unwrap_or_default();
            asked.standing = Some(Standing { tokens: hold.left().or(standing.tokens), ..standing });
            asked.hold = Some(hold);
            Ok(())
        }
        Err(shortage) => {
            let name = tenant.id.shared();
            let (tokens, budget) = left(&asked.identity, asked.model.as_ref(), now);
            let standing = asked.standing.unwrap_or_default();
            asked.standing = Some(Standing { tokens, budget, ..standing });
            visit.gateway().telemetry.rejected(name, shortage.limit());
            Err(refused(shortage))
        }
    }
}

/// Why a call that costs nothing itself, of an MCP server's tool, is refused: nothing goes on once a budget is spent.
pub(super) fn spent(visit: &mut Visit) -> Option<Refusal> {
    let tenant = visit.asked().ok()?.identity.tenant();
    let (shortage, name) = (tenant.quota.check_money(now()).err()?, tenant.id.shared());
    if shortage == Shortage::MoneyHeld {
        return None;
    }
    visit.gateway().telemetry.rejected(name, shortage.limit());
    Some(refused(shortage))
}

/// What the client is told when something is short.
pub(super) fn refused(shortage: Shortage) -> Refusal {
    match shortage {
        Shortage::Tokens { retry_after } => Refusal::TokenLimit { retry_after },
        Shortage::Requests { retry_after } => Refusal::RateLimit { retry_after },
        Shortage::Concurrency { limit } => Refusal::Concurrency { limit },
        Shortage::MoneyHeld => Refusal::BudgetHeld,
        Shortage::Spent { budget, renews_in } => {
            Refusal::BudgetSpent { budget: budget.to_string(), renews_in }
        }
    }
}

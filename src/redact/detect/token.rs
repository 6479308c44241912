//! Vendors' tokens by their prefixes, found at the rare byte in them (`-`, `_`, a capital).
//! A new vendor is one row in a table.

use super::bytes::{Classes, before, byte, is_url_safe, is_word, run_end, run_start, slice, starts_apart};
use super::{Finding, Scan};
use crate::redact::entity::Entity;

/// What must follow a prefix.
struct Vendor {
    /// The whole prefix, up to and with the trigger byte where it is the last.
    prefix: &'static [u8],
    entity: Entity,
    /// Fewest characters after the prefix.
    least: usize,
    body: Body,
}

#[derive(Clone, Copy)]
enum Body {
    /// Letters, digits, `-`, `_`; at random, so with digits and capitals.
    Random,
    /// Letters, digits, `-`, `_`, whatever they are.
    UrlSafe,
    /// Letters and digits only.
    Alphanumeric,
    /// As `UrlSafe`, and dots.
    Dotted,
}

const DOTTED_MAX: usize = 128;
/// Characters before the first dot of such a body.
const DOTTED_HEAD: usize = 16;

const fn vendor(prefix: &'static [u8], entity: Entity, least: usize, body: Body) -> Vendor {
    Vendor { prefix, entity, least, body }
}

/// Longer prefixes first where one begins another.
const DASHED: &[Vendor] = &[
    vendor(b"sk-ant-", Entity::AnthropicKey, 16, Body::Random),
    vendor(b"sk-", Entity::OpenaiKey, 20, Body::Random),
    vendor(b"tg-", Entity::TollgateKey, 24, Body::UrlSafe),
    vendor(b"glpat-", Entity::GitlabToken, 20, Body::UrlSafe),
    vendor(b"gldt-", Entity::GitlabToken, 20, Body::UrlSafe),
    vendor(b"glrt-", Entity::GitlabToken, 20, Body::UrlSafe),
    vendor(b"glptt-", Entity::GitlabToken, 40, Body::UrlSafe),
    vendor(b"xoxb-", Entity::SlackToken, 16, Body::UrlSafe),
    vendor(b"xoxp-", Entity::SlackToken, 16, Body::UrlSafe),
    vendor(b"xoxa-", Entity::SlackToken, 16, Body::UrlSafe),
    vendor(b"xoxr-", Entity::SlackToken, 16, Body::UrlSafe),
    vendor(b"xoxs-", Entity::SlackToken, 16, Body::UrlSafe),
    vendor(b"xoxe-", Entity::SlackToken, 16, Body::UrlSafe),
    vendor(b"xapp-", Entity::SlackToken, 16, Body::UrlSafe),
    vendor(b"pypi-", Entity::PypiToken, 32, Body::UrlSafe),
    vendor(b"xai-", Entity::VendorToken, 40, Body::Random),
    vendor(b"pplx-", Entity::VendorToken, 32, Body::Random),
];

const UNDERSCORED: &[Vendor] = &[
    vendor(b"ghp_", Entity::GithubToken, 30, Body::Alphanumeric),
    vendor(b"gho_", Entity::GithubToken, 30, Body::Alphanumeric),
    vendor(b"ghs_", Entity::GithubToken, 30, Body::Alphanumeric),
    vendor(b"ghu_", Entity::GithubToken, 30, Body::Alphanumeric),
    vendor(b"ghr_", Entity::GithubToken, 30, Body::Alphanumeric),
    vendor(b"github_pat_", Entity::GithubToken, 30, Body::UrlSafe),
    vendor(b"sk_live_", Entity::StripeKey, 16, Body::Alphanumeric),
    vendor(b"sk_test_", Entity::StripeKey, 16, Body::Alphanumeric),
    vendor(b"rk_live_", Entity::StripeKey, 16, Body::Alphanumeric),
    vendor(b"rk_test_", Entity::StripeKey, 16, Body::Alphanumeric),
    vendor(b"whsec_", Entity::StripeKey, 24, Body::Alphanumeric),
    vendor(b"hf_", Entity::HfToken, 30, Body::Alphanumeric),
    vendor(b"npm_", Entity::NpmToken, 30, Body::Alphanumeric),
    vendor(b"gsk_", Entity::VendorToken, 40, Body::Alphanumeric),
    vendor(b"dop_v1_", Entity::VendorToken, 40, Body::Alphanumeric),
    vendor(b"shpat_", Entity::VendorToken, 32, Body::Alphanumeric),
    vendor(b"shpss_", Entity::VendorToken, 32, Body::Alphanumeric),
    vendor(b"r8_", Entity::VendorToken, 30, Body::Alphanumeric),
    vendor(b"lsv2_", Entity::VendorToken, 30, Body::UrlSafe),
    vendor(b"pcsk_", Entity::VendorToken, 30, Body::UrlSafe),
];

/// Anchored at the second letter of the prefix, or at `G` of `SG.`.
const LETTERED: &[Vendor] = &[
    vendor(b"AIza", Entity::GoogleApiKey, 30, Body::UrlSafe),
    vendor(b"SG.", Entity::SendgridKey, 40, Body::Dotted),
];

pub(super) fn dashed(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    at_word(scan, at, DASHED)
}

pub(super) fn underscored(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    at_word(scan, at, UNDERSCORED)
}

pub(super) fn lettered(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    at.checked_sub(1).and_then(|start| matched(scan.text, start, LETTERED))
}

/// The word that the trigger ends is at most six letters long.
fn at_word(scan: &Scan<'_>, at: usize, vendors: &[Vendor]) -> Option<Finding> {
    let start = run_start(scan.text, at, 7, |b| b.is_ascii_alphanumeric());
    if at - start < 2 { None } else { matched(scan.text, start, vendors) }
}

fn matched(text: &[u8], start: usize, vendors: &[Vendor]) -> Option<Finding> {
    let rest = text.get(start..)?;
    let vendor = vendors.iter().find(|v| rest.starts_with(v.prefix))?;
    if !starts_apart(text, start) {
        return None;
    }
    let from = start + vendor.prefix.len();
    // Where a dot belongs to the body, a body can begin inside another: bounded, or the work would be quadratic.
    if matches!(vendor.body, Body::Dotted)
        && run_end(text, from, DOTTED_HEAD, is_url_safe) < from + DOTTED_HEAD
    {
        return None;
    }
    let most = if matches!(vendor.body, Body::Dotted) { DOTTED_MAX } else { usize::MAX };
    let mut end = run_end(text, from, most, |b| match vendor.body {
        Body::Random | Body::UrlSafe => is_url_safe(b),
        Body::Alphanumeric => is_word(b),
        Body::Dotted => is_url_safe(b) || b == b'.',
    });
    while end > from && before(text, end) == b'.' {
        end -= 1;
    }
    let body = slice(text, from, end);
    let classes = Classes::of(body);
    let fits = match vendor.body {
        Body::Random => classes.digit > 0 && classes.upper > 0 && classes.lower > 0,
        Body::UrlSafe => true,
        // An identifier such as `npm_config_registry_path_of_the_user` is all lower case.
        Body::Alphanumeric => classes.kinds() > 1 && (classes.digit + classes.upper) > 2,
        Body::Dotted => body.contains(&b'.') && classes.upper > 0,
    };
    (fits && body.len() >= vendor.least).then(|| Finding::whole(vendor.entity, start, end))
}

/// TWILIO_KEY: `SK` or `AC` and 32 hexadecimal digits.
pub(super) fn twilio(scan: &Scan<'_>, start: usize, end: usize) -> Option<usize> {
    let word = slice(scan.text, start, end);
    let prefixed = word.starts_with(b"SK") || word.starts_with(b"AC");
    let hex = word.get(2..)?.iter().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
    (word.len() == 34 && prefixed && hex).then_some(end)
}

/// TELEGRAM_TOKEN: the bot's number, a colon, 35 characters that begin with `AA`.
pub(super) fn telegram(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    if slice(text, at + 1, at + 3) != b"AA" {
        return None;
    }
    let start = run_start(text, at, 11, |b| b.is_ascii_digit());
    let end = run_end(text, at + 1, 40, is_url_safe);
    let free = starts_apart(text, start) || slice(text, start.saturating_sub(3), start) == b"bot";
    let shaped = (8..=10).contains(&(at - start)) && (33..=36).contains(&(end - at - 1)) && free;
    (shaped && !is_url_safe(byte(text, end))).then(|| Finding::whole(Entity::TelegramToken, start, end))
}

//! What the name of a value says that it is: a password, a key, something made at random.

use super::bytes::{before, byte, is_alphanumeric, slice};
use super::{declared, sibling};
use crate::redact::entity::Entity;

const NAME_MAX: usize = 48;

/// What a name says about the value behind it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Something a person made up.
    Password,
    /// The same, if it looks made up: the name is short and means other things as well.
    MadeUp,
    /// Something a machine made.
    Key(Entity),
    /// The same, if it was made at random.
    Random,
}

impl Kind {
    pub(super) fn entity(self) -> Entity {
        match self {
            Self::Password | Self::MadeUp => Entity::Password,
            Self::Key(entity) => entity,
            Self::Random => Entity::ApiKey,
        }
    }

    pub(super) fn is_password(self) -> bool {
        matches!(self, Self::Password | Self::MadeUp)
    }
}

/// Endings of names, without `_`, `-` and `.`, lower case.
const PASSWORDS: &[&[u8]] = &[
    b"password",
    b"passwort",
    b"passwd",
    b"passphrase",
    b"passcode",
    b"pwd",
    b"kennwort",
    b"motdepasse",
    b"passe",
    b"mdp",
    b"contrasena",
    b"wachtwoord",
    b"userpass",
    b"dbpass",
    b"passw",
    b"smtppass",
    b"mailpass",
    b"redispass",
    b"adminpass",
    b"rootpass",
    b"sshpass",
    b"becomepass",
    b"vaultpass",
    b"wifikey",
    b"wlankey",
    b"rediscliauth",
];
/// What a name may end in behind a sign, or as a word that begins with a capital: `SMTP_PASS`, `adminPw`.
const LAST_WORDS: &[(&[u8], Kind)] = &[
    (b"pass", Kind::MadeUp),
    (b"pw", Kind::MadeUp),
    (b"pat", Kind::Key(Entity::ApiKey)),
    (b"salt", Kind::Random),
];
/// Before `pass` these are about something else.
const PASSES: &[&[u8]] = &[
    b"render",
    b"first",
    b"second",
    b"test",
    b"tests",
    b"low",
    b"high",
    b"band",
    b"single",
    b"multi",
    b"two",
    b"shadow",
    b"depth",
    b"last",
    b"next",
    b"by",
    b"compiler",
    b"post",
    b"pre",
];
const KEYS: &[(&[u8], Entity)] = &[
    (b"secretaccesskey", Entity::AwsSecretKey),
    (b"awssecretkey", Entity::AwsSecretKey),
    (b"accountkey", Entity::AzureStorageKey),
    (b"sharedaccesskey", Entity::AzureStorageKey),
    (b"authorization", Entity::Authorization),
    (b"apikey", Entity::ApiKey),
    (b"secret", Entity::ApiKey),
    (b"secretkey", Entity::ApiKey),
    (b"accesskey", Entity::ApiKey),
    (b"signingkey", Entity::ApiKey),
    (b"encryptionkey", Entity::ApiKey),
    (b"subscriptionkey", Entity::ApiKey),
    (b"privatekey", Entity::ApiKey),
    (b"token", Entity::ApiKey),
    (b"credential", Entity::ApiKey),
    (b"credentials", Entity::ApiKey),
    (b"sessionid", Entity::ApiKey),
    (b"clientkey", Entity::ApiKey),
    (b"authkey", Entity::ApiKey),
    (b"sessid", Entity::ApiKey),
    (b"secretkeybase", Entity::ApiKey),
    (b"bearerauth", Entity::Authorization),
    (b"bearer", Entity::ApiKey),
    (b"totp", Entity::ApiKey),
    (b"passwordsalt", Entity::ApiKey),
    (b"secretvalue", Entity::ApiKey),
];
/// Names that end so hold a key if the value was made at random, unless they are one of the others.
const RANDOM_KEYS: &[u8] = b"key";
const OTHER_KEYS: &[&[u8]] = &[
    b"publickey",
    b"primarykey",
    b"foreignkey",
    b"partitionkey",
    b"sortkey",
    b"cachekey",
    b"idempotencykey",
    b"objectkey",
    b"groupkey",
    b"rowkey",
    b"hashkey",
    b"indexkey",
    b"dedupekey",
    b"routingkey",
    b"keykey",
    b"issuekey",
    b"hotkey",
    b"websocketkey",
    b"monkey",
    b"turkey",
    b"s3key",
    b"bucketkey",
];
/// Whole names; too short to be endings. The second list counts in a query only.
const SHORT_PASSWORDS: &[&[u8]] = &[b"pw", b"pass", b"psk"];
/// Whole names of what was made at random, or of something else.
const RANDOM_NAMES: &[&[u8]] = &[b"auth", b"sid", b"session", b"salt"];
const PARAMETERS: &[&[u8]] = &[
    b"key",
    b"sig",
    b"signature",
    b"auth",
    b"code",
    b"xamzsignature",
    b"xgoogsignature",
    b"xamzsecuritytoken",
    b"session",
];

/// Whether a name may be on one of the lists, by its last two bytes: most names are not.
pub(super) fn may_be_listed(name: &[u8]) -> bool {
    let [.., before, last] = name else { return false };
    let place = |b: u8| usize::from((b | 0x20).wrapping_sub(b'a'));
    match ENDINGS.get(place(*last)) {
        Some(befores) if before.is_ascii_alphabetic() => befores >> place(*before) & 1 == 1,
        Some(_) => !before.is_ascii_digit(),
        // Signs do not count.
        None => !last.is_ascii_digit(),
    }
}

/// For each last letter of a name: the letters that stand before it in one of the lists, a bit each.
static ENDINGS: [u32; 26] = {
    let mut table = with_ending([0; 26], RANDOM_KEYS);
    let mut list = 0;
    while let Some(names) =
        row_of(&[sibling::VALUES, PASSWORDS, SHORT_PASSWORDS, RANDOM_NAMES, PARAMETERS], list)
    {
        let mut row = 0;
        while let Some(name) = row_of(names, row) {
            table = with_ending(table, name);
            row += 1;
        }
        list += 1;
    }
    let mut row = 0;
    while let Some((name, _)) = row_of(KEYS, row) {
        table = with_ending(table, name);
        row += 1;
    }
    row = 0;
    while let Some((name, _)) = row_of(LAST_WORDS, row) {
        table = with_ending(table, name);
        row += 1;
    }
    table
};

#[expect(clippy::indexing_slicing, reason = "within the rows; `get` is not const")]
const fn row_of<T: Copy>(rows: &[T], at: usize) -> Option<T> {
    if at < rows.len() { Some(rows[at]) } else { None }
}

#[expect(clippy::indexing_slicing, reason = "the lists hold small letters, which building the table proves")]
const fn with_ending(mut table: [u32; 26], name: &[u8]) -> [u32; 26] {
    let [.., before, last] = name else { return table };
    table[(*last - b'a') as usize] |= 1 << (*before - b'a');
    table
}

/// The same of one name; `query`: of a parameter of a URL.
pub(super) fn kind(name: &[u8], query: bool) -> Option<Kind> {
    let name = declared::unrepeated(name);
    if name.len() <= NAME_MAX && !may_be_listed(name) {
        return None;
    }
    let last = last_word(name);
    // `AWS::Macie::Session`.
    let path = name.contains(&b':');
    let mut letters = [0_u8; NAME_MAX];
    let mut length = 0;
    for b in name {
        let Some(to) = letters.get_mut(length) else { break };
        *to = b.to_ascii_lowercase();
        length += usize::from(is_alphanumeric(*b));
    }
    let name = letters.get(..length)?;
    if PASSWORDS.iter().any(|p| ends(name, p)) || SHORT_PASSWORDS.contains(&name) {
        return Some(Kind::Password);
    }
    if let Some((_, entity)) = KEYS.iter().find(|(ending, _)| ends(name, ending)) {
        return Some(Kind::Key(*entity));
    }
    let other = name.len() < 5 || OTHER_KEYS.iter().any(|other| ends(name, other));
    if (RANDOM_NAMES.contains(&name) && !path) || (name.ends_with(RANDOM_KEYS) && !other) {
        return Some(Kind::Random);
    }
    if let Some((word, kind)) = LAST_WORDS.iter().find(|(word, _)| last.eq_ignore_ascii_case(word))
        && let Some(first) = name.strip_suffix(*word)
        && !first.is_empty()
        && !(*word == b"pass" && PASSES.iter().any(|other| first.ends_with(other)))
    {
        return Some(*kind);
    }
    (query && PARAMETERS.contains(&name)).then_some(Kind::Key(Entity::ApiKey))
}

/// As `ends_with`, which is slower where most of a list ends otherwise.
fn ends(name: &[u8], ending: &[u8]) -> bool {
    let first = name.len().checked_sub(ending.len()).and_then(|at| name.get(at));
    name.last() == ending.last() && first == ending.first() && name.ends_with(ending)
}

/// The last word of a name: behind its last sign, or from its last capital behind a small letter.
fn last_word(name: &[u8]) -> &[u8] {
    let begins = |at: &usize| {
        let (last, here) = (before(name, *at), byte(name, *at));
        !last.is_ascii_alphanumeric() || (last.is_ascii_lowercase() && here.is_ascii_uppercase())
    };
    let from = (name.len().saturating_sub(8)..name.len()).rev().find(begins).unwrap_or(0);
    slice(name, from, name.len())
}

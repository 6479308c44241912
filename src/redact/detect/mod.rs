//! The registry: which detectors are asked at which trigger, in this order; the first to find wins.
//! A detector is a function anchored at a trigger byte, with a bounded look around, in a file of its own.

mod assignment;
mod aws;
mod bank;
mod business;
pub(super) mod checksum;
mod crypto;
mod data_url;
mod email;
mod header;
mod identity;
mod jwt;
mod network;
mod number;
mod password;
mod payment;
mod pem;
mod phone;
mod run;
mod token;
mod url;
mod vendors;

use super::bytes;
use super::entity::Entity;
use super::scan::{Finding, Scan, Step, Trigger};

pub(super) use assignment::{json_value, names_value};
pub(super) type Detector = fn(&Scan<'_>, usize) -> Option<Finding>;

/// The detectors of a trigger; those of digits are in `NUMBERS` and `CODES`.
pub(super) fn at(trigger: Trigger) -> &'static [Detector] {
    match trigger {
        Trigger::None | Trigger::Digit => &[],
        Trigger::At => &[email::find],
        Trigger::Colon => &[
            data_url::find,
            url::find,
            header::cookie,
            token::telegram,
            network::ipv6,
            network::mac,
            assignment::find,
        ],
        Trigger::Equals => &[assignment::find],
        Trigger::Dash => &[pem::find, token::at_sign, network::mac, password::option],
        Trigger::Underscore => &[token::at_sign],
        Trigger::Noun => &[password::spoken],
        Trigger::Capital => &[jwt::find, aws::access_key, token::lettered, header::scheme],
    }
}

/// Sequences of digit groups, the strictest check first.
pub(super) const NUMBERS: &[(Entity, number::Check)] = &[
    (Entity::ChAhv, identity::ch_ahv),
    (Entity::CreditCard, payment::card),
    (Entity::FrNir, identity::fr_nir),
    (Entity::IpAddress, network::ipv4),
    (Entity::UsSsn, identity::us_ssn),
    (Entity::UsItin, identity::us_itin),
    (Entity::DeTaxId, identity::de_tax_id),
    (Entity::InAadhaar, identity::in_aadhaar),
    (Entity::AtSvnr, identity::at_svnr),
    (Entity::UkNhs, identity::uk_nhs_named),
    (Entity::PhoneNumber, phone::find),
    (Entity::UkNhs, identity::uk_nhs),
    (Entity::UkNino, identity::uk_nino_spaced),
    (Entity::DeSocialSecurity, identity::de_social_security_spaced),
];

/// Words that hold letters and digits: `(scan, start, end of the word) -> end of the value`.
pub(super) const CODES: &[(Entity, number::CodeCheck)] = &[
    (Entity::IbanCode, bank::iban),
    (Entity::TwilioKey, token::twilio),
    (Entity::Crypto, crypto::address),
    (Entity::DeSocialSecurity, identity::de_social_security),
    (Entity::UkNino, identity::uk_nino),
    (Entity::DeIdCard, identity::de_id_card),
    (Entity::FrNir, identity::fr_nir_corsica),
    (Entity::DeVatId, business::german),
    (Entity::AtVatId, business::austrian),
];

/// A digit begins a number, or stands in a word with letters, or in a run of both.
pub(super) fn at_digit(scan: &Scan<'_>, at: usize) -> Step {
    // A hardware address may be all digits and dashes, which would read as a number.
    let dashed = bytes::byte(scan.text, at + 2) == b'-';
    let mac = if dashed { network::mac(scan, at + 2) } else { None };
    let found = mac.or_else(|| run::find(scan, at)).or_else(|| business::behind_letters(scan, at));
    found.map_or_else(|| number::step(scan, at), Step::Found)
}

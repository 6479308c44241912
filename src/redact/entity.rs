//! What can be found: the one list of entities, and which of them a tenant has on.
//! A new entity is one line here and one line in `detect`.

use super::error::UnknownEntity;

/// How a value is written before it is turned into a token, so that the same value reads the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Letters and digits only, upper case: numbers however they were grouped.
    Compact,
    /// Lower case: addresses.
    Lower,
    /// As it stands: credentials.
    Exact,
}

/// What decides when two findings overlap: the greater wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Personal,
    /// A credential known by what stands before it (`password=`).
    Named,
    /// A credential known by its own shape.
    Shaped,
    /// A tenant's own pattern.
    Own,
}

macro_rules! entities {
    ($($variant:ident $name:literal $rank:ident $form:ident),+ $(,)?) => {
        /// A kind of sensitive value.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Entity { $($variant),+ }

        const ALL: &[Entity] = &[$(Entity::$variant),+];

        /// Whether a name is one of ours: what tells our placeholders from other bracketed text.
        pub(super) fn is_known(name: &str) -> bool {
            matches!(name, $($name)|+)
        }

        impl Entity {
            /// The entity of a name.
            pub(super) fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }

            /// The name in placeholders, counts and configuration.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            pub(super) fn rank(self) -> Rank {
                match self { $(Self::$variant => Rank::$rank),+ }
            }

            pub(super) fn form(self) -> Form {
                match self { $(Self::$variant => Form::$form),+ }
            }
        }
    };
}

entities! {
    EmailAddress "EMAIL_ADDRESS" Personal Lower,
    PhoneNumber "PHONE_NUMBER" Personal Compact,
    CreditCard "CREDIT_CARD" Personal Compact,
    IbanCode "IBAN_CODE" Personal Compact,
    IpAddress "IP_ADDRESS" Personal Lower,
    MacAddress "MAC_ADDRESS" Personal Compact,
    Crypto "CRYPTO" Personal Exact,
    UsSsn "US_SSN" Personal Compact,
    UsItin "US_ITIN" Personal Compact,
    UkNino "UK_NINO" Personal Compact,
    UkNhs "UK_NHS" Personal Compact,
    DeTaxId "DE_TAX_ID" Personal Compact,
    DeSocialSecurity "DE_SOCIAL_SECURITY" Personal Compact,
    DeIdCard "DE_ID_CARD" Personal Compact,
    AtSvnr "AT_SVNR" Personal Compact,
    ChAhv "CH_AHV" Personal Compact,
    FrNir "FR_NIR" Personal Compact,
    InAadhaar "IN_AADHAAR" Personal Compact,
    DeVatId "DE_VAT_ID" Personal Compact,
    AtVatId "AT_VAT_ID" Personal Compact,
    ChUid "CH_UID" Personal Compact,
    Password "PASSWORD" Named Exact,
    ApiKey "API_KEY" Named Exact,
    Authorization "AUTHORIZATION" Named Exact,
    Cookie "COOKIE" Named Exact,
    UrlPassword "URL_PASSWORD" Named Exact,
    AwsSecretKey "AWS_SECRET_KEY" Named Exact,
    AzureStorageKey "AZURE_STORAGE_KEY" Named Exact,
    AwsAccessKey "AWS_ACCESS_KEY" Shaped Exact,
    OpenaiKey "OPENAI_KEY" Shaped Exact,
    AnthropicKey "ANTHROPIC_KEY" Shaped Exact,
    GithubToken "GITHUB_TOKEN" Shaped Exact,
    GitlabToken "GITLAB_TOKEN" Shaped Exact,
    SlackToken "SLACK_TOKEN" Shaped Exact,
    SlackWebhook "SLACK_WEBHOOK" Shaped Exact,
    DiscordWebhook "DISCORD_WEBHOOK" Shaped Exact,
    StripeKey "STRIPE_KEY" Shaped Exact,
    GoogleApiKey "GOOGLE_API_KEY" Shaped Exact,
    HfToken "HF_TOKEN" Shaped Exact,
    NpmToken "NPM_TOKEN" Shaped Exact,
    PypiToken "PYPI_TOKEN" Shaped Exact,
    SendgridKey "SENDGRID_KEY" Shaped Exact,
    TwilioKey "TWILIO_KEY" Shaped Exact,
    TelegramToken "TELEGRAM_TOKEN" Shaped Exact,
    VendorToken "VENDOR_TOKEN" Shaped Exact,
    TollgateKey "TOLLGATE_KEY" Shaped Exact,
    Jwt "JWT" Shaped Exact,
    PrivateKey "PRIVATE_KEY" Shaped Exact,
    Unstable "UNSTABLE_TEXT" Shaped Exact,
}

/// The names of all entities, credentials included, in a fixed order.
pub fn entities() -> impl Iterator<Item = &'static str> {
    ALL.iter().filter(|e| **e != Entity::Unstable).map(|e| e.name())
}

/// Which entities are looked for. Credentials always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detectors(u64);

impl Detectors {
    /// Every entity.
    pub fn all() -> Self {
        Self(u64::MAX)
    }

    /// The named entities, and all credentials.
    pub fn only(names: &[&str]) -> Result<Self, UnknownEntity> {
        let credentials = ALL.iter().filter(|e| e.rank() != Rank::Personal);
        let mut on = credentials.fold(0, |bits, e| bits | bit(*e));
        for name in names {
            let found = ALL.iter().find(|e| e.name() == *name && **e != Entity::Unstable);
            let Some(entity) = found else {
                return Err(UnknownEntity { name: (*name).to_owned(), nearest: nearest(name) });
            };
            on |= bit(*entity);
        }
        Ok(Self(on))
    }

    pub(super) fn has(self, entity: Entity) -> bool {
        self.0 & bit(entity) != 0
    }
}

fn bit(entity: Entity) -> u64 {
    1 << (entity as u64)
}

/// The entity whose name holds what was asked for, else takes the fewest edits.
fn nearest(name: &str) -> &'static str {
    let wanted = name.to_ascii_uppercase();
    let apart = |known: &&str| (!known.contains(&wanted), distance(known.as_bytes(), wanted.as_bytes()));
    entities().min_by_key(apart).unwrap_or_default()
}

/// Levenshtein distance; the second word is cut to 64 bytes.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let b = b.get(..64).unwrap_or(b);
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, y) in row.iter_mut().skip(1).zip(b) {
            let best = (diagonal + usize::from(x != y)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = best;
            left = best;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_the_set_and_are_distinct() {
        assert!(ALL.len() <= 64);
        let mut names: Vec<_> = ALL.iter().map(|e| e.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn only_keeps_credentials_and_names_the_nearest() {
        let some = Detectors::only(&["CREDIT_CARD"]).unwrap();
        assert!(some.has(Entity::CreditCard) && some.has(Entity::Jwt) && !some.has(Entity::EmailAddress));
        let unknown = Detectors::only(&["EMAIL"]).unwrap_err();
        assert_eq!((unknown.name.as_str(), unknown.nearest), ("EMAIL", "EMAIL_ADDRESS"));
        assert_eq!(Detectors::only(&["IBAN"]).unwrap_err().nearest, "IBAN_CODE");
    }
}

//! `tollgate redact`: each line of stdin, redacted; nothing else on stdout.

use super::{CONFIGURATION, Status, configuration_at, print, tenant};
use crate::{
    clock,
    config::{self, compile},
    json::{self, Value},
    records::DataDirLock,
    redact::{Detectors, Redactor, TenantSecret},
};
use clap::builder::{PathBufValueParser, TypedValueParser};
use dashmap::DashMap;
use std::{
    borrow::Cow,
    io::{BufRead, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration: a `tollgate.yaml`, or the directory that it is in [default: config/tollgate.yaml]
    #[arg(
        long,
        short,
        value_name = "FILE",
        env = "TOLLGATE_CONFIG",
        value_parser = PathBufValueParser::new().map(configuration_at)
    )]
    config: Option<PathBuf>,
    /// With this tenant's detectors, patterns and secret
    #[arg(long, short)]
    tenant: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Status {
    let config = arguments.config.as_deref();
    let redactor = match &arguments.tenant {
        None => of_nobody(config),
        Some(tenant) => of_tenant(config.unwrap_or_else(|| Path::new(CONFIGURATION)), tenant),
    };
    match redactor {
        Ok(redactor) => filter(&redactor),
        Err(message) => print::failed(&message),
    }
}

/// With every detector, and a secret that nobody has. A configuration that is named must load all the same: whoever names one
/// counts on it.
fn of_nobody(config: Option<&Path>) -> Result<Arc<Redactor>, String> {
    config.map_or(Ok(()), |config| print::sound(config).map(drop))?;
    let secret = TenantSecret::derive(&random_secret()?, "redact");
    Ok(Arc::new(Redactor::new(secret, Detectors::all(), Vec::new())))
}

fn random_secret() -> Result<[u8; 32], String> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|_| "the system gives no random numbers".to_owned())?;
    Ok(secret)
}

fn of_tenant(config: &Path, tenant: &str) -> Result<Arc<Redactor>, String> {
    // Before a secret is made, in what may not be the data directory.
    let loaded = print::sound(config)?;
    if !loaded.tenants.iter().any(|known| known.tenant.value == tenant) {
        return Err(format!("there is no tenant `{tenant}`"));
    }
    let env = |name: &str| std::env::var(name).ok();
    let place = tenant::place(&loaded)?;
    let secrets = tenant::secrets(&place)?;
    let (quotas, now) = (DashMap::new(), clock::unix_seconds(clock::wall()));
    let context = compile::Context { env: &env, secrets: &secrets, quotas: &quotas, before: None, now };
    let (compiled, problems) = compile::compile(&loaded, &context);
    let Some(compiled) = compiled else {
        let text = config::to_text(&problems, &loaded.files, config::Colour::Plain);
        return Err(format!("the configuration does not load\n{text}"));
    };
    if secrets.is_fresh() {
        // A running gateway knows the secrets of its tenants: others could not be kept beside it.
        let lock = DataDirLock::take(&place.data_dir).map_err(|_| {
            "a gateway runs that does not know all tenants of this configuration yet: reload it".to_owned()
        })?;
        secrets.save(&lock).map_err(|error| error.to_string())?;
    }
    let member = compiled.snapshot.directory.find(tenant);
    let member = member.ok_or_else(|| format!("there is no tenant `{tenant}`"))?;
    Ok(Arc::clone(&member.tenant().journal.redactor))
}

fn filter(redactor: &Redactor) -> Status {
    let mut stdin = std::io::stdin().lock();
    let mut stdout = BufWriter::new(std::io::stdout().lock());
    let mut line = Vec::new();
    loop {
        line.clear();
        match stdin.read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => return print::failed(&format!("stdin cannot be read: {}", error.kind())),
        }
        let ended = line.last() == Some(&b'\n');
        let (text, reading) = Reading::of(line.strip_suffix(b"\n").unwrap_or(&line));
        let (text, carriage) = text.strip_suffix('\r').map_or((&*text, ""), |text| (text, "\r"));
        // A line that is a number is JSON, and stays it. As a part of a text it would be none.
        let number = matches!(json::parse(text.trim().as_bytes(), 1), Ok(Value::Number(_)));
        let redacted = if number { redactor.json(text) } else { None };
        let redacted = redacted.unwrap_or_else(|| redactor.line(text));
        let end = if ended { "\n" } else { "" };
        let redacted = reading.bytes(redacted.as_str());
        if stdout.write_all(&redacted).and_then(|()| write!(stdout, "{carriage}{end}")).is_err() {
            break;
        }
    }
    if stdout.flush().is_err() { Status::Findings } else { Status::Fine }
}

/// What bytes of a line that are no UTF-8 are read as, so that they can be written as they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// There are none.
    Utf8,
    /// As the characters that they are in Latin-1: then words, names and addresses are found as ever.
    Latin1,
    /// As characters from this one on that the line does not have otherwise: it has those of Latin-1 in UTF-8, too.
    Private(u32),
}

/// The first byte, and the first character, that is none of ASCII.
const BEYOND_ASCII: u8 = 0x80;
/// Blocks of as many characters as there are such bytes: the last planes, which are nobody's.
const PRIVATE: std::ops::Range<u32> = 0xF_0000..0x10_FF00;
const BLOCK: usize = 0x80;

impl Reading {
    /// A line as text, and how it was read.
    fn of(line: &[u8]) -> (Cow<'_, str>, Self) {
        if let Ok(text) = std::str::from_utf8(line) {
            return (Cow::Borrowed(text), Self::Utf8);
        }
        let known = || line.utf8_chunks().flat_map(|chunk| chunk.valid().chars());
        let has = |from: u32| known().any(|char| (from..from + 0x80).contains(&u32::from(char)));
        let latin = u32::from(BEYOND_ASCII);
        let reading = if has(latin) {
            // A line of so many characters that none is free is longer than any.
            let free = PRIVATE.step_by(BLOCK).find(|from| !has(*from));
            Self::Private(free.unwrap_or(PRIVATE.start))
        } else {
            Self::Latin1
        };
        let mut text = String::with_capacity(line.len() * 2);
        for chunk in line.utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|byte| reading.char(*byte)));
        }
        (Cow::Owned(text), reading)
    }

    /// The first of the characters that stand for bytes.
    fn first(self) -> u32 {
        match self {
            Self::Utf8 | Self::Latin1 => u32::from(BEYOND_ASCII),
            Self::Private(from) => from,
        }
    }

    fn char(self, byte: u8) -> char {
        let at = self.first() + u32::from(byte.saturating_sub(BEYOND_ASCII));
        char::from_u32(at).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    /// A text as the bytes that it was.
    fn bytes(self, text: &str) -> Cow<'_, [u8]> {
        if self == Self::Utf8 {
            return Cow::Borrowed(text.as_bytes());
        }
        let mut bytes = Vec::with_capacity(text.len());
        for char in text.chars() {
            let byte = u32::from(char).checked_sub(self.first()).and_then(|at| u8::try_from(at).ok());
            match byte.filter(|at| *at < BEYOND_ASCII) {
                Some(at) => bytes.push(BEYOND_ASCII + at),
                None => bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Cow::Owned(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_a_line_holds_it_is_written_as_it_was(
            pieces in prop::collection::vec(prop_oneof![
                any::<Vec<u8>>(),
                "\\PC{0,4}".prop_map(String::into_bytes),
                Just("é\u{f0000}\u{f0081}".as_bytes().to_vec()),
                Just(b"caf\xe9".to_vec()),
            ], 0..6)
        ) {
            let line = pieces.concat();
            let (text, reading) = Reading::of(&line);
            prop_assert_eq!(&*reading.bytes(&text), &*line);
        }
    }

    #[test]
    fn latin_1_is_read_as_what_it_says() {
        assert_eq!(Reading::of(b"R\xfcckruf"), ("Rückruf".into(), Reading::Latin1));
        assert_eq!(Reading::of("Rück".as_bytes()), ("Rück".into(), Reading::Utf8));
        assert_eq!(Reading::of("Rück\u{f0000}".as_bytes()).1, Reading::Utf8);
        let mixed = ["Rück\u{f0000}".as_bytes(), b"\xfc"].concat();
        assert_eq!(Reading::of(&mixed).1, Reading::Private(0xF_0080));
    }
}

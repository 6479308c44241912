//! Redaction: takes what is sensitive out of text and JSON before anything is written down.
//!
//! A value becomes `[ENTITY:token]`; the token is an HMAC under the tenant's secret, so that the same value reads
//! the same within a tenant and cannot be linked across tenants. Only this module makes a `Redacted`, and a record
//! takes nothing else. Pure: bytes in, bytes out.
//!
//! Text is redacted until a pass finds nothing: that is why redacting twice changes nothing.

mod allow;
mod block;
mod bytes;
mod detect;
mod encoded;
mod entity;
mod error;
mod holds;
mod json;
mod known;
mod marked;
mod mask;
mod number;
mod pattern;
mod placeholder;
mod reading;
mod resolve;
mod scan;
mod secret;
mod shadow;
#[cfg(test)]
mod tests;
mod under;
mod wrapped;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

pub use self::allow::Allow;
use self::allow::Allowed;
use self::entity::Entity;
pub use self::entity::{Detectors, entities};
pub use self::error::{AllowError, PatternError, UnknownEntity};
use self::holds::Holds;
use self::known::Known;
pub use self::known::{is_telling, spellings, stands_for_itself};
pub use self::marked::Mark;
pub use self::mask::{Masks, Unstable, between_placeholders, entity_of};
pub use self::pattern::Pattern;
pub use self::placeholder::holds_placeholder;
use self::reading::Reading;
use self::resolve::{Located, Piece, Tally};
use self::scan::{Finding, Scan, What};
use self::secret::Pseudonyms;
pub use self::secret::TenantSecret;
use self::shadow::Shadow;
use self::under::Under;

/// Passes over one text. A text that still changes then is replaced whole.
const PASSES_MAX: usize = 4;
/// JSON within strings of JSON within strings…
const NESTED_MAX: usize = 4;
/// Encodings within encodings.
const DECODED_MAX: usize = 3;
/// Bytes before encoded text that may say what it is.
const CONTEXT: usize = 48;

/// Redacts for one tenant. Cheap to make and to clone; detectors and tables are static.
#[derive(Clone)]
pub struct Redactor {
    pseudonyms: Pseudonyms,
    on: Detectors,
    patterns: Vec<Pattern>,
    allowed: Allowed,
    known: Option<Known>,
}

impl Redactor {
    /// A redactor with the tenant's secret, the entities it has on, and its own patterns.
    pub fn new(secret: TenantSecret, detectors: Detectors, patterns: Vec<Pattern>) -> Self {
        Self {
            pseudonyms: secret.into_pseudonyms(),
            on: detectors,
            patterns,
            allowed: Allowed::default(),
            known: None,
        }
    }

    /// The same, but for values that are let through.
    #[must_use]
    pub fn allowing(mut self, allow: &[Allow]) -> Self {
        self.allowed = Allowed::new(allow);
        self
    }

    /// The same, which also knows what was masked of a request wherever it stands in what belongs to it. `None` where there
    /// is nothing that tells itself from other words.
    pub fn knowing(&self, masks: &Masks) -> Option<Self> {
        Known::of(masks).map(|known| Self { known: Some(known), ..self.clone() })
    }

    /// Plain text.
    pub fn text(&self, text: &str) -> Redacted {
        let mut tally = Tally::default();
        let changed = self.plain(text, Under::NOTHING, &mut tally);
        Redacted::made(changed.unwrap_or_else(|| text.to_owned()), tally)
    }

    /// The name of a tool: as text, and each part between `__` by itself, as `SERVER__` before what somebody else chose hides
    /// where a value begins.
    pub fn name(&self, name: &str) -> Redacted {
        let mut tally = Tally::default();
        let whole = self.plain(name, Under::NOTHING, &mut tally).map_or(Cow::Borrowed(name), Cow::Owned);
        let part =
            |part| self.plain(part, Under::NOTHING, &mut tally).map_or(Cow::Borrowed(part), Cow::Owned);
        let parts: Vec<_> = whole.split("__").map(part).collect();
        let name = parts.join("__");
        Redacted::made(name, tally)
    }

    /// Plain text that the caller has no more use for: as `text`, without a copy where nothing is found.
    pub fn owned(&self, text: String) -> Redacted {
        let mut tally = Tally::default();
        let changed = self.plain(&text, Under::NOTHING, &mut tally);
        Redacted::made(changed.unwrap_or(text), tally)
    }

    /// A JSON document, redacted inside its decoded strings, keys and numbers. It stays JSON, in the same order;
    /// what is not redacted stays as it was written; a number that is redacted becomes a string.
    /// None if it is not JSON, or nested deeper than 128.
    pub fn json(&self, json: &str) -> Option<Redacted> {
        let mut tally = Tally::default();
        let changed = json::rewrite(self, json, 0, &mut tally)?;
        Some(Redacted::made(changed.unwrap_or_else(|| json.to_owned()), tally))
    }

    /// One line of anything: as JSON if it is an object, array or string, else as text.
    pub fn line(&self, line: &str) -> Redacted {
        let mut tally = Tally::default();
        let changed = self.any(line, Under::NOTHING, 0, &mut tally);
        Redacted::made(changed.unwrap_or_else(|| line.to_owned()), tally)
    }

    /// As `line`, for a value under a JSON key; None if nothing changes.
    fn any(&self, text: &str, under: Under<'_>, nested: usize, tally: &mut Tally) -> Option<String> {
        // A cookie in quotes is no string of JSON.
        let json = if under == Under::Cookie { None } else { self.nested_json(text, nested, tally) };
        if let Some(changed) = json {
            return changed;
        }
        let changed = self.plain(text, under, tally)?;
        // Text that loses what kept it from being JSON is JSON from now on.
        Some(self.nested_json(&changed, nested, tally).flatten().unwrap_or(changed))
    }

    fn nested_json(&self, text: &str, nested: usize, tally: &mut Tally) -> Option<Option<String>> {
        if nested >= NESTED_MAX || !text.trim_start().starts_with(['{', '[', '"']) {
            return None;
        }
        let mut inner = tally.fresh();
        let changed = json::rewrite(self, text, nested, &mut inner)?;
        tally.add(inner);
        Some(changed)
    }

    /// A number that stands under a JSON key, as it is written and by its value. None if nothing changes.
    fn number(&self, digits: &str, under: Under<'_>, tally: &mut Tally) -> Option<String> {
        if let Some(whole) = number::whole(digits)
            && let Some(changed) = self.plain(&whole, under, tally)
        {
            return Some(changed);
        }
        self.plain(digits, under, tally)
    }

    /// None if nothing changes.
    fn plain(&self, text: &str, under: Under<'_>, tally: &mut Tally) -> Option<String> {
        let is_plain = self.patterns.is_empty() && self.known.is_none() && !under.names_value();
        if is_plain && scan::is_short_word(text) {
            return None;
        }
        let mut holds = Holds::of(text);
        let mut changed = self.pass(text, under, &mut holds, tally)?;
        for _ in 1..PASSES_MAX {
            match self.pass(&changed, under, &mut holds, tally) {
                Some(next) => changed = next,
                None => return Some(changed),
            }
        }
        if self.pass(&changed, under, &mut holds, &mut tally.fresh()).is_some() {
            tally.count(Entity::Unstable.name().into());
            changed.clear();
            self.placeholder(&mut changed, Entity::Unstable.name(), text.as_bytes());
        }
        Some(changed)
    }

    /// Finds and replaces once. None if there is nothing to find.
    fn pass(&self, text: &str, under: Under<'_>, holds: &mut Holds, tally: &mut Tally) -> Option<String> {
        let shadow = if holds.folded { Shadow::of(text) } else { None };
        holds.folded = shadow.is_some();
        let view = shadow.as_ref().map_or(text, Shadow::text);
        let mut findings = match &shadow {
            Some(_) => self.findings(view, under, 0),
            None => self.findings_of(view, under, 0, holds),
        };
        if tally.masks() {
            // Pictures and files go where the text goes.
            findings.retain(|found| !found.is_data());
        }
        let pieces = resolve::merge(findings);
        if pieces.is_empty() {
            return None;
        }
        let mut out = String::with_capacity(text.len());
        let mut from = 0;
        let mut free = (shadow.is_none() && !holds.walls).then(Vec::new);
        let mut wall = 0;
        for piece in &pieces {
            let range = view.floor_char_boundary(piece.start)..view.ceil_char_boundary(piece.end);
            let range = shadow.as_ref().map_or_else(|| range.clone(), |s| s.original(&range, text));
            out.push_str(text.get(from..range.start).unwrap_or_default());
            let source = text.get(range.clone()).unwrap_or_default();
            free = free.filter(|_| !piece.best.is_data());
            free.iter_mut().for_each(|free| free.push(wall..out.len()));
            self.write(&mut out, (view, source), piece, tally);
            wall = out.len();
            from = range.end.max(from);
        }
        out.push_str(text.get(from..).unwrap_or_default());
        free.iter_mut().for_each(|free| free.push(wall..out.len()));
        (holds.walls, holds.free) = (true, free);
        Some(out)
    }

    /// What stands in a text, in its other readings and in what is encoded in it, as places of the text.
    fn findings(&self, view: &str, under: Under<'_>, depth: usize) -> Vec<Located> {
        self.findings_of(view, under, depth, &mut Holds::of(view))
    }

    /// The same of a text of which is known what it holds.
    fn findings_of(&self, view: &str, under: Under<'_>, depth: usize, holds: &mut Holds) -> Vec<Located> {
        let mut all = Vec::new();
        let mut runs = false;
        let free = holds.free.take();
        let parsed = free.is_none().then(|| placeholder::stretches(view, &self.patterns));
        let parsed = parsed.into_iter().flatten();
        let written = free.into_iter().flatten().filter(|stretch| !stretch.is_empty());
        for stretch in written.chain(parsed) {
            holds.walls = stretch.len() < view.len();
            self.scan(view, stretch.clone(), under, &mut all);
            if depth >= DECODED_MAX || !holds.runs {
                continue;
            }
            let text = view.get(stretch.clone()).unwrap_or_default();
            for (run, decoded) in encoded::runs(text, &mut runs) {
                let run = run.start + stretch.start..run.end + stretch.start;
                all.extend(self.within(view, (&run, &decoded), under, depth));
            }
        }
        if depth >= DECODED_MAX {
            return all;
        }
        holds.runs = runs;
        if let Some(reading) = holds.marks.then(|| Reading::decoded(view)).flatten() {
            let inner = self.shown(reading.text(), under, depth + 1);
            all.extend(inner.into_iter().filter_map(|found| found.shown_by(&reading)));
        }
        type Counts = fn(&Located, &str) -> bool;
        let joined = holds.feeds.then(|| Reading::joined(view)).flatten();
        let joined = joined.map(|reading| (reading, Located::is_certain_or_named as Counts, true));
        let unspaced = Reading::unspaced(view).map(|reading| (reading, Located::is_shaped as Counts, false));
        let spelled = holds.points.then(|| Reading::spelled(view)).flatten();
        let spelled = spelled.map(|reading| (reading, Located::is_address as Counts, false));
        for (reading, counts, broken) in [joined, unspaced, spelled].into_iter().flatten() {
            let mut inner = Vec::new();
            for stretch in placeholder::stretches(reading.text(), &self.patterns) {
                self.scan(reading.text(), stretch, Under::NOTHING, &mut inner);
            }
            if broken {
                self.broken(reading.text(), depth, &mut inner);
            }
            let joined: Vec<Located> = inner
                .into_iter()
                .filter(|found| counts(found, reading.text()))
                .filter_map(|found| found.read_in(&reading))
                .collect();
            // Two values under each other are two; and what is one without its second line is no more with it.
            let apart = |found: &Located| {
                !all.iter().any(|one| {
                    let second = one.start > found.start && one.start < found.end;
                    one.what == found.what && (second || one.start == found.start && found.needs_word())
                })
            };
            let joined: Vec<Located> = joined.into_iter().filter(apart).collect();
            all.extend(joined);
        }
        all
    }

    /// What stands in what is encoded over lines that were joined. Apart: most texts have no such line.
    #[inline(never)]
    fn broken(&self, text: &str, depth: usize, all: &mut Vec<Located>) {
        for (run, decoded) in encoded::runs(text, &mut false) {
            all.extend(self.within(text, (&run, &decoded), Under::NOTHING, depth));
        }
    }

    /// What stands in a text that was decoded, which may be written in look-alikes; as places of it.
    fn shown(&self, text: &str, under: Under<'_>, depth: usize) -> Vec<Located> {
        let Some(shadow) = Shadow::of(text) else { return self.findings(text, under, depth) };
        let view = shadow.text();
        let place = |found: Located| {
            let range = view.floor_char_boundary(found.start)..view.ceil_char_boundary(found.end);
            found.moved(&shadow.original(&range, text))
        };
        self.findings(view, under, depth).into_iter().map(place).collect()
    }

    /// The detectors and the tenant's patterns, once over a stretch between placeholders.
    fn scan(&self, view: &str, stretch: Range<usize>, under: Under<'_>, all: &mut Vec<Located>) {
        let text = view.get(stretch.clone()).unwrap_or_default();
        let mut keep = |mut finding: Finding| {
            finding.shift(stretch.start);
            let found = Located::here(finding, view);
            if !self.allowed.holds(&found) {
                all.push(found);
            }
        };
        let key = under.key();
        Scan::of(text.as_bytes(), key, self.on).run(&mut keep);
        if under == Under::Cookie {
            keep(Finding::whole(Entity::Cookie, 0, text.len()));
        } else if detect::is_cookie(key) {
            detect::cookies(key, text, &mut keep);
        } else if !key.is_empty()
            && let Some((entity, from)) = detect::json_value(key, text)
        {
            keep(Finding::whole(entity, from, text.len()));
        }
        for (index, pattern) in self.patterns.iter().enumerate() {
            for (start, end) in pattern.find(text) {
                keep(Finding { start, end, what: What::Own(index), resume: end });
            }
        }
        for (mut finding, value) in self.known.iter().flat_map(|known| known.find(text)) {
            finding.shift(stretch.start);
            let found = Located { value: value.into(), ..Located::here(finding, view) };
            if !self.allowed.holds(&found) {
                all.push(found);
            }
        }
    }

    /// A credential in an argument, by the ones before it; None if there is none.
    fn argument(&self, said: &str, text: &str, tally: &mut Tally) -> Option<String> {
        let line = format!("{said}{text}");
        let finding = detect::argument(line.as_bytes(), said.len(), self.on)?;
        let best = Located::here(finding, &line);
        if self.allowed.holds(&best) {
            return None;
        }
        let (start, end) = (best.start, best.end);
        let mut out = line.get(said.len()..start)?.to_owned();
        let value = line.get(start..end)?;
        self.write(&mut out, (&line, value), &Piece { start, end, best }, tally);
        Some(out)
    }

    /// What is found in text that was encoded: the whole run goes.
    fn within(
        &self,
        view: &str,
        (run, decoded): (&Range<usize>, &str),
        under: Under<'_>,
        depth: usize,
    ) -> Option<Located> {
        let shadow = Shadow::of(decoded);
        let decoded = shadow.as_ref().map_or(decoded, Shadow::text);
        let certain = self.findings(decoded, under, depth + 1).into_iter().filter(|found| !found.is_data());
        if let Some(best) = certain.max_by_key(Located::weight) {
            return Some(best.moved(run));
        }
        // What stands before it may say what it is.
        let start = view.ceil_char_boundary(run.start.saturating_sub(CONTEXT));
        let before = view.get(start..run.start).unwrap_or_default();
        let line = before.rsplit(['\n', ']']).next().unwrap_or_default();
        let text = format!("{line}{decoded}");
        let mut named = Vec::new();
        self.scan(&text, 0..text.len(), under, &mut named);
        // What is encoded twice.
        if named.is_empty() && !decoded.contains(char::is_whitespace) {
            named = self.findings(&text, under, depth + 1);
        }
        let inside = |found: &Located| found.end > line.len() && !found.is_data();
        Some(named.into_iter().filter(inside).max_by_key(Located::weight)?.moved(run))
    }

    /// Writes what stands for a piece, of which `source` is the text as it stands.
    fn write(&self, out: &mut String, (view, source): (&str, &str), piece: &Piece, tally: &mut Tally) {
        let best = &piece.best;
        let value = best.value.as_bytes();
        let mut put = |name: &str, value: &[u8], tally: &mut Tally| {
            let value = if tally.masks() { source.as_bytes() } else { value };
            let start = out.len();
            self.placeholder(out, name, value);
            tally.mask(out.get(start..).unwrap_or_default(), source);
        };
        match best.what {
            What::Entity(entity) => {
                tally.count(entity.name().into());
                put(entity.name(), &resolve::normalised(entity.form(), value), tally);
            }
            What::Own(index) => {
                let Some(pattern) = self.patterns.get(index) else { return };
                tally.count(pattern.name().clone().into());
                put(pattern.name(), value, tally);
            }
            What::Data { type_end, bytes } => {
                let head = view.get(best.start..type_end).unwrap_or("data:");
                out.push_str(&format!("[{head};{bytes} B]"));
            }
        }
    }

    fn placeholder(&self, out: &mut String, entity: &str, normalised: &[u8]) {
        out.push('[');
        out.push_str(entity);
        out.push(':');
        self.pseudonyms.write_token(out, entity, normalised);
        out.push(']');
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor")
            .field("on", &self.on)
            .field("patterns", &self.patterns)
            .finish_non_exhaustive()
    }
}

/// Text that may be written down: nothing in it but what redaction let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redacted {
    text: Cow<'static, str>,
    tally: Tally,
}

impl Redacted {
    /// No text.
    pub fn nothing() -> Self {
        Self::constant("")
    }

    /// Text from the source code.
    pub fn constant(text: &'static str) -> Self {
        Self { text: Cow::Borrowed(text), tally: Tally::default() }
    }

    fn made(text: String, tally: Tally) -> Self {
        Self { text: Cow::Owned(text), tally }
    }

    /// The redacted text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The redacted text, owned.
    pub fn into_string(self) -> String {
        self.text.into_owned()
    }

    /// How many values of which entity were replaced; entities without any are left out.
    pub fn counts(&self) -> impl Iterator<Item = (&str, u32)> {
        self.tally.iter()
    }
}

impl fmt::Display for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

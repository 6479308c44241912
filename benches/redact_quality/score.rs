//! What of a prompt's values is still there after redaction, and what was lost beside them.

use std::collections::BTreeMap;

use super::prompts::{Group, Prompt};

#[derive(Default, Clone)]
pub(crate) struct Rate {
    pub(crate) of: usize,
    pub(crate) bad: usize,
}

impl Rate {
    fn add(&mut self, bad: bool) {
        self.of += 1;
        self.bad += usize::from(bad);
    }

    pub(crate) fn percent(&self) -> f64 {
        if self.of == 0 { 0.0 } else { 100.0 * self.bad as f64 / self.of as f64 }
    }
}

#[derive(Default)]
pub(crate) struct Score {
    pub(crate) groups: BTreeMap<Group, Rate>,
    pub(crate) entities: BTreeMap<String, Rate>,
    pub(crate) shapes: BTreeMap<String, Rate>,
    pub(crate) look_alikes: BTreeMap<String, Rate>,
    pub(crate) clean_damaged: Rate,
    pub(crate) characters: Rate,
    pub(crate) misses: Vec<String>,
    pub(crate) damage: Vec<String>,
}

impl Score {
    /// Takes a prompt and what became of it.
    pub(crate) fn add(&mut self, prompt: &Prompt, redacted: &str) {
        let kept = kept(&prompt.text, redacted);
        let views = views(redacted);
        let is_lost =
            |range: &std::ops::Range<usize>| range.clone().any(|at| !kept.get(at).copied().unwrap_or(false));
        for one in &prompt.sensitive {
            let surface = prompt.text.get(one.range.clone()).unwrap_or_default();
            let leaked = redacted.contains(surface) || is_readable(&one.entity, &one.value, &views);
            self.groups.entry(one.group).or_default().add(leaked);
            self.entities.entry(one.entity.clone()).or_default().add(leaked);
            if one.group != Group::Disguised {
                self.shapes.entry(prompt.shape.to_owned()).or_default().add(leaked);
            }
            if leaked {
                self.misses.push(format!(
                    "{} {} [{}] {surface:?} in {:?}",
                    prompt.id,
                    one.entity,
                    prompt.shape,
                    around(&prompt.text, &one.range)
                ));
            }
        }
        for (range, kind) in &prompt.look_alikes {
            let hit = is_lost(range);
            self.look_alikes.entry(kind.clone()).or_default().add(hit);
            if hit {
                self.damage.push(format!(
                    "{} {kind} [{}] {:?} => {redacted:?}",
                    prompt.id,
                    prompt.shape,
                    around(&prompt.text, range)
                ));
            }
        }
        let mut lost = 0;
        for (at, _) in prompt.text.char_indices() {
            if prompt.sensitive.iter().any(|s| s.range.contains(&at)) {
                continue;
            }
            let gone = !kept.get(at).copied().unwrap_or(false);
            lost += usize::from(gone);
            self.characters.add(gone);
        }
        if prompt.sensitive.is_empty() {
            self.clean_damaged.add(lost > 0);
        }
        if lost > 0 && prompt.look_alikes.iter().all(|(range, _)| !is_lost(range)) {
            self.damage
                .push(format!("{} +{lost} [{}] {:?} => {redacted:?}", prompt.id, prompt.shape, prompt.text));
        }
    }

    pub(crate) fn look_alikes_hit(&self) -> Rate {
        let apart = |kind: &str| matches!(kind, "scp_path" | "version");
        self.look_alikes
            .iter()
            .filter(|(kind, _)| !apart(kind))
            .fold(Rate::default(), |sum, (_, rate)| Rate { of: sum.of + rate.of, bad: sum.bad + rate.bad })
    }

    pub(crate) fn group(&self, group: Group) -> Rate {
        self.groups.get(&group).cloned().unwrap_or_default()
    }
}

fn around(text: &str, range: &std::ops::Range<usize>) -> String {
    let start = text.floor_char_boundary(range.start.saturating_sub(50));
    let end = text.ceil_char_boundary(text.len().min(range.end + 30));
    text.get(start..end).unwrap_or_default().to_owned()
}

/// For each byte of the text: does it stand in what was redacted? What stands between placeholders is looked for in
/// order; a piece of nothing but blanks is kept where it fits first.
fn kept(text: &str, redacted: &str) -> Vec<bool> {
    let mut kept = vec![false; text.len()];
    let pieces = pieces(redacted);
    let mut from = 0;
    let count = pieces.len();
    for (index, piece) in pieces.iter().enumerate() {
        let rest = text.get(from..).unwrap_or_default();
        let found = if index == 0 {
            rest.starts_with(piece).then_some(0)
        } else if index + 1 == count {
            rest.ends_with(piece).then(|| rest.len() - piece.len())
        } else {
            rest.find(piece)
        };
        let Some(found) = found else { continue };
        for at in from + found..from + found + piece.len() {
            if let Some(cell) = kept.get_mut(at) {
                *cell = true;
            }
        }
        from += found + piece.len();
    }
    kept
}

/// What stands between `[ENTITY:token]`s.
fn pieces(redacted: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut from = 0;
    for (open, _) in redacted.match_indices('[') {
        if open < from {
            continue;
        }
        let rest = redacted.get(open + 1..).unwrap_or_default();
        let name =
            rest.bytes().take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_').count();
        let token = rest.get(name + 1..name + 17).unwrap_or_default();
        let is_one = name > 0
            && rest.as_bytes().get(name) == Some(&b':')
            && rest.as_bytes().get(name + 17) == Some(&b']')
            && token.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if is_one {
            out.push(redacted.get(from..open).unwrap_or_default());
            from = open + name + 19;
        }
    }
    out.push(redacted.get(from..).unwrap_or_default());
    out
}

fn squash(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The text as it stands, and with the escapes of JSON, percent signs and numeric entities undone.
fn views(redacted: &str) -> Vec<String> {
    let mut percent = Vec::new();
    let bytes = redacted.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = redacted.get(at + 1..at + 3).and_then(|h| u8::from_str_radix(h, 16).ok());
        match (byte, hex) {
            (b'%' | b'=', Some(value)) => {
                percent.push(value);
                at += 3;
            }
            _ => {
                percent.push(*byte);
                at += 1;
            }
        }
    }
    vec![squash(redacted), squash(&String::from_utf8_lossy(&percent))]
}

/// Half of a value still there is a leak; an address by its local part.
fn is_readable(entity: &str, value: &str, views: &[String]) -> bool {
    let core = match entity {
        "EMAIL_ADDRESS" => value.split('@').next().unwrap_or_default(),
        "PRIVATE_KEY" => value.get(40..value.len().saturating_sub(40)).unwrap_or(value),
        _ => value,
    };
    let core = squash(core);
    let half = core.len().div_ceil(2).clamp(8, 24);
    if core.len() < 6 {
        return false;
    }
    if core.len() <= half {
        return views.iter().any(|view| view.contains(&core));
    }
    (0..=core.len() - half)
        .any(|at| core.get(at..at + half).is_some_and(|part| views.iter().any(|view| view.contains(part))))
}

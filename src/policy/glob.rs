//! Globs over names, and an index that finds the patterns matching a name without trying them all.
//! `*` stands for any run of characters, `?` for one; a glob matches the whole name, case-sensitively.

use std::collections::HashMap;

/// A pattern over names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    text: Box<str>,
}

impl Glob {
    /// Any text is a glob.
    pub fn new(text: &str) -> Self {
        Self { text: text.into() }
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How many characters of the pattern are literal: the more, the more specific.
    pub fn literal_len(&self) -> usize {
        self.text.bytes().filter(|b| !matches!(b, b'*' | b'?')).count()
    }

    /// Whether the whole name matches. Time is bounded by the product of the two lengths.
    pub fn matches(&self, name: &str) -> bool {
        wildcard(self.text.as_bytes(), name.as_bytes())
    }

    /// Whether some name, or each one, that begins so matches.
    pub fn reaches(&self, prefix: &str) -> Reach {
        // What stands before the first wildcard tells most of them apart.
        let literal = self.text.split(['*', '?']).next().unwrap_or_default().as_bytes();
        if literal.iter().zip(prefix.as_bytes()).any(|(mine, theirs)| mine != theirs) {
            return Reach::None;
        }
        let pattern: Vec<char> = self.text.chars().collect();
        // Where in the pattern a match can stand, behind what was read of the prefix.
        let mut places = vec![false; pattern.len() + 1];
        let mark = |places: &mut [bool], mut at: usize| {
            while let Some(place) = places.get_mut(at) {
                *place = true;
                if pattern.get(at) != Some(&'*') {
                    break;
                }
                at += 1;
            }
        };
        mark(&mut places, 0);
        let mut next = places.clone();
        for c in prefix.chars() {
            next.fill(false);
            for at in (0..places.len()).filter(|&at| places.get(at) == Some(&true)) {
                match pattern.get(at) {
                    Some('*') => mark(&mut next, at),
                    Some('?') => mark(&mut next, at + 1),
                    Some(literal) if *literal == c => mark(&mut next, at + 1),
                    Some(_) | None => {}
                }
            }
            std::mem::swap(&mut places, &mut next);
        }
        let ends_open = pattern.last() == Some(&'*');
        let at_last = pattern.len().checked_sub(1).and_then(|last| places.get(last));
        match places.contains(&true) {
            true if ends_open && at_last == Some(&true) => Reach::All,
            true if places.iter().rev().skip(1).any(|place| *place) => Reach::Some,
            // At the very end of the pattern: the prefix itself, and nothing behind it.
            true | false => Reach::None,
        }
    }

    fn shape(&self) -> Shape<'_> {
        let text = &*self.text;
        if !text.contains(['*', '?']) {
            return Shape::Exact(text);
        }
        let plain = |part: &str| !part.contains(['*', '?']);
        match (text.strip_suffix('*'), text.strip_prefix('*')) {
            (Some(prefix), _) if plain(prefix) => Shape::Prefix(prefix),
            (_, Some(suffix)) if plain(suffix) => Shape::Suffix(suffix),
            _ => Shape::General,
        }
    }
}

/// How many of the names that begin alike a glob matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    All,
    None,
    Some,
}

enum Shape<'a> {
    Exact(&'a str),
    General,
    Prefix(&'a str),
    Suffix(&'a str),
}

/// Greedy matching that goes back to the last star only.
fn wildcard(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(b'?') => {
                p += 1;
                n = next_char(name, n);
            }
            Some(byte) if name.get(n) == Some(byte) => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((star_p, star_n)) => {
                    let retry = next_char(name, star_n);
                    star = Some((star_p, retry));
                    p = star_p + 1;
                    n = retry;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|&b| b == b'*'))
}

/// The start of the next UTF-8 character behind `at`.
fn next_char(name: &[u8], at: usize) -> usize {
    let mut next = at + 1;
    while name.get(next).is_some_and(|b| b & 0xc0 == 0x80) {
        next += 1;
    }
    next
}

/// A set of globs. Empty means: nothing matches.
#[derive(Debug, Clone, Default)]
pub struct Globs {
    globs: Vec<Glob>,
    /// What must match as well.
    within: Option<Box<Self>>,
}

impl Globs {
    /// Only what these match and the others too.
    #[must_use]
    pub fn within(mut self, others: Self) -> Self {
        self.within = Some(Box::new(match self.within.take() {
            Some(before) => before.within(others),
            None => others,
        }));
        self
    }

    /// Whether some glob matches the name.
    pub fn matches(&self, name: &str) -> bool {
        self.globs.iter().any(|glob| glob.matches(name))
            && self.within.as_ref().is_none_or(|others| others.matches(name))
    }

    /// Whether some name that begins so may match.
    pub fn may_reach(&self, prefix: &str) -> bool {
        self.globs.iter().any(|glob| glob.reaches(prefix) != Reach::None)
            && self.within.as_ref().is_none_or(|others| others.may_reach(prefix))
    }

    /// Whether each name that begins so matches, by one glob alone.
    pub fn covers(&self, prefix: &str) -> bool {
        self.globs.iter().any(|glob| glob.reaches(prefix) == Reach::All)
            && self.within.as_ref().is_none_or(|others| others.covers(prefix))
    }

    /// The globs as written, without what narrows them.
    pub fn iter(&self) -> impl Iterator<Item = &Glob> {
        self.globs.iter()
    }
}

impl FromIterator<Glob> for Globs {
    fn from_iter<I: IntoIterator<Item = Glob>>(globs: I) -> Self {
        Self { globs: globs.into_iter().collect(), within: None }
    }
}

/// Finds, for a name, the numbers of all globs that match it. Literal names, prefixes and suffixes are
/// looked up by hash, once per distinct length; only patterns with a wildcard inside are tried one by one.
#[derive(Debug, Default)]
pub struct Index {
    exact: HashMap<Box<str>, Vec<u32>>,
    prefixes: Affixes,
    suffixes: Affixes,
    general: Vec<(Glob, u32)>,
}

#[derive(Debug, Default)]
struct Affixes {
    /// Every length that occurs in `numbers`, ascending.
    lengths: Vec<usize>,
    numbers: HashMap<Box<str>, Vec<u32>>,
}

impl Affixes {
    fn add(&mut self, text: &str, number: u32) {
        if let Err(at) = self.lengths.binary_search(&text.len()) {
            self.lengths.insert(at, text.len());
        }
        self.numbers.entry(text.into()).or_default().push(number);
    }

    fn find<'n>(
        &self,
        name: &'n str,
        part: impl Fn(&'n str, usize) -> Option<&'n str>,
        found: &mut Vec<u32>,
    ) {
        for &length in self.lengths.iter().take_while(|&&length| length <= name.len()) {
            if let Some(numbers) = part(name, length).and_then(|part| self.numbers.get(part)) {
                found.extend_from_slice(numbers);
            }
        }
    }
}

impl Index {
    /// Adds a glob under a number.
    pub fn add(&mut self, glob: &Glob, number: u32) {
        match glob.shape() {
            Shape::Exact(text) => self.exact.entry(text.into()).or_default().push(number),
            Shape::General => self.general.push((glob.clone(), number)),
            Shape::Prefix(text) => self.prefixes.add(text, number),
            Shape::Suffix(text) => self.suffixes.add(text, number),
        }
    }

    /// The numbers of the globs that match, ascending, each once.
    pub fn find(&self, name: &str) -> Vec<u32> {
        let mut found = self.exact.get(name).cloned().unwrap_or_default();
        self.prefixes.find(name, |name, length| name.get(..length), &mut found);
        self.suffixes.find(name, |name, length| name.get(name.len() - length..), &mut found);
        found.extend(self.general.iter().filter(|(glob, _)| glob.matches(name)).map(|(_, number)| number));
        found.sort_unstable();
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_and_case_sensitive() {
        let check = |glob: &str, name: &str, expected| {
            assert_eq!(Glob::new(glob).matches(name), expected, "{glob} {name}");
        };
        check("send_email", "send_email", true);
        check("send_email", "send_emails", false);
        check("send_email", "Send_email", false);
        check("get_*", "get_", true);
        check("get_*", "get", false);
        check("*__delete_*", "crm__delete_ticket", true);
        check("*__delete_*", "delete_ticket", false);
        check("a?c", "aéc", true);
        check("a?c", "ac", false);
        check("*", "", true);
        check("", "", true);
        check("", "a", false);
        check("*a*b*c", "xaybzc", true);
        check("*a*b*c", "xaybzcd", false);
        check("é*", "éa", true);
    }

    #[test]
    fn how_many_names_that_begin_alike() {
        let check = |glob: &str, expected| assert_eq!(Glob::new(glob).reaches("crm__"), expected, "{glob}");
        for all in ["*", "crm__*", "crm*", "c*_*", "*__*", "cr?__*", "**"] {
            check(all, Reach::All);
        }
        for some in ["crm__get_*", "crm__x", "*_delete", "c*x", "crm__?", "*__delete_*"] {
            check(some, Reach::Some);
        }
        for none in ["", "crm__", "crm_", "crm_x*", "get_*", "x*", "?"] {
            check(none, Reach::None);
        }
    }

    proptest! {
        #[test]
        fn a_reach_is_what_names_tell(glob in "[ab*?]{0,5}", prefix in "[ab]{0,3}", rest in "[ab]{1,4}") {
            let (glob, name) = (Glob::new(&glob), format!("{prefix}{rest}"));
            match glob.reaches(&prefix) {
                Reach::All => prop_assert!(glob.matches(&name)),
                Reach::None => prop_assert!(!glob.matches(&name)),
                Reach::Some => {}
            }
        }

        #[test]
        fn the_index_finds_what_trying_all_finds(
            globs in proptest::collection::vec("[ab*?]{0,5}", 0..20), name in "[abé]{0,6}"
        ) {
            let mut index = Index::default();
            for (number, glob) in (0..).zip(&globs) {
                index.add(&Glob::new(glob), number);
            }
            let plain: Vec<u32> = (0..).zip(&globs)
                .filter(|(_, glob)| Glob::new(glob).matches(&name)).map(|(number, _)| number).collect();
            prop_assert_eq!(index.find(&name), plain);
        }

        #[test]
        fn a_glob_agrees_with_the_regex_of_the_same_meaning(glob in "[ab*?.]{0,6}", name in "[ab.é]{0,8}") {
            let regex = regex::escape(&glob).replace(r"\*", ".*").replace(r"\?", ".");
            let regex = regex::Regex::new(&format!("^(?s:{regex})$")).unwrap();
            prop_assert_eq!(Glob::new(&glob).matches(&name), regex.is_match(&name));
        }
    }
}

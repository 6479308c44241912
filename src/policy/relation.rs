//! How two globs relate: whether one covers the other, whether some name matches both. Not asked by a decision; the
//! configuration's checks ask it.

use super::glob::{Glob, Globs};

impl Glob {
    /// Whether this one matches every name that the other matches.
    pub fn covers(&self, other: &Self) -> bool {
        if !self.as_str().contains(['*', '?']) {
            return self == other;
        }
        let (mine, theirs) = (tidy(self.as_str()), tidy(other.as_str()));
        // To be matched, the other's `*` needs a star of ours, and its `?` a star or a `?`.
        table(&mine, &theirs, |mine, theirs| match (mine, theirs) {
            ('*', _) => Step::StayOrMatch,
            ('?', '*') => Step::No,
            ('?', _) => Step::Match,
            (_, _) if mine == theirs && theirs != '?' => Step::Match,
            _ => Step::No,
        })
    }

    /// Whether there is a name that both match.
    pub fn overlaps(&self, other: &Self) -> bool {
        if !other.as_str().contains(['*', '?']) {
            return self.matches(other.as_str());
        }
        let (mine, theirs) = (tidy(self.as_str()), tidy(other.as_str()));
        table(&mine, &theirs, |mine, theirs| match (mine, theirs) {
            ('*', _) | (_, '*') => Step::StayOrMatch,
            ('?', _) | (_, '?') => Step::Match,
            _ if mine == theirs => Step::Match,
            _ => Step::No,
        })
    }
}

impl Globs {
    /// Whether they match a name, or one of them all names that a pattern in its place stands for.
    pub fn take_in(&self, name: &str) -> bool {
        if !name.contains(['*', '?']) {
            return self.matches(name);
        }
        let names = Glob::new(name);
        self.iter().any(|glob| glob.covers(&names))
    }
}

/// What two symbols that meet can do.
#[derive(Clone, Copy)]
enum Step {
    Match,
    No,
    /// A star stands for nothing, or for one symbol more.
    StayOrMatch,
}

/// Each run of wildcards as its `?`s and one star behind them: two globs of one meaning become one text.
fn tidy(text: &str) -> Vec<char> {
    let mut out = Vec::with_capacity(text.len());
    let chars: Vec<char> = text.chars().collect();
    for run in chars.chunk_by(|a, b| is_wild(*a) == is_wild(*b)) {
        if run.first().copied().is_some_and(is_wild) {
            out.extend(run.iter().filter(|c| **c == '?'));
            out.extend(run.contains(&'*').then_some('*'));
        } else {
            out.extend(run);
        }
    }
    out
}

fn is_wild(c: char) -> bool {
    matches!(c, '*' | '?')
}

/// Whether the whole of one can be laid over the whole of the other, in the steps that symbols allow.
fn table(mine: &[char], theirs: &[char], step: impl Fn(char, char) -> Step) -> bool {
    // `row[j]`: whether what was taken of ours can be laid over the first j of theirs.
    let mut row = vec![false; theirs.len() + 1];
    row.iter_mut().take(1).for_each(|first| *first = true);
    for (at, &c) in theirs.iter().enumerate() {
        // Nothing of ours was taken: only a star of theirs that may stand for nothing goes on.
        let goes_on = c == '*' && matches!(step('\0', '*'), Step::StayOrMatch) && row.get(at) == Some(&true);
        row.iter_mut().skip(at + 1).take(1).for_each(|next| *next = goes_on);
    }
    for &ours in mine {
        let before = std::mem::take(&mut row);
        row = vec![ours == '*' && before.first() == Some(&true)];
        for (j, &c) in theirs.iter().enumerate() {
            let (diagonal, above) = (before.get(j) == Some(&true), before.get(j + 1) == Some(&true));
            let left = row.last() == Some(&true);
            row.push(match step(ours, c) {
                Step::Match => diagonal,
                Step::No => false,
                // Ours takes no more (above), or theirs does (left), where it is a star.
                Step::StayOrMatch => {
                    diagonal || (ours == '*' && (above || left)) || (c == '*' && (left || above))
                }
            });
        }
    }
    row.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn table() {
        let check = |a: &str, b: &str, covers, overlaps| {
            let (a, b) = (Glob::new(a), Glob::new(b));
            assert_eq!((a.covers(&b), a.overlaps(&b)), (covers, overlaps), "{a:?} {b:?}");
            assert_eq!(b.overlaps(&a), overlaps, "{b:?} {a:?}");
        };
        check("*", "crm__*", true, true);
        check("crm__*", "*", false, true);
        check("crm__*", "crm__get_?", true, true);
        check("*__delete_*", "crm__delete_*", true, true);
        check("crm__*", "*__delete_*", false, true);
        check("crm__*", "kb__*", false, false);
        check("?*", "*?", true, true);
        check("a*c", "a?c", true, true);
        check("a?c", "a*c", false, true);
        check("get_a", "get_a", true, true);
        check("get_a", "get_b", false, false);
        check("", "*", false, true);
        check("*a*", "*b*", false, true);
    }

    /// Every name of up to five letters of the alphabet.
    fn names() -> Vec<String> {
        let mut all = vec![String::new()];
        let mut last = all.clone();
        for _ in 0..5 {
            last = last
                .iter()
                .flat_map(|name| ["a", "b", "c"].map(|letter| format!("{name}{letter}")))
                .collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn as_trying_all_names_says(a in "[ab*?]{0,4}", b in "[ab*?]{0,4}") {
            let (a, b) = (Glob::new(&a), Glob::new(&b));
            let names = names();
            // `c` stands for every letter that neither names: in short names nothing else can tell them apart.
            let covers = names.iter().all(|name| !b.matches(name) || a.matches(name));
            prop_assert!(!a.covers(&b) || covers, "{:?} {:?}", a, b);
            if a.overlaps(&b) != names.iter().any(|name| a.matches(name) && b.matches(name)) {
                // Both may need a longer name than five letters.
                prop_assert!(a.overlaps(&b) && a.as_str().len() + b.as_str().len() > 5, "{:?} {:?}", a, b);
            }
        }
    }
}

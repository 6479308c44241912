//! Regular expressions whose work is bounded, and counted. A lazy automaton takes a nanosecond or two a byte, but some
//! expressions need a new state for every byte of some texts, at a hundred or a thousand times that: then it gives up,
//! and the expression's states are simulated for as long as the budget pays for it.

use super::budget::{Budget, Stop};
use regex_automata::{
    Input,
    hybrid::dfa::{Cache, DFA},
    nfa::thompson::{self, NFA, WhichCaptures, pikevm::PikeVM},
    util::pool::Pool,
};
use std::{
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
};

/// How large an expression may become.
const SIZE_MAX: usize = 1 << 20;
/// The memory for states that were met, an expression and thread.
const CACHE_BYTES: usize = 128 << 10;
/// What it costs to fill that memory.
const CACHE_STEPS: usize = 50_000;
/// So many bytes of text cost one step while the states are known.
const STEP_BYTES: usize = 8;
/// So many states cost one step a byte when they are simulated.
const STEP_STATES: usize = 4;

type Caches = Pool<Cache, Box<dyn Fn() -> Cache + Send + Sync + UnwindSafe + RefUnwindSafe>>;

/// A compiled expression.
pub struct Expression {
    text: Box<str>,
    automaton: DFA,
    simulation: PikeVM,
    caches: Caches,
}

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadExpression {
    #[error("{0}")]
    Syntax(String),
    #[error("it becomes larger than 1 MiB")]
    TooLarge,
}

impl Expression {
    /// An expression that matches somewhere in a text.
    pub fn anywhere(text: &str) -> Result<Self, BadExpression> {
        Self::compiled(text, text)
    }

    /// An expression that matches a text as a whole.
    pub fn whole(text: &str) -> Result<Self, BadExpression> {
        // Compiled alone first, so that `a)(b` does not become valid inside the anchors.
        nfa(text)?;
        Self::compiled(text, &format!(r"\A(?:{text})\z"))
    }

    fn compiled(text: &str, anchored: &str) -> Result<Self, BadExpression> {
        let nfa = nfa(anchored)?;
        let config = DFA::config()
            .cache_capacity(CACHE_BYTES)
            .skip_cache_capacity_check(true)
            .minimum_cache_clear_count(Some(0))
            .unicode_word_boundary(true);
        let too_large = |_| BadExpression::TooLarge;
        let automaton = DFA::builder().configure(config).build_from_nfa(nfa.clone()).map_err(too_large)?;
        let simulation = PikeVM::new_from_nfa(nfa).map_err(|_| BadExpression::TooLarge)?;
        let of = automaton.clone();
        let caches: Caches = Pool::new(Box::new(move || of.create_cache()));
        Ok(Self { text: text.into(), automaton, simulation, caches })
    }

    /// The expression as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches, paid for from the budget.
    pub(super) fn matches(&self, text: &str, budget: &mut Budget) -> Result<bool, Stop> {
        budget.spend(text.len() / STEP_BYTES + 1)?;
        let input = Input::new(text).earliest(true);
        let mut cache = self.caches.get();
        if let Ok(found) = self.automaton.try_search_fwd(&mut cache, &input) {
            return Ok(found.is_some());
        }
        // It gave up, or met a `\b` beside a letter that is not ASCII.
        cache.reset(&self.automaton);
        drop(cache);
        let states = self.simulation.get_nfa().states().len();
        let simulated = text.len().saturating_add(1).saturating_mul(states / STEP_STATES + 1);
        budget.spend(CACHE_STEPS.saturating_add(simulated))?;
        Ok(self.simulation.is_match(&mut self.simulation.create_cache(), input))
    }
}

fn nfa(text: &str) -> Result<NFA, BadExpression> {
    let config = thompson::Config::new().nfa_size_limit(Some(SIZE_MAX)).which_captures(WhichCaptures::None);
    NFA::compiler().configure(config).build(text).map_err(|error| match error.size_limit() {
        Some(_) => BadExpression::TooLarge,
        None => BadExpression::Syntax(reason(&error)),
    })
}

/// The last line of what the parser says: the ones above show the expression.
fn reason(error: &thompson::BuildError) -> String {
    let text = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    text.lines().last().unwrap_or("it cannot be read").trim().to_owned()
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::budget::STEPS_MAX;
    use proptest::prelude::*;

    fn ask(expression: &Expression, text: &str) -> (Result<bool, Stop>, usize) {
        let mut budget = Budget::new(STEPS_MAX);
        let answer = expression.matches(text, &mut budget);
        (answer, STEPS_MAX - budget.left())
    }

    #[test]
    fn sizes_and_syntax_are_told_apart() {
        let check = |text: &str, expected| assert_eq!(Expression::anywhere(text).err(), expected, "{text}");
        check("a|b", None);
        check("(", Some(BadExpression::Syntax("error: unclosed group".to_owned())));
        check(r"(\w{100}){100}", Some(BadExpression::TooLarge));
        assert!(matches!(Expression::whole("a)(b").err(), Some(BadExpression::Syntax(_))));
    }

    #[test]
    fn a_text_that_needs_ever_new_states_ends_with_the_budget() {
        let mut noise = 12_345_u64;
        let mut letter = |_| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if noise >> 40 & 1 == 1 { 'a' } else { 'b' }
        };
        let text: String = (0..256 << 10).map(&mut letter).collect();
        for source in ["[ab]*a[ab]{2000}y", "[ab]*a[ab]{200}y", "(?:a.{30}b|b.{31}a|.a.{29}c)d"] {
            let expression = Expression::anywhere(source).unwrap();
            assert_eq!(ask(&expression, &text), (Err(Stop::Spent), STEPS_MAX), "{source}");
        }
        // What is short or plain is answered.
        let hard = Expression::anywhere("[ab]*a[ab]{40}y").unwrap();
        assert_eq!(ask(&hard, text.get(..2000).unwrap()).0, Ok(false));
        for source in ["(a|b)*$", "^[a-z]+@", r"\bba\b", "(a*)*b", "[ab]{1,60}c"] {
            assert!(ask(&Expression::anywhere(source).unwrap(), &text).0.is_ok(), "{source}");
        }
        let beside_letters = Expression::anywhere(r"\bfuß\b").unwrap();
        assert_eq!(ask(&beside_letters, "zu fuß, über").0, Ok(true));
        assert_eq!(ask(&beside_letters, "zu füßen, überfuß").0, Ok(false));
    }

    proptest! {
        #[test]
        fn it_is_what_the_regex_crate_says(source in r"[ab.*?+|()^$\[\]{}0-2é]{0,10}", text in r"[ab\né ]{0,12}") {
            if let Ok(regex) = regex::Regex::new(&source) {
                prop_assert_eq!(ask(&Expression::anywhere(&source).unwrap(), &text).0, Ok(regex.is_match(&text)));
                let whole = regex::Regex::new(&format!(r"\A(?:{source})\z")).unwrap();
                prop_assert_eq!(ask(&Expression::whole(&source).unwrap(), &text).0, Ok(whole.is_match(&text)));
            }
        }
    }
}

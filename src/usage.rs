//! What a call used: tokens and money, in whole numbers of a stated unit.

use std::fmt;

/// Millionths of a US dollar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MicroUsd(pub u64);

impl fmt::Display for MicroUsd {
    /// Dollars without idle zeros: `50`, `0.000012`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, rest) = (self.0 / 1_000_000, self.0 % 1_000_000);
        match format!("{rest:06}").trim_end_matches('0') {
            "" => write!(f, "{dollars}"),
            rest => write!(f, "{dollars}.{rest}"),
        }
    }
}

/// Tokens as the provider reports them. `input` includes `cached_input` and `cache_write`, `output` includes reasoning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub input: u64,
    pub cached_input: u64,
    /// What the provider put into its cache.
    pub cache_write: u64,
    pub output: u64,
}

/// Micro-dollars for a million tokens, which is the same number as dollars for 10^12: kept in this unit so that
/// a price of 0.125 USD per million tokens is the whole number 125,000.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Price {
    pub input: MicroUsd,
    pub cached_input: MicroUsd,
    pub cache_write: MicroUsd,
    pub output: MicroUsd,
}

/// More tokens than any model takes or gives: who reports them counts something else.
const TOKENS_MAX: u64 = 100_000_000;
/// More than any model reads beside what its request says: an earlier conversation, results of a provider's own tools.
const UNSAID_MAX: u64 = 2_000_000;
/// No text has so many tokens for each that is expected in it, nor so few: no token is of 256 bytes.
const TIMES_MAX: u64 = 64;

impl Usage {
    /// Input and output together.
    pub fn tokens(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// Whether it can be true of a request whose input is taken for so many tokens, and of an answer whose text is taken for
    /// so many.
    pub fn is_plausible(&self, input_estimate: u64, produced: u64) -> bool {
        let input_max = input_estimate.saturating_mul(TIMES_MAX).saturating_add(UNSAID_MAX).min(TOKENS_MAX);
        self.input <= input_max
            && (self.input > 0 || input_estimate == 0)
            && self.output <= TOKENS_MAX
            && self.cached_input.saturating_add(self.cache_write) <= self.input
            && produced <= self.output.saturating_mul(TIMES_MAX)
    }
}

impl Price {
    /// The cost of a call, rounded up to a whole micro-dollar.
    pub fn cost(&self, usage: Usage) -> MicroUsd {
        let cached = usage.cached_input.min(usage.input);
        let written = usage.cache_write.min(usage.input - cached);
        let fresh = usage.input - cached - written;
        let part = |tokens: u64, price: MicroUsd| u128::from(tokens) * u128::from(price.0);
        let total = part(fresh, self.input)
            + part(cached, self.cached_input)
            + part(written, self.cache_write)
            + part(usage.output, self.output);
        MicroUsd(u64::try_from(total.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_true_is_not_plausible() {
        let check = |input, output, estimate, produced, expected| {
            let usage = Usage { input, output, ..Usage::default() };
            assert_eq!(usage.is_plausible(estimate, produced), expected, "{usage:?} {estimate} {produced}");
        };
        check(10, 0, 10, 0, true);
        check(10, 0, 10, 1, false);
        check(10, 1, 10, 64, true);
        check(10, 1, 10, 65, false);
        check(10, u64::MAX, 10, 1, false);
        check(0, 1, 10, 1, false);
        check(2_000_640, 1, 10, 1, true);
        check(2_000_641, 1, 10, 1, false);
    }

    #[test]
    fn cost_counts_cached_input_once() {
        let price = Price {
            input: MicroUsd(1_250_000),
            cached_input: MicroUsd(125_000),
            cache_write: MicroUsd(2_500_000),
            output: MicroUsd(10_000_000),
        };
        let check = |input, cached_input, cache_write, output, micro| {
            let usage = Usage { input, cached_input, cache_write, output };
            assert_eq!(price.cost(usage), MicroUsd(micro), "{usage:?}");
        };
        check(0, 0, 0, 0, 0);
        check(1_000_000, 0, 0, 0, 1_250_000);
        check(1_000_000, 1_000_000, 0, 0, 125_000);
        check(1_000_000, 0, 1_000_000, 0, 2_500_000);
        check(1_000_000, 500_000, 250_000, 0, 62_500 + 625_000 + 312_500);
        check(100, 200, 0, 0, 13);
        check(100, 200, 100, 0, 13);
        check(1, 0, 0, 1, 12);
        check(u64::MAX, 0, 0, u64::MAX, u64::MAX);
        check(u64::MAX, u64::MAX, u64::MAX, u64::MAX, u64::MAX);
    }
}

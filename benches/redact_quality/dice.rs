//! Chance from a seed: the same seed gives the same prompts on every machine.

/// A 64-bit mix (the finaliser of SplitMix64) over a counter.
#[derive(Clone)]
pub(crate) struct Dice(pub(crate) u64);

pub(crate) const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
pub(crate) const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
pub(crate) const DIGITS: &str = "0123456789";

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or(0)
    }

    /// From `low` to `high`, both possible.
    pub(crate) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    pub(crate) fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, of: &'a [&'a T]) -> &'a T {
        let at = self.below(of.len());
        of.get(at).copied().unwrap_or_else(|| unreachable!("a list of nothing"))
    }

    pub(crate) fn symbols(&mut self, of: &str, count: usize) -> String {
        let of = of.as_bytes();
        (0..count).filter_map(|_| of.get(self.below(of.len())).map(|b| char::from(*b))).collect()
    }

    pub(crate) fn digits(&mut self, count: usize) -> String {
        self.symbols(DIGITS, count)
    }

    /// A template: `{a20}` letters and digits, `{l}` lower case and digits, `{u}` upper case and digits, `{h}` and `{H}`
    /// hexadecimal, `{d}` digits, `{b}` base64url, `{s}` base64, `{L}` letters, `{x}` a UUID.
    pub(crate) fn filled(&mut self, template: &str) -> String {
        let mut out = String::new();
        let mut rest = template;
        while let Some((head, tail)) = rest.split_once('{') {
            out.push_str(head);
            let Some((slot, behind)) = tail.split_once('}') else { break };
            let count = slot.get(1..).and_then(|n| n.parse().ok()).unwrap_or(1);
            out.push_str(&self.slot(slot.chars().next().unwrap_or('a'), count));
            rest = behind;
        }
        out.push_str(rest);
        out
    }

    fn slot(&mut self, kind: char, count: usize) -> String {
        let all = format!("{LOWER}{UPPER}{DIGITS}");
        match kind {
            'l' => self.symbols(&format!("{LOWER}{DIGITS}"), count),
            'u' => self.symbols(&format!("{UPPER}{DIGITS}"), count),
            'h' => self.symbols("0123456789abcdef", count),
            'H' => self.symbols("0123456789ABCDEF", count),
            'd' => self.digits(count),
            'b' => self.symbols(&format!("{all}-_"), count),
            's' => self.symbols(&format!("{all}+/"), count),
            'L' => self.symbols(&format!("{LOWER}{UPPER}"), count),
            'w' => self.symbols(LOWER, count),
            'x' => {
                let parts = [8, 4, 4, 4, 12].map(|n| self.symbols("0123456789abcdef", n));
                parts.join("-")
            }
            _ => self.symbols(&all, count),
        }
    }

    /// Digits behind `head`, `count` in all, such that `check` holds.
    pub(crate) fn checked(&mut self, head: &str, count: usize, check: fn(&[u32]) -> bool) -> String {
        loop {
            let number = format!("{head}{}", self.digits(count - head.len()));
            let digits: Vec<u32> = number.chars().filter_map(|c| c.to_digit(10)).collect();
            if check(&digits) {
                return number;
            }
        }
    }
}

/// A number in groups of these lengths.
pub(crate) fn grouped(number: &str, lengths: &[usize], separator: &str) -> String {
    let mut chars = number.chars();
    let groups: Vec<String> = lengths.iter().map(|n| chars.by_ref().take(*n).collect()).collect();
    groups.join(separator)
}

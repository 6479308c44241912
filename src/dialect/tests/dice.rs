//! Dice that random answers are drawn from, so that a failing one shrinks towards a small and plain one.

/// Numbers that decide, in order; all zero behind the last.
#[derive(Debug)]
pub(in crate::dialect) struct Dice<'d>(pub(in crate::dialect) &'d [u16]);

impl Dice<'_> {
    /// A number below `sides`.
    pub(in crate::dialect) fn roll(&mut self, sides: usize) -> usize {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(first) % sides
    }

    pub(in crate::dialect) fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == sides - 1
    }

    pub(in crate::dialect) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }

    /// A text in random pieces, some of them empty.
    pub(in crate::dialect) fn cut(&mut self, text: &str) -> Vec<String> {
        let mut pieces = vec![String::new()];
        for c in text.chars() {
            if self.one_in(5) {
                pieces.push(String::new());
            }
            pieces.last_mut().unwrap().push(c);
        }
        if self.one_in(3) {
            pieces.push(String::new());
        }
        pieces
    }

    /// Rows of things in one row: each row's in their order, the rows mixed as they fall.
    pub(in crate::dialect) fn mix<T>(&mut self, rows: Vec<Vec<T>>) -> Vec<T> {
        let mut rows: Vec<_> = rows.into_iter().map(Vec::into_iter).collect();
        let mut mixed = Vec::new();
        while !rows.is_empty() {
            let at = self.roll(rows.len());
            match rows[at].next() {
                Some(next) => mixed.push(next),
                None => drop(rows.remove(at)),
            }
        }
        mixed
    }
}

/// A stream in pieces of these lengths, over and over.
pub(in crate::dialect) fn pieces<'b>(input: &'b [u8], cuts: &[usize]) -> Vec<&'b [u8]> {
    let mut pieces = Vec::new();
    let mut rest = input;
    for &cut in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(cut.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

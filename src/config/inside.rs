//! Where a part of a scalar's value stands in the file: in a quoted text there are escapes, in a block or over several
//! lines there is indentation. Apart because only errors inside conditions and patterns ask for it.

use super::files::{Files, Mark};

/// The place of the part of `value` that begins `offset` bytes into it and is `len` characters long; `at` is where the
/// scalar stands. Where the text cannot be followed, the whole scalar is meant.
pub(crate) fn inside(files: &Files, at: Mark, value: &str, (offset, len): (usize, usize)) -> Mark {
    let text = files.get(at.file).and_then(|source| source.text.as_deref());
    text.and_then(|text| found(text, at, value, (offset, len))).unwrap_or(at)
}

fn found(text: &str, at: Mark, value: &str, (offset, len): (usize, usize)) -> Option<Mark> {
    let mut walk = Walk::to(text, at)?;
    let style = walk.style();
    if style == Style::Block {
        walk.line_end();
    }
    for (index, wanted) in value.char_indices() {
        if index >= offset {
            break;
        }
        walk.over(wanted, style)?;
    }
    if value.get(offset..)?.chars().next().is_some_and(|next| !next.is_whitespace()) {
        walk.blanks(style);
    }
    let rest = walk.rest.lines().next().unwrap_or_default().chars().count().max(1);
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Some(Mark { line: walk.line, col: walk.col, len: number(len.clamp(1, rest)), ..at })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Block,
    DoubleQuoted,
    Plain,
    SingleQuoted,
}

/// A place on its way through a file's text.
struct Walk<'t> {
    rest: &'t str,
    before: Option<char>,
    line: u32,
    col: u32,
}

impl<'t> Walk<'t> {
    fn to(text: &'t str, at: Mark) -> Option<Self> {
        let mut walk = Self { rest: text, before: None, line: 1, col: 1 };
        while walk.line < at.line || walk.col < at.col {
            if walk.line > at.line {
                return None;
            }
            walk.step()?;
        }
        Some(walk)
    }

    fn style(&self) -> Style {
        match (self.before, self.rest.chars().next()) {
            (Some('"'), _) => Style::DoubleQuoted,
            (Some('\''), _) => Style::SingleQuoted,
            (_, Some('|' | '>')) => Style::Block,
            _ => Style::Plain,
        }
    }

    fn step(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = self.rest.get(c.len_utf8()..)?;
        self.before = Some(c);
        if c == '\n' {
            self.line += 1;
            self.col = 1;
        } else {
            self.col += 1;
        }
        Some(c)
    }

    fn line_end(&mut self) {
        while self.step().is_some_and(|c| c != '\n') {}
    }

    /// Goes over what stands for white space, which YAML folds.
    fn blanks(&mut self, style: Style) {
        loop {
            let blank = match (style, self.rest.as_bytes()) {
                (Style::DoubleQuoted, [b'\\', b'n' | b't' | b'r' | b' ' | b'\n' | b'\t', ..]) => 2,
                (_, [b' ' | b'\n' | b'\t' | b'\r', ..]) => 1,
                _ => return,
            };
            for _ in 0..blank {
                self.step();
            }
        }
    }

    /// Goes over what stands for one character of the value.
    fn over(&mut self, wanted: char, style: Style) -> Option<()> {
        if wanted.is_whitespace() {
            return Some(());
        }
        self.blanks(style);
        match (style, self.step()?) {
            (Style::DoubleQuoted, '\\') => {
                let digits = match self.step()? {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => 0,
                };
                (0..digits).try_for_each(|_| self.step().map(drop))
            }
            (Style::SingleQuoted, '\'') => self.step().map(drop),
            (_, c) => (c == wanted).then_some(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        FileId,
        files::{Source, Understood},
        yaml,
    };

    /// The text in front of which the mark of `part` stands, in the value of the key `when`.
    fn shown(text: &str, part: &str) -> String {
        let (node, problems) = yaml::parse(FileId(0), text);
        assert!(problems.is_empty(), "{text}");
        let node = node.unwrap();
        let scalar = node.get("when").unwrap();
        let value = scalar.text().unwrap();
        let mut files = Files::default();
        files.push(Source {
            shown: "x".to_owned(),
            dir: ".".into(),
            text: Some(text.to_owned()),
            hidden: Vec::new(),
            understood: Understood::Yes,
        });
        let mark = inside(&files, scalar.at, value, (value.find(part).unwrap(), part.chars().count()));
        let line = text.lines().nth(usize::try_from(mark.line - 1).unwrap()).unwrap();
        let (from, len) = (usize::try_from(mark.col - 1).unwrap(), usize::try_from(mark.len).unwrap());
        line.chars().skip(from).take(len).collect()
    }

    #[test]
    fn in_every_way_to_write_a_scalar() {
        let check =
            |text: &str, part: &str, expected: &str| assert_eq!(shown(text, part), expected, "{text}");
        check("when: a && b\n", "b", "b");
        check("when: a &&\n  é && b\n", "b", "b");
        check("when: 'a == ''x'' && b'\n", "b", "b");
        check("when: \"a == \\\"x\\u00e9\\\" && b\"\n", "b", "b");
        check("when: \"a &&\n  b && \\\n   c\"\n", "c", "c");
        check("when: \"a\\n && b\"\n", "b", "b");
        check("when: |\n  a &&\n    b\n  && c\n", "c", "c");
        check("when: |\n\n  a &&\n    b\n", "b", "b");
        check("when: >-\n  a &&\n  b\n\n  && c\nx: 1\n", "c", "c");
        check("x: 1\nwhen: | # why\n  é && name\n", "name", "name");
        check("{ x: 1, when: \"a && name\" }", "name", "name");
    }
}

//! The names that an expression may use: variables, functions, types. What is called otherwise could never be
//! evaluated, and is refused where it is written, with the name that was probably meant.

use super::{BadCondition, VARIABLES, library};
use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr};

pub(super) const TYPES: [&str; 7] = ["bool", "double", "int", "list", "map", "string", "uint"];
/// Called with their values in parentheses.
const FUNCTIONS: [&str; 12] = [
    "bool",
    "double",
    "duration",
    "dyn",
    "has",
    "int",
    "matches",
    "size",
    "string",
    "timestamp",
    "type",
    "uint",
];
/// Called on a value, beside the parts of a time.
const METHODS: [&str; 11] = [
    "all",
    "contains",
    "endsWith",
    "exists",
    "existsOne",
    "exists_one",
    "filter",
    "map",
    "matches",
    "size",
    "startsWith",
];
/// Macros: what is left of one as a call was not written as it should be.
const MACROS: [(&str, &str); 7] = [
    ("all", "list.all(x, x > 0)"),
    ("exists", "list.exists(x, x > 0)"),
    ("existsOne", "list.exists_one(x, x > 0)"),
    ("exists_one", "list.exists_one(x, x > 0)"),
    ("filter", "list.filter(x, x > 0)"),
    ("has", "has(args.field)"),
    ("map", "list.map(x, x + 1)"),
];

/// The first name in the text that is not known.
pub(super) fn unknown(program: &IdedExpr, source: &str) -> Option<BadCondition> {
    let mut names = Names { bound: Vec::new(), ever_bound: Vec::new(), unknown: Vec::new() };
    names.walk(program);
    if names.unknown.is_empty() {
        return None;
    }
    let words = words(source);
    let place = |unknown: &Unknown| {
        let fits = |word: &&Word<'_>| {
            word.text == unknown.name && word.is_call == unknown.is_call && !word.is_field(unknown)
        };
        // Of a name that a macro binds as well, the last one is more likely outside of it.
        let mut fitting = words.iter().filter(fits);
        let word = if names.ever_bound.contains(&unknown.name.as_str()) {
            fitting.next_back()
        } else {
            fitting.next()
        };
        word.map_or(0, |word| word.at)
    };
    let first = names.unknown.iter().min_by_key(|unknown| place(unknown))?;
    let (line, column) = line_and_column(source, place(first));
    Some(BadCondition { message: first.message.clone(), line, column, len: first.name.chars().count() })
}

struct Unknown {
    name: String,
    is_call: bool,
    is_method: bool,
    message: String,
}

struct Names<'e> {
    /// What macros bind around the expression that is looked at.
    bound: Vec<&'e str>,
    /// What some macro binds.
    ever_bound: Vec<&'e str>,
    unknown: Vec<Unknown>,
}

impl<'e> Names<'e> {
    fn walk(&mut self, expression: &'e IdedExpr) {
        match &expression.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(inner) => {
                self.walk(&inner.iter_range);
                self.walk(&inner.accu_init);
                let outside = self.bound.len();
                self.bound.extend([inner.iter_var.as_str(), inner.accu_var.as_str()]);
                self.bound.extend(inner.iter_var2.as_deref());
                self.ever_bound.extend(self.bound.iter().skip(outside));
                for part in [&inner.loop_cond, &inner.loop_step, &inner.result] {
                    self.walk(part);
                }
                self.bound.truncate(outside);
            }
            Expr::Ident(name) => self.variable(name),
            Expr::List(list) => list.elements.iter().for_each(|element| self.walk(element)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.entry(&entry.expr)),
            Expr::Select(select) => self.walk(&select.operand),
            Expr::Struct(made) => {
                let message = format!("there is no type `{}` to be made here", cut(&made.type_name));
                self.add(&made.type_name, (false, false), message);
                made.entries.iter().for_each(|entry| self.entry(&entry.expr));
            }
        }
    }

    fn entry(&mut self, entry: &'e EntryExpr) {
        match entry {
            EntryExpr::StructField(field) => self.walk(&field.value),
            EntryExpr::MapEntry(entry) => {
                self.walk(&entry.key);
                self.walk(&entry.value);
            }
        }
    }

    fn variable(&mut self, name: &'e str) {
        if VARIABLES.contains(&name)
            || TYPES.contains(&name)
            || self.bound.contains(&name)
            || name.starts_with('@')
        {
            return;
        }
        let message = match nearest(name, VARIABLES.iter().copied().chain(self.bound.iter().copied())) {
            Some(near) => format!("unknown name `{}`; did you mean `{near}`?", cut(name)),
            None => format!("unknown name `{}`; there are {}", cut(name), VARIABLES.join(", ")),
        };
        self.add(name, (false, false), message);
    }

    fn call(&mut self, call: &'e CallExpr) {
        let name = call.func_name.as_str();
        if let Some(target) = &call.target {
            self.walk(target);
        }
        // Operators are calls too, of names that nobody can write.
        if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            self.function(name, call.target.is_some());
        }
        call.args.iter().for_each(|arg| self.walk(arg));
    }

    fn function(&mut self, name: &'e str, is_method: bool) {
        let (methods, functions) = ([METHODS.as_slice(), &library::PARTS].concat(), FUNCTIONS.to_vec());
        let (mine, others) = if is_method { (methods, functions) } else { (functions, methods) };
        let message = if let Some((_, form)) = MACROS.iter().find(|(known, _)| *known == name) {
            format!("`{name}` is written like `{form}`")
        } else if mine.contains(&name) {
            return;
        } else if others.contains(&name) && is_method {
            format!("`{name}` is no method; write `{name}(…)` around the value")
        } else if others.contains(&name) {
            format!("`{name}` is a method; write it behind a value: `args.x.{name}(…)`")
        } else {
            match nearest(name, mine.iter().copied()).or_else(|| nearest(name, others.iter().copied())) {
                Some(near) => format!("unknown function `{}`; did you mean `{near}`?", cut(name)),
                None => format!("unknown function `{}`; there are {}", cut(name), mine.join(", ")),
            }
        };
        self.add(name, (true, is_method), message);
    }

    fn add(&mut self, name: &str, (is_call, is_method): (bool, bool), message: String) {
        self.unknown.push(Unknown { name: name.to_owned(), is_call, is_method, message });
    }
}

fn cut(name: &str) -> String {
    name.chars().take(64).collect()
}

pub(super) fn nearest<'n>(wrong: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let wrong: String = cut(wrong).to_ascii_lowercase();
    let allowed = (wrong.chars().count() / 3).max(1);
    known
        .map(|name| (strsim::damerau_levenshtein(&wrong, &name.to_ascii_lowercase()), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

/// A name as it stands in the text.
struct Word<'s> {
    text: &'s str,
    at: usize,
    is_call: bool,
    behind_dot: bool,
}

impl Word<'_> {
    fn is_field(&self, unknown: &Unknown) -> bool {
        self.behind_dot != unknown.is_method
    }
}

/// Every name outside of strings and comments.
fn words(source: &str) -> Vec<Word<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut behind_dot = false;
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(len) = string_len(rest) {
            len
        } else if rest.starts_with(is_name) {
            let len = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
            let text = rest.get(..len).unwrap_or_default();
            let after = rest.get(len..).unwrap_or_default().trim_start();
            found.push(Word { text, at, is_call: after.starts_with('('), behind_dot });
            len
        } else {
            rest.chars().next().map_or(1, char::len_utf8)
        };
        let piece = rest.get(..len).unwrap_or_default();
        behind_dot = piece == "." || (behind_dot && piece.trim().is_empty());
        at += len.max(1);
    }
    found
}

/// How long the string is that begins here, with its prefix and quotes.
fn string_len(rest: &str) -> Option<usize> {
    let prefix = rest.find(|c: char| !"rRbB".contains(c)).filter(|len| *len <= 2)?;
    let body = rest.get(prefix..)?;
    let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| body.starts_with(quote))?;
    let is_raw = rest.get(..prefix)?.contains(['r', 'R']);
    let mut inner = body.get(quote.len()..)?;
    let mut len = prefix + quote.len();
    while !inner.is_empty() && !inner.starts_with(quote) {
        let escaped = usize::from(!is_raw && inner.starts_with('\\'));
        let step: usize = inner.chars().take(1 + escaped).map(char::len_utf8).sum();
        len += step;
        inner = inner.get(step..)?;
    }
    Some(len + quote.len().min(inner.len()))
}

/// From 1, the column in bytes, as the parser counts.
fn line_and_column(source: &str, at: usize) -> (usize, usize) {
    let before = source.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    (line, at - before.rfind('\n').map_or(0, |end| end + 1) + 1)
}

#[cfg(test)]
mod tests {
    use super::{super::Condition, *};

    #[test]
    fn what_is_not_known_is_named_with_its_place() {
        let check = |source: &str, expected: Option<(usize, usize, &str)>| {
            let found = Condition::compile(source).err();
            let found = found.as_ref().map(|bad| (bad.line, bad.column, bad.message.as_str()));
            assert_eq!(found, expected, "{source}");
        };
        check("arg.to == 'x'", Some((1, 1, "unknown name `arg`; did you mean `args`?")));
        check("true &&\n  toool == 'x'", Some((2, 3, "unknown name `toool`; did you mean `tool`?")));
        check(
            "args.arg == 1 && '\"arg' == r'\\' && arg",
            Some((1, 36, "unknown name `arg`; did you mean `args`?")),
        );
        check(
            "args.to.all(a, a.endWith('x'))",
            Some((1, 18, "unknown function `endWith`; did you mean `endsWith`?")),
        );
        check("sise(args) > 1", Some((1, 1, "unknown function `sise`; did you mean `size`?")));
        check(
            "contains(args.x)",
            Some((1, 1, "`contains` is a method; write it behind a value: `args.x.contains(…)`")),
        );
        check("args.x.int() == 1", Some((1, 8, "`int` is no method; write `int(…)` around the value")));
        check("args.x.all(1)", Some((1, 8, "`all` is written like `list.all(x, x > 0)`")));
        check("args.x.all(a, a == b) && size(a) > 1", Some((1, 20, "unknown name `b`; did you mean `a`?")));
        check("args.to.all(a, args.cc.exists(b, b == a))", None);
        check("type(args.n) == int && has(args.x)", None);
        check(
            "optional.of(1).hasValue()",
            Some((1, 1, "unknown name `optional`; there are tenant, key, tool, args, place, now")),
        );
        check("{'a': 1}.a == 1 && [1, 2].map(x, x + 1).size() == 2 && !false", None);
        check("timestamp('2027-01-01T00:00:00Z') < now && now.getHours('Europe/Zurich') < 9", None);
    }

    /// The lists are what the evaluator has: a name of ours can be called in the form that we say.
    #[test]
    fn the_lists_are_true() {
        let is_known = |forms: &[String]| {
            forms.iter().any(|form| Condition::compile(&format!("({form}) == args.y")).is_ok())
        };
        let is_macro = |name: &&&str| MACROS.iter().any(|(known, _)| known == *name);
        for name in FUNCTIONS.iter().filter(|name| !is_macro(name)) {
            assert!(is_known(&[format!("{name}(args.x)"), format!("{name}(args.x, 'a')")]), "{name}");
        }
        for name in METHODS.iter().chain(&library::PARTS).filter(|name| !is_macro(name)) {
            assert!(is_known(&[format!("args.x.{name}()"), format!("args.x.{name}('a')")]), "{name}");
        }
        for name in TYPES {
            assert!(is_known(&[format!("type(args.x) == {name}")]), "{name}");
        }
        for (name, form) in MACROS {
            assert!(is_known(&[form.replace("list", "args.l")]), "{name}");
        }
        assert!(!is_known(&["nope(args.x)".to_owned(), "args.x.nope()".to_owned()]));
    }
}

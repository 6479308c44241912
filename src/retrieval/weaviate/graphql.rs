//! GraphQL as far as one question to Weaviate needs it: read strictly into a JSON value, in which rules see and set what
//! is asked, and written again from there. So no byte of a client's own text reaches the store.
//!
//! `{ Get { Article(where: …, limit: 3) { title _additional { id } } } }` is
//! `{ "root": "Get", "class": "Article", "where": …, "limit": 3, "fields": ["title", { "name": "_additional", "fields": ["id"] }] }`.
//! Words of enumerations are texts: by the member in which they stand they are told from texts when they are written.

use crate::{json::Value, refusal::Refusal};
use std::borrow::Cow;

/// Members that hold a word of an enumeration.
pub(super) const WORDS: [&str; 5] =
    ["combinationMethod", "consistencyLevel", "fusionType", "operator", "order"];
/// A vector is most of a question: it stays text.
const VECTOR: &str = "vector";
/// What the form has of its own beside the arguments.
pub(super) const FORM: [&str; 3] = ["class", "fields", "root"];
const NESTING_MAX: usize = 32;

type Members = Vec<(Cow<'static, str>, Value<'static>)>;

/// What is wrong, and where: bytes from the beginning.
struct Wrong(usize, &'static str);

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

/// Reads a question. What is wrong with it is 400, with its line and column.
pub(super) fn parse(text: &str) -> Result<Value<'static>, Refusal> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.document().map_err(|Wrong(at, what)| {
        let before = text.get(..at).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Refusal::invalid(
            format!("the query is not accepted: {what}, at line {line} column {column}"),
            Some("query"),
        )
    })
}

/// Whether something is a name in GraphQL.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Parser<'_> {
    fn wrong<T>(&self, what: &'static str) -> Result<T, Wrong> {
        Err(Wrong(self.at, what))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Goes to the next token.
    fn skip(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | b',' => self.at += 1,
                b'#' => self.at += self.rest().split(['\n', '\r']).next().map_or(0, str::len),
                _ => return,
            }
        }
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Whether this token is next; it is read then.
    fn takes(&mut self, token: u8) -> bool {
        self.skip();
        let is_next = self.peek() == Some(token);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, token: u8, otherwise: &'static str) -> Result<(), Wrong> {
        if self.takes(token) { Ok(()) } else { self.wrong(otherwise) }
    }

    fn name(&mut self, otherwise: &'static str) -> Result<String, Wrong> {
        self.skip();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let name = rest.get(..end).filter(|name| is_name(name)).map(ToOwned::to_owned);
        self.at += name.as_ref().map_or(0, String::len);
        name.map_or_else(|| self.wrong(otherwise), Ok)
    }

    fn down(&mut self) -> Result<(), Wrong> {
        self.depth += 1;
        if self.depth > NESTING_MAX { self.wrong("it is nested too deep") } else { Ok(()) }
    }

    fn document(&mut self) -> Result<Value<'static>, Wrong> {
        if !self.takes(b'{') {
            if self.name("a query begins with `{`")? != "query" {
                return self.wrong("only queries are served, and no fragments");
            }
            self.skip();
            if self.peek() != Some(b'{') && self.peek() != Some(b'(') {
                self.name("a query begins with `{`")?;
            }
            self.expect(b'{', "variables and directives are not read: write their values into the query")?;
        }
        let root = self.name("expected `Get` or `Aggregate`")?;
        if root != "Get" && root != "Aggregate" {
            return self.wrong("only `Get` and `Aggregate` are served, under their own names");
        }
        self.expect(b'{', "expected `{` and a class")?;
        let class = self.name("expected a class")?;
        let mut form: Members =
            vec![("root".into(), Value::string(root)), ("class".into(), Value::string(class))];
        if self.takes(b'(') {
            self.members(b')', &mut form)?;
        }
        let fields = self.fields()?;
        form.push(("fields".into(), fields));
        for _ in 0..2 {
            self.expect(b'}', "a query asks one thing, since rules decide on one: send a query for each")?;
        }
        self.skip();
        if self.rest().is_empty() {
            Ok(Value::Object(form))
        } else {
            self.wrong("there is something behind the query")
        }
    }

    /// The fields that are asked for.
    fn fields(&mut self) -> Result<Value<'static>, Wrong> {
        self.expect(b'{', "expected `{`: aliases, directives and further arguments are not read")?;
        self.down()?;
        let mut fields: Vec<Value<'static>> = Vec::new();
        while !self.takes(b'}') {
            let name = self.name("expected a field: fragments, cross-references and aliases are not read")?;
            let is = |field: &Value<'_>| {
                field.as_str().or_else(|| field.get("name")?.as_str()) == Some(name.as_str())
            };
            if fields.iter().any(is) {
                return self.wrong("a field stands here twice");
            }
            self.skip();
            fields.push(match self.peek() {
                Some(b'{') => {
                    let inner = self.fields()?;
                    Value::object([("name", Value::string(name)), ("fields", inner)])
                }
                Some(b'(' | b':' | b'@') => {
                    return self.wrong("arguments, aliases and directives of fields are not read");
                }
                _ => Value::string(name),
            });
        }
        self.depth -= 1;
        if fields.is_empty() { self.wrong("it asks for nothing") } else { Ok(Value::Array(fields)) }
    }

    /// Names and values, up to this token.
    fn members(&mut self, end: u8, members: &mut Members) -> Result<(), Wrong> {
        self.down()?;
        while !self.takes(end) {
            let name = self.name("expected a name")?;
            if (end == b')' && FORM.contains(&name.as_str()))
                || members.iter().any(|(known, _)| *known == name)
            {
                return self.wrong("an argument is not known, or stands here twice");
            }
            self.expect(b':', "expected `:`")?;
            let value = self.value(&name)?;
            members.push((name.into(), value));
        }
        self.depth -= 1;
        Ok(())
    }

    fn value(&mut self, of: &str) -> Result<Value<'static>, Wrong> {
        self.skip();
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'[') => {
                self.at += 1;
                self.list(of)
            }
            Some(b'{') => {
                self.at += 1;
                let mut members = Vec::new();
                self.members(b'}', &mut members)?;
                Ok(Value::Object(members))
            }
            Some(b'$') => self.wrong("variables are not read: write their values into the query"),
            Some(b'-' | b'0'..=b'9') => Ok(Value::Number(self.number()?.to_owned().into())),
            _ => match self.name("expected a value")?.as_str() {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                "null" => self.wrong("`null` is no value here: leave it out"),
                word if WORDS.contains(&of) => Ok(Value::string(word.to_owned())),
                _ => self.wrong("a word stands here that is not known"),
            },
        }
    }

    fn list(&mut self, of: &str) -> Result<Value<'static>, Wrong> {
        self.down()?;
        if of == VECTOR
            && let Some(vector) = self.vector()
        {
            self.depth -= 1;
            return Ok(vector);
        }
        let mut items = Vec::new();
        let mut vector = String::from("[");
        while !self.takes(b']') {
            if of == VECTOR && matches!(self.peek(), Some(b'-' | b'0'..=b'9')) && items.is_empty() {
                if vector.len() > 1 {
                    vector.push(',');
                }
                let number = self.number()?;
                vector.push_str(number);
            } else if vector.len() > 1 {
                return self.wrong("a vector is of numbers alone");
            } else {
                items.push(self.value(of)?);
            }
        }
        self.depth -= 1;
        vector.push(']');
        Ok(if vector.len() > 2 { Value::Number(vector.into()) } else { Value::Array(items) })
    }

    /// The vector whose bracket was read, if it is written as JSON writes one, which costs a tenth of reading it number by
    /// number. GraphQL has other ways: what is read as none here is not wrong yet.
    fn vector(&mut self) -> Option<Value<'static>> {
        let text = self.text.get(self.at.checked_sub(1)?..)?;
        let end = memchr::memchr(b']', text.as_bytes())?;
        let Ok(Value::Number(vector)) = crate::json::parse_with_vectors(text.get(..=end)?.as_bytes(), 1)
        else {
            return None;
        };
        self.at += end;
        Some(Value::Number(vector.into_owned().into()))
    }

    fn number(&mut self) -> Result<&str, Wrong> {
        let rest = self.rest();
        let part = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
        let end = rest.find(|c| !part(c)).unwrap_or(rest.len());
        let digits = rest.get(..end).unwrap_or_default();
        // GraphQL writes numbers as JSON does.
        if !is_number(digits) {
            return self.wrong("a number is not written as numbers are");
        }
        let from = self.at;
        self.at += end;
        Ok(self.text.get(from..self.at).unwrap_or_default())
    }

    fn string(&mut self) -> Result<Value<'static>, Wrong> {
        if self.rest().starts_with("\"\"\"") {
            return self.wrong("block strings are not read");
        }
        let mut escaped = false;
        let end = self.rest().bytes().skip(1).position(|byte| match byte {
            b'\\' => {
                escaped = !escaped;
                false
            }
            _ => !std::mem::take(&mut escaped) && byte == b'"',
        });
        let Some(end) = end.map(|end| end + 2) else { return self.wrong("a text has no end") };
        // GraphQL writes texts as JSON does.
        let text = self.rest().get(..end).and_then(|text| crate::json::parse(text.as_bytes(), 1).ok());
        let text = text.as_ref().and_then(Value::as_str).map(ToOwned::to_owned);
        let Some(text) = text else { return self.wrong("a text is not written as texts are") };
        self.at += end;
        Ok(Value::string(text))
    }
}

/// Whether these are the digits of one number, as JSON and GraphQL write it.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(a, b)| (a, Some(b)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(a, b)| (a, Some(b)));
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    // Of those without an exponent none this short is beyond a double's range.
    text.len() <= 64
        && digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| {
            digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))
                && text.parse::<f64>().is_ok_and(f64::is_finite)
        })
}

//! The parameters of a request to the admin port: known ones only, each once.

/// Parameters of a request, each once.
#[derive(Debug, Default, Clone)]
pub(super) struct Query(Vec<(String, String)>);

/// Longer values are no names, times or places.
const VALUE_BYTES_MAX: usize = 4096;

impl Query {
    /// Reads a query that may have these parameters.
    pub(super) fn read(query: Option<&str>, known: &[&str]) -> Result<Self, String> {
        let mut read = Self::default();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !known.contains(&name) || read.get(name).is_some() {
                return Err(format!("the parameters are `{}`, each at most once", known.join("`, `")));
            }
            let value = decoded(value).filter(|value| value.len() <= VALUE_BYTES_MAX);
            let value = value.ok_or_else(|| format!("`{name}` is not percent-encoded UTF-8, or too long"))?;
            read.0.push((name.to_owned(), value));
        }
        Ok(read)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that is there and not empty.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }
}

/// A value without its percent-encoding; a plus stands for itself, as times with a zone have one.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_known_decoded_and_there_once() {
        let read = |query| Query::read(Some(query), &["tenant", "tool"]);
        let query = read("tenant=acme&tool=crm__%2A%C3%A9+").unwrap();
        assert_eq!((query.get("tenant"), query.get("tool")), (Some("acme"), Some("crm__*é+")));
        assert_eq!(read("tenant=").unwrap().given("tenant"), None);
        for bad in
            ["x=1", "tenant=a&tenant=b", "tenant=%", "tenant=%4", "tenant=%zz", "tenant=%ff", "tenant=%+1"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(&format!("tenant={}", "a".repeat(VALUE_BYTES_MAX + 1))).is_err());
    }
}

//! The URI names that a certificate bears, counted as they stand in it: what reads names passes over those that are no
//! text, and one that is passed over by one reader is somebody to another. Source: RFC 5280, sections 4.1 and 4.2.1.6.

use super::der::{Elements, SEQUENCE};

const OBJECT_IDENTIFIER: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
/// `[3]` of a certificate's fields.
const EXTENSIONS: u8 = 0xa3;
/// 2.5.29.17
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
/// `[6]` of a name's kinds.
const URI: u8 = 0x86;

/// How many URI names a certificate bears; `None` where that cannot be read.
pub(super) fn count(certificate: &[u8]) -> Option<usize> {
    let fields = Elements(Elements(certificate).of(SEQUENCE)?).of(SEQUENCE)?;
    let mut uris = 0;
    for field in Elements(fields) {
        let (EXTENSIONS, extensions) = field? else { continue };
        for extension in Elements(Elements(extensions).of(SEQUENCE)?) {
            let (SEQUENCE, extension) = extension? else { return None };
            let mut parts = Elements(extension);
            if parts.of(OBJECT_IDENTIFIER)? != ALTERNATIVE_NAMES {
                continue;
            }
            // Whether it is critical may stand between.
            let value = parts.find(|part| part.is_none_or(|(tag, _)| tag == OCTET_STRING))??;
            for name in Elements(Elements(value.1).of(SEQUENCE)?) {
                uris += usize::from(name?.0 == URI);
            }
        }
    }
    Some(uris)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, CustomExtension, KeyPair, SanType};

    fn certificate(set: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        set(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn uris_are_counted_among_other_names() {
        assert_eq!(count(&certificate(|_| {})), Some(0));
        for uris in 0..4 {
            let bytes = certificate(|params| {
                let uri = |n| SanType::URI(format!("spiffe://example.org/{n}").try_into().unwrap());
                let others =
                    ["a.example", "b.example"].map(|name| SanType::DnsName(name.try_into().unwrap()));
                params.subject_alt_names = others.into_iter().chain((0..uris).map(uri)).collect();
            });
            assert_eq!(count(&bytes), Some(uris));
        }
    }

    #[test]
    fn a_uri_that_is_no_text_is_one() {
        let bytes = certificate(|params| {
            let names = [[SEQUENCE, 7, URI, 2, b'a', b':'].as_slice(), &[URI, 1, 0xff]].concat();
            params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], names)];
        });
        assert_eq!(count(&bytes), Some(2));
    }

    #[test]
    fn what_is_cut_off_or_longer_than_it_is_cannot_be_read() {
        let bytes = certificate(|params| {
            params.subject_alt_names = vec![SanType::URI("spiffe://example.org/a".try_into().unwrap())];
        });
        for end in 0..bytes.len() {
            assert_eq!(count(&bytes[..end]), None, "{end}");
        }
        for bytes in
            [&[SEQUENCE, 0x80][..], &[SEQUENCE, 0x85, 1, 1, 1, 1, 1], &[SEQUENCE, 0x84, 255, 255, 255, 255]]
        {
            assert_eq!(count(bytes), None);
        }
    }
}

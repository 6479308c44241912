//! DER, as far as certificates are looked into here. Source: ITU-T X.690, section 8.1. Pure.

pub(super) const SEQUENCE: u8 = 0x30;

/// What stands one behind the other in DER: tag and contents. `None` stands for what cannot be read, and ends it.
pub(super) struct Elements<'d>(pub(super) &'d [u8]);

impl<'d> Elements<'d> {
    /// The contents of the first one, where it has this tag.
    pub(super) fn of(&mut self, tag: u8) -> Option<&'d [u8]> {
        self.next()?.filter(|(found, _)| *found == tag).map(|(_, contents)| contents)
    }

    fn read(&mut self) -> Option<(u8, &'d [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, contents))
    }
}

impl<'d> Iterator for Elements<'d> {
    type Item = Option<(u8, &'d [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_none() {
            self.0 = &[];
        }
        Some(read)
    }
}

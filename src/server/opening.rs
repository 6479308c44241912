//! The first frame of an HTTP/2 connection, which has to be SETTINGS (RFC 9113, section 3.4). Where it is another, hyper
//! sees one that no connection survives: it says that the protocol was not kept, and ends. Pure.

pub(super) const FRAME_HEAD_BYTES: usize = 9;
const SETTINGS: u8 = 4;
const ACK: u8 = 1;
/// An empty DATA frame of the connection itself.
pub(super) const WRONG: [u8; FRAME_HEAD_BYTES] = [0; FRAME_HEAD_BYTES];

/// What a connection opens with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// That cannot be told yet.
    Unknown,
    Settings,
    Other,
}

impl Opening {
    /// By what came of the first frame's head.
    pub(super) fn of(head: &[u8]) -> Self {
        match (head.get(3), head.get(4), head.len()) {
            (Some(&kind), _, _) if kind != SETTINGS => Self::Other,
            (_, Some(flags), _) if flags & ACK != 0 => Self::Other,
            (_, _, FRAME_HEAD_BYTES..) => Self::Settings,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_told_from_every_other_frame_as_soon_as_they_can_be() {
        for kind in 0..=u8::MAX {
            for flags in 0..=u8::MAX {
                let head = [0, 0, 6, kind, flags, 0, 0, 0, 0];
                for length in 0..=head.len() {
                    let is_other = (length > 3 && kind != SETTINGS) || (length > 4 && flags & ACK != 0);
                    let expected = match length {
                        _ if is_other => Opening::Other,
                        9 => Opening::Settings,
                        _ => Opening::Unknown,
                    };
                    assert_eq!(Opening::of(&head[..length]), expected, "{:?}", &head[..length]);
                }
            }
        }
    }
}

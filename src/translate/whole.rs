//! An answer put together of its pieces, for a client that did not ask for a stream. Apart from `piece` because a
//! stream never needs it.

use super::piece::{Piece, Stop, Tokens};

/// A whole answer.
#[derive(Debug, Default)]
pub(super) struct Whole {
    pub(super) id: String,
    pub(super) model: String,
    /// In the order in which they were said; no two of text, thinking or refusal alike stand side by side.
    pub(super) blocks: Vec<Block>,
    /// `None` until the answer came to its end.
    pub(super) stop: Option<Stop>,
    pub(super) tokens: Option<Tokens>,
}

/// A part of a whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    /// The arguments as text, empty for none.
    Call {
        id: String,
        name: String,
        arguments: String,
    },
    Refusal(String),
    Text(String),
    Thinking(String),
}

impl Whole {
    /// The pieces again.
    pub(super) fn into_pieces(self) -> Vec<Piece<'static>> {
        let mut pieces = vec![Piece::Start { id: self.id.into(), model: self.model.into() }];
        for block in self.blocks {
            match block {
                Block::Call { id, name, arguments } => {
                    pieces.push(Piece::Call { id: id.into(), name: name.into() });
                    if !arguments.is_empty() {
                        pieces.push(Piece::Arguments(arguments.into()));
                    }
                    pieces.push(Piece::CallEnd);
                }
                Block::Refusal(text) => pieces.push(Piece::Refusal(text.into())),
                Block::Text(text) => pieces.push(Piece::Text(text.into())),
                Block::Thinking(text) => pieces.push(Piece::Thinking(text.into())),
            }
        }
        pieces.extend(self.stop.map(|stop| Piece::End { stop, tokens: self.tokens }));
        pieces
    }

    /// Adds the next piece.
    pub(super) fn add(&mut self, piece: Piece<'_>) {
        match (piece, self.blocks.last_mut()) {
            (Piece::Start { id, model }, _) => (self.id, self.model) = (id.into_owned(), model.into_owned()),
            (Piece::Text(text), Some(Block::Text(said)))
            | (Piece::Thinking(text), Some(Block::Thinking(said)))
            | (Piece::Refusal(text), Some(Block::Refusal(said))) => said.push_str(&text),
            (Piece::Arguments(text), Some(Block::Call { arguments, .. })) => arguments.push_str(&text),
            (Piece::Text(text), _) => self.blocks.push(Block::Text(text.into_owned())),
            (Piece::Thinking(text), _) => self.blocks.push(Block::Thinking(text.into_owned())),
            (Piece::Refusal(text), _) => self.blocks.push(Block::Refusal(text.into_owned())),
            (Piece::Call { id, name }, _) => {
                let (id, name) = (id.into_owned(), name.into_owned());
                self.blocks.push(Block::Call { id, name, arguments: String::new() });
            }
            (Piece::Arguments(_) | Piece::CallEnd, _) => {}
            (Piece::End { stop, tokens }, _) => (self.stop, self.tokens) = (Some(stop), tokens),
        }
    }
}

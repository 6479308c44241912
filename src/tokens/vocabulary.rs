//! OpenAI's vocabularies: which model has which, and what a text is in them. A vocabulary takes memory (24 MB and 8 MB)
//! and a tenth of a second to read, and is read when it is first needed.

use std::sync::OnceLock;

use tiktoken::{CoreBpe, encoding};

/// What a family of models splits text into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vocabulary {
    /// `cl100k_base`: GPT-3.5 and GPT-4, and the embeddings of their time.
    Cl100k,
    /// `o200k_base`: GPT-4o and all that came after.
    O200k,
}

/// How models' names begin; the first that fits holds. Source: tiktoken 0.12, `model.py`, and OpenAI's list of models.
const FAMILIES: &[(&str, Vocabulary)] = &[
    ("gpt-3.5", Vocabulary::Cl100k),
    ("gpt-35", Vocabulary::Cl100k),
    ("gpt-4-", Vocabulary::Cl100k),
    ("text-embedding-", Vocabulary::Cl100k),
    ("gpt-", Vocabulary::O200k),
    ("chatgpt-", Vocabulary::O200k),
    ("codex-", Vocabulary::O200k),
    ("computer-use-", Vocabulary::O200k),
    ("o1", Vocabulary::O200k),
    ("o3", Vocabulary::O200k),
    ("o4", Vocabulary::O200k),
];

static CL100K: OnceLock<CoreBpe> = OnceLock::new();
static O200K: OnceLock<CoreBpe> = OnceLock::new();

impl Vocabulary {
    /// The vocabulary of a model by its name at the provider, with or without a router's prefix (`openai/gpt-5`) and
    /// the one of fine-tuned models. None for the models of others.
    pub fn of(model: &str) -> Option<Self> {
        let name = model.rsplit('/').next().unwrap_or(model);
        let name = name.strip_prefix("ft:").unwrap_or(name);
        if name.eq_ignore_ascii_case("gpt-4") || is_variant(name, "gpt-4:") {
            return Some(Self::Cl100k);
        }
        FAMILIES.iter().find(|(prefix, _)| is_variant(name, prefix)).map(|(_, vocabulary)| *vocabulary)
    }

    /// Reads those of models by their names or globs now, so that no request waits for it.
    pub fn prepare<'n>(models: impl Iterator<Item = &'n str>) {
        let literal = |name: &'n str| name.split(['*', '?']).next().unwrap_or_default();
        models.filter_map(|name| Self::of(literal(name))).for_each(|vocabulary| {
            vocabulary.table();
        });
    }

    /// The tokens of a text.
    pub(super) fn count(self, text: &str) -> u64 {
        super::length(self.table().count(text))
    }

    fn table(self) -> &'static CoreBpe {
        match self {
            Self::Cl100k => CL100K.get_or_init(encoding::cl100k_base),
            Self::O200k => O200K.get_or_init(encoding::o200k_base),
        }
    }
}

fn is_variant(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

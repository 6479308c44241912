//! Places in configuration files: a mark, a value with its mark, and the table of the files that marks point into.
//! Apart because everything that reports on the configuration, now or at a decision, speaks in these.

use std::path::{Path, PathBuf};

use super::mask;

/// A file of the configuration, by its index in [`Files`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// A place in a file: `line` and `col` count from 1, `col` and `len` in characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark {
    pub file: FileId,
    pub line: u32,
    pub col: u32,
    pub len: u32,
}

impl Mark {
    /// The place `len` characters long that begins `offset` characters into this one: for an error inside a
    /// scalar that stands on one line. What lies outside the scalar is drawn in to its end.
    #[must_use]
    pub fn within(self, offset: u32, len: u32) -> Self {
        let offset = offset.min(self.len);
        let rest = self.len.saturating_sub(offset);
        Self { col: self.col.saturating_add(offset), len: len.clamp(1, rest.max(1)), ..self }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At<T> {
    pub value: T,
    pub at: Mark,
}

impl<T> At<T> {
    /// The same place with a value made of this one.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> At<U> {
        At { value: make(self.value), at: self.at }
    }
}

/// A run of bytes in a file's text, `start <= end`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// Whether a file's text was understood. Where it was not, nobody knows which words in it are secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Understood {
    No,
    Yes,
}

#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) shown: String,
    pub(crate) dir: PathBuf,
    pub(crate) text: Option<String>,
    pub(crate) hidden: Vec<Span>,
    pub(crate) understood: Understood,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("shown", &self.shown).finish_non_exhaustive()
    }
}

/// The files that were read: their shown paths, and their texts for as long as problems may be rendered.
#[derive(Debug, Clone, Default)]
pub struct Files {
    entries: Vec<Source>,
}

/// A line as it may be shown: secrets hidden, control characters replaced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ShownLine {
    pub(crate) text: String,
    /// First character of the mark in `text`, from 0, and how many characters it covers, at least 1.
    pub(crate) caret: usize,
    pub(crate) carets: usize,
}

impl Files {
    /// The path of a file as the user would write it.
    pub fn path(&self, file: FileId) -> &str {
        self.get(file).map_or("", |source| source.shown.as_str())
    }

    /// `path:line`, the form in which records name a rule.
    pub fn place(&self, mark: Mark) -> String {
        format!("{}:{}", self.path(mark.file), mark.line)
    }

    /// The directory that paths inside the file are relative to.
    pub fn base_dir(&self, file: FileId) -> &Path {
        self.get(file).map_or_else(|| Path::new("."), |source| source.dir.as_path())
    }

    /// How many files were read.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no file was read.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Drops the texts: to be called once no more problems are to be rendered. Paths and lines stay.
    pub fn forget_texts(&mut self) {
        for source in &mut self.entries {
            source.text = None;
            source.hidden = Vec::new();
        }
    }

    /// The texts that are kept.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|source| source.text.as_deref())
    }

    pub(crate) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.entries.iter()
    }

    pub(crate) fn push(&mut self, source: Source) -> FileId {
        let id = self.next_id();
        self.entries.push(source);
        id
    }

    pub(crate) fn next_id(&self) -> FileId {
        FileId(u32::try_from(self.entries.len()).unwrap_or(u32::MAX))
    }

    pub(crate) fn get(&self, file: FileId) -> Option<&Source> {
        self.entries.get(usize::try_from(file.0).ok()?)
    }

    pub(crate) fn line(&self, mark: Mark) -> Option<ShownLine> {
        let source = self.get(mark.file)?;
        let text = source.text.as_deref()?;
        mask::shown_line(text, mark, source)
    }
}

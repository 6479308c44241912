//! The files of the books: `data_dir/pins/SERVER.json`, readable to the owner alone, put in their places whole. Two
//! write them, the gateway and the command line: each reads, changes and writes under a lock, so that neither loses what
//! the other wrote. Readers need no lock.

use super::Book;
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// A longer file is none of ours.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Whoever holds the lock writes one file. So often is tried to get it.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// How a file was when it was read: another one has another number, time or length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    seconds: i64,
    nanos: i64,
    length: u64,
}

/// What there is of a server.
#[derive(Debug, Clone, PartialEq)]
pub enum Kept {
    Nothing,
    Book(Book),
    /// There is a file that cannot be used, and why.
    Unreadable(String),
}

/// The directory of the books.
pub fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join("pins")
}

/// The file of a server's book.
pub fn file(data_dir: &Path, server: &str) -> PathBuf {
    directory(data_dir).join(format!("{server}.json"))
}

/// How the file is now; `None` where there is none.
pub fn stamp(data_dir: &Path, server: &str) -> Option<Stamp> {
    let known = fs::metadata(file(data_dir, server)).ok()?;
    Some(Stamp { inode: known.ino(), seconds: known.mtime(), nanos: known.mtime_nsec(), length: known.len() })
}

/// Reads a server's book.
pub fn read(data_dir: &Path, server: &str) -> Kept {
    let text = match text(&file(data_dir, server)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Kept::Nothing,
        Err(error) => return Kept::Unreadable(error.to_string()),
    };
    match Book::read(&text) {
        Ok(book) if book.server == server => Kept::Book(book),
        Ok(_) => Kept::Unreadable("it is of another server".to_owned()),
        Err(what) => Kept::Unreadable(what),
    }
}

fn text(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let known = file.metadata()?;
    if !known.is_file() || known.len() > FILE_BYTES_MAX {
        return Err(io::Error::other("it is no file, or too long"));
    }
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut text)?;
    Ok(text)
}

/// The servers that have a book, sorted.
///
/// # Errors
/// When the directory is there and cannot be read.
pub fn servers(data_dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory(data_dir)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut servers = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        servers.extend(name.to_str().and_then(|name| name.strip_suffix(".json")).map(ToOwned::to_owned));
    }
    servers.sort_unstable();
    Ok(servers)
}

/// The books that can be read; of those that cannot, the gateway and `tollgate pins` tell.
pub fn books(data_dir: &Path) -> Vec<Book> {
    let servers = servers(data_dir).unwrap_or_default();
    let read = servers.iter().filter_map(|server| match read(data_dir, server) {
        Kept::Book(book) => Some(book),
        Kept::Nothing | Kept::Unreadable(_) => None,
    });
    read.collect()
}

/// Reads a server's book, changes it, and writes it if it is another then; while this runs nobody else does. What
/// cannot be read stays as it is. The stamp is that of the book that is returned.
///
/// # Errors
/// When the book cannot be read or written, in words.
pub fn change<T>(
    data_dir: &Path,
    server: &str,
    change: impl FnOnce(&mut Book) -> T,
) -> Result<(T, Book, Option<Stamp>), String> {
    let dir = directory(data_dir);
    let told = |error: io::Error| format!("{}: {error}", dir.display());
    DirBuilder::new().mode(0o700).recursive(true).create(&dir).map_err(told)?;
    let _lock = lock(&dir.join(format!("{server}.lock"))).map_err(told)?;
    let before = match read(data_dir, server) {
        Kept::Nothing => None,
        Kept::Book(book) => Some(book),
        Kept::Unreadable(what) => return Err(format!("{}: {what}", file(data_dir, server).display())),
    };
    let fresh = || Book { server: server.to_owned(), ..Book::default() };
    let mut book = before.clone().unwrap_or_else(fresh);
    let came_to = change(&mut book);
    if before.as_ref() != Some(&book) {
        replace(&file(data_dir, server), &book.to_text()).map_err(told)?;
    }
    Ok((came_to, book, stamp(data_dir, server)))
}

/// Waits a moment for the lock, which ends with the file that is returned.
fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().mode(0o600).write(true).create(true).truncate(false).open(path)?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other("another process does not let go of it"))
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("tmp");
    let mut file = OpenOptions::new().mode(0o600).write(true).create(true).truncate(true).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    File::open(path.parent().unwrap_or(path))?.sync_all()
}

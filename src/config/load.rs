//! Reads the configuration's files: `tollgate.yaml`, then the tenants' directories. The shell of this module: it alone
//! touches the disk (besides `secret`). All problems of all files come back at once.

use std::{
    collections::{BTreeSet, HashMap},
    ffi::OsStr,
    fs, io,
    io::Read as _,
    path::{Path, PathBuf},
    thread,
};

use sha2::{Digest as _, Sha256};

use super::{
    check::{self, Findings},
    files::{At, FileId, Files, Mark, Source, Understood},
    gateway_shape::GATEWAY,
    problem::Problem,
    raw,
    read::Read,
    shape::MapShape,
    tenant_shape::TENANT,
    test_shape::TESTS,
    yaml,
};

/// Most tenant files.
const TENANT_FILES_MAX: usize = 200_000;
/// Threads that understand tenants' files, and how many files make a thread worth its while.
const THREADS_MAX: usize = 4;
const SHARE_MIN: usize = 64;
/// How often a configuration that was swapped while it was read is read again.
const ATTEMPTS: usize = 3;
/// Where Kubernetes keeps the files of a mounted ConfigMap: a link that is swapped as a whole.
const GENERATION: &str = "..data";

/// A configuration as it was read.
#[derive(Debug)]
pub struct Loaded {
    pub files: Files,
    /// None where `tollgate.yaml` could not be read or is no map.
    pub gateway: Option<raw::Gateway>,
    /// In order of directories and file names.
    pub tenants: Vec<raw::Tenant>,
    /// In the order in which they were found. With an error among them, nothing may run.
    pub problems: Vec<Problem>,
    /// The files in which there are errors: what is missing there may have been meant.
    pub broken: BTreeSet<FileId>,
    /// SHA-256, hex, over the names and contents of all files.
    pub hash: String,
}

impl Loaded {
    /// Whether there are errors in a file that is named like a tenant: what seems not to be there may be in it.
    pub fn is_broken(&self, tenant: &str) -> bool {
        let mut paths = self.broken.iter().map(|file| Path::new(self.files.path(*file)));
        paths.any(|path| path.file_stem() == Some(OsStr::new(tenant)))
    }
}

/// Reads a configuration. `path` is shown in messages as it is given.
pub fn load(path: &Path) -> Loaded {
    let directory = Directory::of_file(path);
    let mut loaded = load_once(path, &directory);
    for _ in 1..ATTEMPTS {
        let now = Directory::of_file(path);
        if now.generation == directory.generation
            || !loaded.problems.iter().any(|problem| problem.code == "not-found")
        {
            break;
        }
        loaded = load_once(path, &now);
    }
    loaded
}

/// Reads a file of policy tests into the table of an earlier load, so that its problems can be shown with the others.
pub fn load_tests(path: &Path, files: &mut Files) -> (Option<raw::Tests>, Vec<Problem>) {
    let mut reader = Reader { files: std::mem::take(files), problems: Vec::new(), hasher: Sha256::new() };
    let tests = reader.file(path, path, None, &TESTS).map(|(tests, _)| tests);
    *files = reader.files;
    (tests, reader.problems)
}

/// The files of policy tests that stand beside the tenants, in order. One that cannot be listed was reported by `load`.
pub fn test_files(loaded: &Loaded) -> Vec<PathBuf> {
    let tenants = loaded.gateway.as_ref().and_then(|gateway| gateway.tenants.as_ref());
    let dirs = match (tenants, &loaded.gateway) {
        (Some(raw::Tenants::Dirs(dirs)), _) => {
            dirs.iter().map(|dir| tidy(&loaded.files.base_dir(dir.at.file).join(&dir.value))).collect()
        }
        (Some(raw::Tenants::Inline(_)), Some(gateway)) => {
            vec![loaded.files.base_dir(gateway.at.file).to_path_buf()]
        }
        _ => Vec::new(),
    };
    let mut found = Vec::new();
    for dir in dirs {
        let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
        let names = entries.map(|entry| PathBuf::from(entry.file_name())).filter(|name| is_test_file(name));
        let names: BTreeSet<PathBuf> = names.collect();
        found.extend(names.iter().map(|name| dir.join(name)).filter(|path| path.is_file()));
    }
    found
}

fn load_once(path: &Path, directory: &Directory) -> Loaded {
    let mut reader = Reader { files: Files::default(), problems: Vec::new(), hasher: Sha256::new() };
    let gateway: Option<raw::Gateway> =
        reader.file(path, &directory.real(path), None, &GATEWAY).map(|(gateway, _)| gateway);
    let mut tenants = Vec::new();
    match gateway.as_ref().and_then(|gateway| gateway.tenants.as_ref()) {
        None => {}
        Some(raw::Tenants::Inline(inline)) => tenants.clone_from(inline),
        Some(raw::Tenants::Dirs(dirs)) => {
            for dir in dirs {
                reader.tenants(dir, directory, &mut tenants);
            }
        }
    }
    duplicate_tenants(&tenants, &mut reader.problems);
    let broken = broken(&reader.problems);
    let hash = hex(&reader.hasher.finalize());
    Loaded { files: reader.files, gateway, tenants, problems: reader.problems, broken, hash }
}

fn broken(problems: &[Problem]) -> BTreeSet<FileId> {
    let errors = problems.iter().filter(|problem| problem.severity == super::Severity::Error);
    errors.filter_map(|problem| problem.at).map(|at| at.file).collect()
}

fn duplicate_tenants(tenants: &[raw::Tenant], problems: &mut Vec<Problem>) {
    let mut seen: HashMap<&str, Mark> = HashMap::with_capacity(tenants.len());
    for At { value, at } in tenants.iter().map(|tenant| &tenant.tenant) {
        if let Some(first) = seen.get(value.as_str()) {
            // A key that stands twice in one map was reported by the parser.
            if first.file != at.file {
                let message = format!("there are two tenants named {}", super::mask::quoted_key(value));
                problems
                    .push(Problem::error("duplicate-tenant", *at, message).see("the first is here", *first));
            }
        } else {
            seen.insert(value, *at);
        }
    }
}

/// A directory as it is shown and, where Kubernetes mounted it, the generation of it that is read.
struct Directory {
    shown: PathBuf,
    generation: Option<PathBuf>,
}

impl Directory {
    fn new(shown: &Path, real: &Path) -> Self {
        let generation = fs::canonicalize(real.join(GENERATION)).ok().filter(|path| path.is_dir());
        Self { shown: shown.to_path_buf(), generation }
    }

    fn of_file(path: &Path) -> Self {
        let parent = parent(path);
        Self::new(&parent, &parent)
    }

    /// Where to read a path from: of one generation all files belong together.
    fn real(&self, path: &Path) -> PathBuf {
        let Some(generation) = &self.generation else { return path.to_path_buf() };
        let inside = path.strip_prefix(&self.shown).ok().map(|rest| generation.join(rest));
        inside.filter(|inside| inside.exists()).unwrap_or_else(|| path.to_path_buf())
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

struct Reader {
    files: Files,
    problems: Vec<Problem>,
    hasher: Sha256,
}

impl Reader {
    /// Reads one file, shown as `shown` and read from `real`.
    fn file<T: Read>(
        &mut self,
        shown: &Path,
        real: &Path,
        named: Option<Mark>,
        shape: &'static MapShape,
    ) -> Option<(T, FileId)> {
        let text = self.text(shown, real, named)?;
        let understood = understand(self.files.next_id(), shown, text, shape);
        self.keep(understood)
    }

    /// The text of a file, which becomes part of the hash.
    fn text(&mut self, shown: &Path, real: &Path, named: Option<Mark>) -> Option<String> {
        match read_text(real) {
            Ok(text) => {
                self.digest(shown, &text);
                Some(text)
            }
            Err(problem) => {
                self.not_read(shown, named, &problem);
                None
            }
        }
    }

    fn keep<T>(&mut self, found: Found<T>) -> Option<(T, FileId)> {
        let Found { value, mut problems, source } = found;
        self.problems.append(&mut problems);
        let id = self.files.push(source);
        value.map(|value| (value, id))
    }

    fn digest(&mut self, shown: &Path, text: &str) {
        let name = shown.display().to_string();
        for part in [name.as_str(), text] {
            self.hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            self.hasher.update(part.as_bytes());
        }
    }

    fn not_read(&mut self, path: &Path, named: Option<Mark>, error: &Unreadable) {
        let shown = path.display();
        let problem = match error {
            Unreadable::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                let problem = Problem::error("not-found", named, format!("there is no file `{shown}`"));
                match named {
                    Some(_) => problem.hint("it went away while the directory was read"),
                    None => problem.hint("create it, or name another"),
                }
            }
            Unreadable::Io(error) => {
                Problem::error("not-readable", named, format!("`{shown}` cannot be read: {}", error.kind()))
            }
            Unreadable::NoFile(what) => {
                Problem::error("not-a-file", named, format!("`{shown}` is {what}, not a file"))
                    .hint("a name that ends in .yaml is a tenant's: give another to what is none")
            }
            Unreadable::Large => {
                let mib = yaml::FILE_BYTES_MAX >> 20;
                Problem::error("too-large", named, format!("`{shown}` is larger than {mib} MiB"))
            }
            Unreadable::NotUtf8 { byte, line, col } => {
                let (shown, dir) = (shown.to_string(), parent(path));
                let message = format!("`{shown}` is not UTF-8 text: byte {byte} does not fit");
                let source =
                    Source { shown, dir, text: None, hidden: Vec::new(), understood: Understood::No };
                let at = Mark { file: self.files.push(source), line: *line, col: *col, len: 1 };
                Problem::error("not-utf8", at, message).hint("save the file as UTF-8")
            }
        };
        self.problems.push(problem);
    }

    fn tenants(&mut self, dir: &At<PathBuf>, root: &Directory, tenants: &mut Vec<raw::Tenant>) {
        let shown = tidy(&self.files.base_dir(dir.at.file).join(&dir.value));
        let directory = Directory::new(&shown, &root.real(&shown));
        let names = match names(&directory, &root.real(&shown)) {
            Ok(names) => names,
            Err(error) => return self.no_directory(dir, &shown, &error),
        };
        if names.len() > TENANT_FILES_MAX {
            let message = format!("more than {TENANT_FILES_MAX} tenant files");
            return self.problems.push(Problem::error("too-large", dir.at, message));
        }
        let mut texts = Vec::with_capacity(names.len());
        for name in names {
            let path = shown.join(&name);
            let real = if directory.generation.is_some() { directory.real(&path) } else { root.real(&path) };
            if let Some(text) = self.text(&path, &real, Some(dir.at)) {
                texts.push((path, text));
            }
        }
        let paths: Vec<PathBuf> = texts.iter().map(|(path, _)| path.clone()).collect();
        for (path, found) in paths.iter().zip(understand_all(self.files.next_id(), texts)) {
            if let Some((tenant, _)) = self.keep(found) {
                self.name_fits(&tenant, path);
                tenants.push(tenant);
            }
        }
    }

    fn name_fits(&mut self, tenant: &raw::Tenant, path: &Path) {
        let At { value, at } = &tenant.tenant;
        let is_told = self.problems.iter().any(|problem| problem.at == Some(*at));
        if path.file_stem() != Some(OsStr::new(value)) && !is_told {
            let file = path.file_name().unwrap_or_default().display();
            self.problems.push(
                Problem::error(
                    "wrong-name",
                    *at,
                    format!("the tenant's name must be that of its file, `{file}`"),
                )
                .hint("rename the file or the tenant"),
            );
        }
    }

    fn no_directory(&mut self, dir: &At<PathBuf>, shown: &Path, error: &io::Error) {
        let shown = shown.display();
        self.problems.push(match error.kind() {
            io::ErrorKind::NotFound => {
                Problem::error("not-found", dir.at, format!("there is no directory `{shown}`")).hint(
                    "create it, with a file NAME.yaml for each tenant; the path is relative to this file",
                )
            }
            io::ErrorKind::NotADirectory => {
                Problem::error("not-found", dir.at, format!("`{shown}` is a file, not a directory"))
                    .hint("name the directory that holds the tenants' files")
            }
            kind => Problem::error("not-readable", dir.at, format!("`{shown}` cannot be read: {kind}")),
        });
    }
}

/// The names of a directory's tenant files, sorted.
fn names(directory: &Directory, real: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = BTreeSet::new();
    for place in [Some(real), directory.generation.as_deref()].into_iter().flatten() {
        for entry in fs::read_dir(place)? {
            let name = PathBuf::from(entry?.file_name());
            if is_tenant_file(&name) {
                found.insert(name);
            }
        }
    }
    if let Some(generation) = &directory.generation {
        // A link into the generation whose file is not there is about to be removed.
        let through = |name: &Path| fs::read_link(real.join(name)).is_ok_and(|to| to.starts_with(GENERATION));
        found.retain(|name| generation.join(name).exists() || !through(name));
    }
    Ok(found.into_iter().collect())
}

fn is_tenant_file(name: &Path) -> bool {
    let name = name.to_string_lossy().to_ascii_lowercase();
    let is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
    is_yaml && !is_test(&name) && !name.starts_with('.')
}

pub(super) fn is_test_file(name: &Path) -> bool {
    let name = name.to_string_lossy().to_ascii_lowercase();
    is_test(&name) && !name.starts_with('.')
}

fn is_test(name: &str) -> bool {
    name.ends_with(".test.yaml") || name.ends_with(".test.yml")
}

/// Without `.` parts and a slash at the end, as a user would write the path.
pub(in crate::config) fn tidy(path: &Path) -> PathBuf {
    let tidy: PathBuf =
        path.components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect();
    if tidy.as_os_str().is_empty() { PathBuf::from(".") } else { tidy }
}

/// What was found in a file.
struct Found<T> {
    value: Option<T>,
    problems: Vec<Problem>,
    source: Source,
}

fn understand<T: Read>(file: FileId, shown: &Path, text: String, shape: &'static MapShape) -> Found<T> {
    let (node, mut problems) = yaml::parse(file, &text);
    let mut hidden = Vec::new();
    let mut value = None;
    if let Some(node) = &node {
        let Findings { problems: more, hidden: found } = check::check(node, shape);
        problems.extend(more);
        hidden = found;
        value = T::read(node);
    }
    let understood = if node.is_some() { Understood::Yes } else { Understood::No };
    drop(node);
    let (shown, dir) = (shown.display().to_string(), parent(shown));
    Found { value, problems, source: Source { shown, dir, text: Some(text), hidden, understood } }
}

/// Understands tenants' files on several threads, in their order; the first of them is `first`.
fn understand_all(first: FileId, texts: Vec<(PathBuf, String)>) -> Vec<Found<raw::Tenant>> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    let share = texts.len().div_ceil(threads).max(SHARE_MIN);
    let mut numbered = (first.0..).map(FileId).zip(texts);
    let one = |(file, (path, text)): (FileId, (PathBuf, String))| understand(file, &path, text, &TENANT);
    thread::scope(|scope| {
        let mut others = Vec::new();
        let own: Vec<_> = numbered.by_ref().take(share).collect();
        loop {
            let part: Vec<_> = numbered.by_ref().take(share).collect();
            if part.is_empty() {
                break;
            }
            others.push(scope.spawn(move || part.into_iter().map(one).collect::<Vec<_>>()));
        }
        let mut found: Vec<_> = own.into_iter().map(one).collect();
        for other in others {
            found.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        found
    })
}

enum Unreadable {
    Io(io::Error),
    NoFile(&'static str),
    Large,
    /// How many bytes fit, and where they end.
    NotUtf8 {
        byte: usize,
        line: u32,
        col: u32,
    },
}

fn read_text(path: &Path) -> Result<String, Unreadable> {
    // Asked before it is opened: opening a pipe would wait for whoever writes into it.
    let kind = fs::metadata(path).map_err(Unreadable::Io)?;
    if !kind.is_file() {
        return Err(Unreadable::NoFile(if kind.is_dir() {
            "a directory"
        } else {
            "a pipe, a socket or a device"
        }));
    }
    let file = fs::File::open(path).map_err(Unreadable::Io)?;
    let known = file.metadata().map_err(Unreadable::Io)?;
    let size = usize::try_from(known.len()).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(size.min(yaml::FILE_BYTES_MAX) + 1);
    let most = u64::try_from(yaml::FILE_BYTES_MAX).unwrap_or(u64::MAX);
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(Unreadable::Io)?;
    if bytes.len() > yaml::FILE_BYTES_MAX {
        return Err(Unreadable::Large);
    }
    let text = String::from_utf8(bytes).map_err(|error| not_utf8(&error))?;
    // A byte order mark would shift the columns of the first line.
    match text.strip_prefix('\u{feff}') {
        Some(rest) => Ok(rest.to_owned()),
        None => Ok(text),
    }
}

fn not_utf8(error: &std::string::FromUtf8Error) -> Unreadable {
    let byte = error.utf8_error().valid_up_to();
    let fits = error.as_bytes().get(..byte).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("");
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let last = fits.rsplit('\n').next().unwrap_or("");
    let (line, col) = (number(fits.matches('\n').count() + 1), number(last.chars().count() + 1));
    Unreadable::NotUtf8 { byte, line, col }
}

fn hex(digest: &[u8]) -> String {
    digest
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|n| char::from_digit(u32::from(n), 16))
        .collect()
}

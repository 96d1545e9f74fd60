//! The files below a folder, one directory at a time.
//!
//! Names that begin with `.` are not files of ours: editors, file managers and copy programs keep their own things under
//! them, unfinished copies among others. Links to files are followed; links to directories are not, since they may
//! lead in circles. What is neither file nor directory is passed over with a warning.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::model::{Announced, ObjectRef};

use super::super::fetch::{FOLDER_SCHEME, file_etag};
use super::super::queue::QueueError;
use super::Found;

pub(super) struct Walk {
    /// The folder's canonical path.
    pub root: String,
    /// What is still to come, the next one last.
    stack: Vec<Entry>,
}

/// A path below the root.
#[derive(Clone)]
enum Entry {
    Directory(PathBuf),
    File(PathBuf),
    /// A directory that may not be read.
    Closed(PathBuf),
}

/// Files of one page: enough to keep the workers busy, few enough to come at once.
const PAGE_FILES_MAX: usize = 1000;

impl Walk {
    pub fn start(path: &Path) -> Result<Self, QueueError> {
        let refused = |problem| QueueError::Refused { url: path.display().to_string(), problem };
        let root = fs::canonicalize(path).map_err(|error| refused(error.to_string()))?;
        if !root.is_dir() {
            return Err(refused("it is not a folder".into()));
        }
        // Its path becomes the bucket of its objects, and a bucket is text.
        let root = root.into_os_string().into_string().map_err(|_| refused("its path is not UTF-8".into()))?;
        Ok(Self { root, stack: vec![Entry::Directory(PathBuf::new())] })
    }

    /// The next files, in the order of their keys' bytes, as S3 would list them.
    pub async fn next(&mut self, url: &str) -> Result<Option<Vec<Found>>, QueueError> {
        if self.stack.is_empty() {
            return Ok(None);
        }
        let unavailable = |problem| QueueError::Unavailable { url: url.to_owned(), problem };
        let (root, mut stack) = (self.root.clone(), std::mem::take(&mut self.stack));
        let walked = tokio::task::spawn_blocking(move || {
            let found = walk(&root, &mut stack);
            (stack, found)
        });
        let (stack, found) = walked.await.map_err(|error| unavailable(error.to_string()))?;
        self.stack = stack;
        found.map(Some).map_err(unavailable)
    }
}

/// Goes on until a page is full or nothing is left. What fails stays on the stack, to be tried with the next page.
fn walk(root: &str, stack: &mut Vec<Entry>) -> Result<Vec<Found>, String> {
    let mut files = Vec::new();
    while files.len() < PAGE_FILES_MAX {
        let Some(entry) = stack.pop() else { break };
        let visited = match &entry {
            Entry::Directory(path) => directory(root, path).map(|entries| stack.extend(entries.into_iter().rev())),
            Entry::Closed(path) => {
                files.push(closed(root, path));
                Ok(())
            }
            Entry::File(path) => found(root, path).map(|file| files.extend(file)),
        };
        if let Err(problem) = visited {
            stack.push(entry);
            // The files before it come first, and the problem with the next page.
            return if files.is_empty() { Err(problem) } else { Ok(files) };
        }
    }
    Ok(files)
}

fn directory(root: &str, path: &Path) -> Result<Vec<Entry>, String> {
    let directory = Path::new(root).join(path);
    entries(&directory, path).map_err(|error| format!("{}: {error}", directory.display()))
}

/// The entries of one directory, in the order of the keys that they lead to: a directory sorts as its name with a `/`.
fn entries(directory: &Path, path: &Path) -> io::Result<Vec<Entry>> {
    let mut named: Vec<(OsString, Entry)> = Vec::new();
    let listed = match fs::read_dir(directory) {
        Ok(listed) => listed,
        // One folder that may not be read must not keep the others from being counted.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && path != Path::new("") => {
            return Ok(vec![Entry::Closed(path.to_owned())]);
        }
        // Removed since its parent was listed: there is nothing in it.
        Err(error) if error.kind() == io::ErrorKind::NotFound && path != Path::new("") => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    for entry in listed {
        let entry = entry?;
        let mut name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = path.join(&name);
        let kind = entry.file_type()?;
        let entry = match kind.is_dir() {
            true => {
                name.push("/");
                Entry::Directory(path)
            }
            false => Entry::File(path),
        };
        named.push((name, entry));
    }
    named.sort_by(|(one, _), (other, _)| one.as_encoded_bytes().cmp(other.as_encoded_bytes()));
    Ok(named.into_iter().map(|(_, entry)| entry).collect())
}

fn closed(root: &str, path: &Path) -> Found {
    let name = format!("{root}/{}", path.display());
    let reason = format!("the folder {name} may not be read: grant it, then run this again");
    tracing::warn!(folder = name, "{reason}");
    Found::unreadable(name, reason)
}

fn found(root: &str, path: &Path) -> Result<Option<Found>, String> {
    let whole = Path::new(root).join(path);
    let file = match fs::metadata(&whole) {
        Ok(file) => file,
        // Removed since it was listed, or a link to nothing: there is no object.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{}: {error}", whole.display())),
    };
    if !file.is_file() {
        tracing::warn!(path = %whole.display(), "passed over: not a file, and links to folders are not followed");
        return Ok(None);
    }
    let Some(key) = path.to_str() else {
        let reason = format!("the name of the file is not UTF-8: {path:?}");
        tracing::warn!(folder = root, "{reason}");
        // `Debug` escapes each byte that is not text, so the name is not lost.
        return Ok(Some(Found::unreadable(format!("{root}/{path:?}"), reason)));
    };
    let announced = Announced { etag: Some(file_etag(&file)), bytes: Some(file.len()), ..Announced::default() };
    let modified = file.modified().ok().and_then(|modified| Timestamp::try_from(modified).ok());
    let object = ObjectRef { bucket: format!("{FOLDER_SCHEME}{root}"), key: key.to_owned(), announced };
    Ok(Some(Found::new(object, modified)))
}

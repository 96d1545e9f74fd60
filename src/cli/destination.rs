//! Where a report is written: standard output, or a file that is there whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Stdout, Write};
use std::path::{Path, PathBuf};

/// Dropped before [`Destination::finish`], a file is as it was before.
pub enum Destination {
    Standard(BufWriter<Stdout>),
    File(Replacement),
}

/// A file that is written beside the one it will replace.
pub struct Replacement {
    file: BufWriter<File>,
    /// `None` when it is written in place.
    temporary: Option<PathBuf>,
    path: PathBuf,
}

impl Destination {
    pub fn open(path: Option<&Path>) -> io::Result<Destination> {
        match path {
            None => Ok(Destination::Standard(BufWriter::new(io::stdout()))),
            Some(path) => Replacement::open(path).map(Destination::File),
        }
    }

    /// Writes what is left, and puts a file in its place.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Destination::Standard(mut out) => out.flush(),
            Destination::File(file) => file.finish(),
        }
    }
}

impl Replacement {
    fn open(path: &Path) -> io::Result<Replacement> {
        // A link stays a link, to the new content.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        // A device or a pipe is written to: the new file would take its name away.
        if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            let file = BufWriter::new(File::options().write(true).open(&path)?);
            return Ok(Replacement { file, temporary: None, path });
        }
        let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))?;
        let temporary = path.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
        let file = BufWriter::new(File::create(&temporary)?);
        Ok(Replacement { file, temporary: Some(temporary), path })
    }

    fn finish(mut self) -> io::Result<()> {
        self.file.flush()?;
        if let Some(temporary) = &self.temporary {
            // Otherwise the new name may outlive a power cut, and the content not.
            self.file.get_ref().sync_all()?;
            fs::rename(temporary, &self.path)?;
            self.temporary = None;
        }
        Ok(())
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            let _ = fs::remove_file(temporary);
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Destination::Standard(out) => out.write(bytes),
            Destination::File(Replacement { file, .. }) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Destination::Standard(out) => out.flush(),
            Destination::File(Replacement { file, .. }) => file.flush(),
        }
    }
}

/// Of a file only: a workbook goes nowhere else.
impl Seek for Destination {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Destination::Standard(_) => Err(io::ErrorKind::NotSeekable.into()),
            Destination::File(Replacement { file, .. }) => file.seek(to),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        fs::read_dir(folder).unwrap().map(name).collect()
    }

    #[test]
    fn file_is_replaced_when_it_is_whole_and_kept_when_it_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("보고서.csv");
        fs::write(&path, "old").unwrap();
        let mut half = Destination::open(Some(&path)).unwrap();
        half.write_all(b"half").unwrap();
        drop(half);
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), names(folder.path()).len()), ("old", 1));
        let mut whole = Destination::open(Some(&path)).unwrap();
        whole.write_all(b"whole").unwrap();
        whole.finish().unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), names(folder.path()).len()), ("whole", 1));
    }

    #[test]
    fn link_and_device_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut through = Destination::open(Some(&link)).unwrap();
        through.write_all(b"new").unwrap();
        through.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let mut nowhere = Destination::open(Some(Path::new("/dev/null"))).unwrap();
        nowhere.write_all(b"new").unwrap();
        nowhere.finish().unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use store::StoreError;

/// The queue's file as it was when it was opened.
///
/// Where a file can be deleted or replaced under those who have it open, as on Unix, they write on and notice nothing, and
/// all that they write is lost with them.
#[derive(Debug)]
pub(crate) struct OpenedFile {
    path: PathBuf,
    id: FileId,
}

/// What tells a file from another one under its name.
type FileId = (u64, u64);

impl OpenedFile {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), id: id(&fs::metadata(path)?) })
    }

    /// Makes sure that what is written now will be found under the file's name. Costs a look into the folder, a few
    /// microseconds, beside a write that waits for the disk.
    pub(crate) fn check(&self, what: &'static str) -> Result<(), StoreError> {
        match fs::metadata(&self.path) {
            Ok(found) if id(&found) == self.id => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::undone(what, error)),
            _ => Err(StoreError::undone(
                what,
                format!(
                    "{} is gone or is another file than was opened: bring it back, or start this process anew",
                    self.path.display()
                ),
            )),
        }
    }
}

#[cfg(unix)]
fn id(of: &fs::Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt;
    (of.dev(), of.ino())
}

/// Windows keeps an open file from being deleted: it is enough that there is one.
#[cfg(not(unix))]
fn id(_: &fs::Metadata) -> FileId {
    (0, 0)
}

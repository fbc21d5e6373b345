//! Files that are whole or not there.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::RecordError;

/// Temporary files begin with this; what a crash left of them may be removed.
pub(super) const TEMPORARY_PREFIX: &str = ".tmp-";

/// Large enough that a checkpoint is hashed and written in blocks, not value by value.
const BUFFER: usize = 1 << 20;

/// Writes `directory/name` through `fill`: into a temporary file beside it, synced, then renamed.
///
/// On an error the old file is untouched and the temporary one is gone.
pub(super) fn write(
    directory: &Path,
    name: &str,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), RecordError> {
    let path = directory.join(name);
    replace(directory, &path, fill).map_err(RecordError::io("write", &path))
}

fn replace(directory: &Path, path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY_PREFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // Temporary files are private unless told otherwise; results are for everybody the umask allows.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let temporary = builder.tempfile_in(directory)?;
    let mut writer = BufWriter::with_capacity(BUFFER, temporary);
    fill(&mut writer)?;
    let temporary = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    sync_directory(directory)
}

/// Makes the rename itself durable.
#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Remembers why a write failed: encoders in between lose it.
pub(super) struct Witness<W> {
    writer: W,
    failure: Option<io::Error>,
}

impl<W: Write> Witness<W> {
    pub(super) fn new(writer: W) -> Self {
        Self { writer, failure: None }
    }

    /// What the writer answered, or else what the encoder says.
    pub(super) fn cause(&mut self, encoder: impl std::error::Error + Send + Sync + 'static) -> io::Error {
        self.failure.take().unwrap_or_else(|| io::Error::other(encoder))
    }

    fn witness<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| {
            let same = || error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
            self.failure.get_or_insert_with(same);
        })
    }
}

impl<W: Write> Write for Witness<W> {
    fn write(&mut self, block: &[u8]) -> io::Result<usize> {
        let result = self.writer.write(block);
        self.witness(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.writer.flush();
        self.witness(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_other() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        write(directory.path(), "a", |file| file.write_all(b"old")).expect("writable");
        let failure = write(directory.path(), "a", |file| {
            file.write_all(b"half of the n")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(matches!(failure, Err(RecordError::Io { .. })));
        assert_eq!(std::fs::read(directory.path().join("a")).expect("still there"), b"old");
        assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 1);
    }
}

//! One run's directory, held by one writer.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::atomic;
use super::manifest::{Brief, FORMAT, HOST, HostReport, MANIFEST, Manifest, Program, Status};
use super::tables::{self, Table};
use super::{RecordError, checkpoint};
use crate::protocol::rows::{EvaluationRow, IntervalRow, OverlapRow, PeerRow, RoundRow, Rows, ScoreRow};

/// The summary for a person.
pub const SUMMARY: &str = "summary.md";
/// Where figures go.
pub const FIGURES: &str = "figures";
/// Locked by the process that writes.
pub(super) const LOCK: &str = ".lock";

/// The directory of the final θ, as Hugging Face's libraries read it.
const MODEL: &str = "model";
/// Its files.
const MODEL_FILES: &[&str] = &["config.json", "model.safetensors"];

/// What this program may leave in a directory, in the order in which it is removed.
const OURS: &[&str] = &[
    MANIFEST,
    LOCK,
    HOST,
    SUMMARY,
    FIGURES,
    MODEL,
    checkpoint::DIRECTORY,
    RoundRow::FILE,
    PeerRow::FILE,
    EvaluationRow::FILE,
    IntervalRow::FILE,
    ScoreRow::FILE,
    OverlapRow::FILE,
];

/// A run directory.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    previous: Option<Manifest>,
    /// Whether a run was begun here before.
    was_begun: bool,
    /// Held until the directory is dropped; `None` for readers.
    _lock: Option<File>,
}

/// As much of a manifest as every format has.
#[derive(Deserialize)]
struct Envelope {
    format: u32,
    program: Program,
}

impl RunDirectory {
    /// Takes a directory for writing, made if it is not there, and keeps others out until it is dropped.
    ///
    /// An interrupted run that is there stays as it is, to be resumed (see [`Self::previous`]). With `overwrite` what the
    /// program wrote before is removed first, finished or not.
    ///
    /// # Errors
    /// The directory cannot be made or written, is another process's, holds a finished run (without `overwrite`), or
    /// holds anything but a run: then nothing was changed.
    pub fn create(path: &Path, overwrite: bool) -> Result<Self, RecordError> {
        fs::create_dir_all(path).map_err(RecordError::io("create", path))?;
        let foreign = foreign_entry(path, OURS).map_err(RecordError::io("read", path))?;
        let mut previous = match read_manifest(path) {
            Ok(manifest) => Some(manifest),
            Err(RecordError::Format { .. } | RecordError::OtherBuild { .. }) if overwrite => None,
            Err(RecordError::NotARun { .. }) if foreign.is_none() => None,
            Err(RecordError::NotARun { .. } | RecordError::Malformed { .. }) => {
                let found = foreign.unwrap_or_else(|| MANIFEST.to_owned());
                return Err(RecordError::Foreign { path: path.to_owned(), found });
            }
            Err(error) => return Err(error),
        };
        let was_begun = path.join(LOCK).exists();
        let lock = lock(path)?;
        if overwrite {
            clear(path, OURS).map_err(RecordError::io("clear", path))?;
            previous = None;
        }
        if previous.as_ref().is_some_and(|manifest| manifest.status == Status::Finished) {
            return Err(RecordError::Finished { path: path.to_owned() });
        }
        Ok(Self { path: path.to_owned(), previous, was_begun, _lock: Some(lock) })
    }

    /// Opens a run for reading (and for its figures and summary, which are made again from the tables).
    ///
    /// # Errors
    /// There is no manifest, or one that this program does not read.
    pub fn open(path: &Path) -> Result<Self, RecordError> {
        let manifest = read_manifest(path)?;
        Ok(Self { path: path.to_owned(), previous: Some(manifest), was_begun: true, _lock: None })
    }

    /// Opens a run for reading its tables, also one of another version whose scenarios have other fields.
    ///
    /// # Errors
    /// There is no manifest, or one of another format.
    pub fn open_any(path: &Path) -> Result<(Self, Brief), RecordError> {
        let file = path.join(MANIFEST);
        let text = read_text(&file)?.ok_or_else(|| RecordError::NotARun { path: path.to_owned() })?;
        let brief: Brief = parse(&file, &text)?;
        if brief.format != FORMAT {
            return Err(RecordError::Format { path: file, found: brief.format, expected: FORMAT });
        }
        Ok((Self { path: path.to_owned(), previous: None, was_begun: true, _lock: None }, brief))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The manifest that was there when the directory was taken: the interrupted run's, or the opened run's.
    #[must_use]
    pub fn previous(&self) -> Option<&Manifest> {
        self.previous.as_ref()
    }

    /// Whether a run was begun here before, even if it died before it had kept anything.
    #[must_use]
    pub fn was_begun(&self) -> bool {
        self.was_begun
    }

    /// Writes all tables.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_tables(&self, rows: &Rows) -> Result<(), RecordError> {
        self.write_table(&rows.rounds)?;
        self.write_table(&rows.peers)?;
        self.write_table(&rows.evaluations)?;
        self.write_table(&rows.timeline)?;
        self.write_table(&rows.scores)?;
        self.write_table(&rows.overlaps)
    }

    /// Writes the manifest; last of all files, so that what it says is true.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), RecordError> {
        self.write_json(MANIFEST, manifest)
    }

    /// Writes the files of a model into a directory of its own.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_model<'a>(&self, files: impl IntoIterator<Item = (&'a str, Vec<u8>)>) -> Result<(), RecordError> {
        for (name, bytes) in files {
            write_bytes(&self.path.join(MODEL).join(name), &bytes)?;
        }
        Ok(())
    }

    /// The files of the model that was written here; none if there is none.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn read_model(&self) -> Result<Vec<(&'static str, Vec<u8>)>, RecordError> {
        let mut files = Vec::new();
        for name in MODEL_FILES {
            let path = self.path.join(MODEL).join(name);
            match fs::read(&path) {
                Ok(bytes) => files.push((*name, bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(RecordError::io("read", &path)(error)),
            }
        }
        Ok(files)
    }

    /// Writes what the host measured.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_host(&self, host: &HostReport) -> Result<(), RecordError> {
        self.write_json(HOST, host)
    }

    /// Writes a text file; `name` may be in a subdirectory (`figures/loss.svg`), which is made. Returns its path.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_text(&self, name: &str, text: &str) -> Result<PathBuf, RecordError> {
        write_text(&self.path.join(name), text)
    }

    /// The manifest as it is on disk now.
    ///
    /// # Errors
    /// It is missing, in another format, or no manifest.
    pub fn read_manifest(&self) -> Result<Manifest, RecordError> {
        read_manifest(&self.path)
    }

    /// What the host measured.
    ///
    /// # Errors
    /// The file is missing or malformed.
    pub fn read_host(&self) -> Result<HostReport, RecordError> {
        let path = self.path.join(HOST);
        let text = read_text(&path)?.ok_or_else(|| RecordError::Missing { path: path.clone() })?;
        parse(&path, &text)
    }

    /// One table.
    ///
    /// # Errors
    /// The file is missing or malformed.
    pub fn read_table<T: Table>(&self) -> Result<Vec<T>, RecordError> {
        tables::read(&self.path.join(T::FILE))
    }

    /// All tables.
    ///
    /// # Errors
    /// A file is missing or malformed.
    pub fn read_rows(&self) -> Result<Rows, RecordError> {
        Ok(Rows {
            rounds: self.read_table()?,
            peers: self.read_table()?,
            evaluations: self.read_table()?,
            timeline: self.read_table()?,
            scores: self.read_table()?,
            overlaps: self.read_table()?,
        })
    }

    fn write_table<T: Table>(&self, rows: &[T]) -> Result<(), RecordError> {
        atomic::write(&self.path, T::FILE, |file| tables::encode(rows, file))
    }

    fn write_json(&self, name: &str, value: &impl serde::Serialize) -> Result<(), RecordError> {
        atomic::write(&self.path, name, |file| {
            serde_json::to_writer_pretty(&mut *file, value)?;
            file.write_all(b"\n")
        })
    }
}

/// Writes a text file, whole or not at all; its directory is made. Returns its path.
///
/// # Errors
/// The file cannot be written.
pub fn write_text(path: &Path, text: &str) -> Result<PathBuf, RecordError> {
    write_bytes(path, text.as_bytes())?;
    Ok(path.to_owned())
}

/// Writes a file, whole or not at all; its directory is made.
///
/// # Errors
/// The file cannot be written.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    let invalid = || RecordError::io("write", path)(io::ErrorKind::InvalidFilename.into());
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(invalid)?;
    let directory = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Err(invalid()),
    };
    fs::create_dir_all(directory).map_err(RecordError::io("create", directory))?;
    atomic::write(directory, name, |file| file.write_all(bytes))
}

pub(super) fn lock(directory: &Path) -> Result<File, RecordError> {
    let path = directory.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(RecordError::io("write", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RecordError::Locked { path: directory.to_owned() }),
        // Some network file systems have no locks; a run there is the user's to keep apart.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(RecordError::io("lock", &path)(error)),
    }
}

/// An entry that is neither one of `ours` nor a temporary file; the first by name.
pub(super) fn foreign_entry(directory: &Path, ours: &[&str]) -> io::Result<Option<String>> {
    let mut foreign = None;
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_ours = ours.contains(&name.as_str()) || name.starts_with(atomic::TEMPORARY_PREFIX);
        if !is_ours && foreign.as_ref().is_none_or(|first| name < *first) {
            foreign = Some(name);
        }
    }
    Ok(foreign)
}

/// Removes what this program wrote, the manifest first: without it nothing passes for a run.
pub(super) fn clear(directory: &Path, ours: &[&str]) -> io::Result<()> {
    for name in ours.iter().filter(|name| **name != LOCK) {
        let path = directory.join(name);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
    }
    Ok(())
}

fn read_manifest(directory: &Path) -> Result<Manifest, RecordError> {
    let path = directory.join(MANIFEST);
    let text = read_text(&path)?.ok_or_else(|| RecordError::NotARun { path: directory.to_owned() })?;
    let Envelope { format, program } = parse(&path, &text)?;
    if program.name != Program::this().name {
        return Err(RecordError::Malformed { path, reason: format!("it is a manifest of `{}`", program.name) });
    }
    if format != FORMAT {
        return Err(RecordError::Format { path, found: format, expected: FORMAT });
    }
    serde_json::from_str(&text).map_err(|error| RecordError::OtherBuild { path, reason: error.to_string() })
}

/// The file's text; `None` if there is no such file.
pub(super) fn read_text(path: &Path) -> Result<Option<String>, RecordError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(RecordError::Malformed { path: path.to_owned(), reason: "it is not text".to_owned() })
        }
        Err(error) => Err(RecordError::io("read", path)(error)),
    }
}

pub(super) fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, RecordError> {
    serde_json::from_str(text)
        .map_err(|error| RecordError::Malformed { path: path.to_owned(), reason: error.to_string() })
}

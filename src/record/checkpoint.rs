//! Checkpoints: the whole state of a run between two events, kept twice.
//!
//! ```text
//! magic 8 | format u32 | sequence u64 | scenario hash u64 | version length u8 | version | state (postcard) | state bytes u64 | xxh3 u64
//! ```
//!
//! Integers are little-endian; the hash is over everything before it. Two files take turns, each replaced atomically, so
//! that one good checkpoint is there at any time, also if the disk later damages the newer one. A checkpoint is written
//! as a stream; reading holds the file in memory once, for nothing is decoded before the hash is right.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::atomic::{self, Witness};
use super::manifest::Program;
use super::{RecordError, RunDirectory};
use crate::scenario::Scenario;

/// The directory of checkpoints.
pub const DIRECTORY: &str = "checkpoint";
const SLOTS: [&str; 2] = ["a.bin", "b.bin"];
const MAGIC: [u8; 8] = *b"SWARMCKP";
const FORMAT: u32 = 1;
/// State bytes and hash.
const TRAILER: usize = 16;
/// Values are hashed in blocks of this size.
const BLOCK: usize = 1 << 16;

/// A state read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Restored<T> {
    /// The state.
    pub state: T,
    /// Why the other checkpoint was not used, if it is damaged or foreign; for a warning.
    pub refused: Vec<String>,
}

/// The hash by which a checkpoint knows its scenario, the seed included.
#[must_use]
pub fn scenario_hash(scenario: &Scenario) -> u64 {
    xxh3_64(&serde_json::to_vec(scenario).expect("because a scenario is plain data with string keys"))
}

/// What stands before the state.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Header {
    sequence: u64,
    scenario: u64,
    version: String,
}

impl RunDirectory {
    /// Writes a checkpoint over the older of the two.
    ///
    /// # Errors
    /// The file cannot be written; the checkpoints that were there still are.
    pub fn write_checkpoint<T: Serialize>(&self, scenario: u64, state: &T) -> Result<(), RecordError> {
        let directory = self.path().join(DIRECTORY);
        std::fs::create_dir_all(&directory).map_err(RecordError::io("create", &directory))?;
        let sequences = SLOTS.map(|slot| {
            let header = File::open(directory.join(slot)).ok().and_then(|mut file| Header::read(&mut file).ok());
            header.filter(|header| header.scenario == scenario && header.version == Program::this().version)
        });
        let sequences = sequences.map(|header| header.map(|header| header.sequence));
        // `None` is less than any number: a missing or foreign file is replaced first.
        let slot = if sequences[0] <= sequences[1] { SLOTS[0] } else { SLOTS[1] };
        let sequence = sequences.into_iter().flatten().max().map_or(0, |newest| newest + 1);
        let header = Header { sequence, scenario, version: Program::this().version };
        atomic::write(&directory, slot, |file| encode(&header, state, file))
    }

    /// The newest good checkpoint of this program and scenario; `None` if there are no checkpoints at all.
    ///
    /// # Errors
    /// There are checkpoints, but all of them are damaged, another program version's, or another scenario's.
    pub fn read_checkpoint<T: DeserializeOwned>(&self, scenario: u64) -> Result<Option<Restored<T>>, RecordError> {
        let directory = self.path().join(DIRECTORY);
        let mut refused = Vec::new();
        let mut candidates = Vec::new();
        for slot in SLOTS {
            let mut file = match File::open(directory.join(slot)) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(RecordError::io("read", &directory.join(slot))(error)),
            };
            match Header::read(&mut file).and_then(|header| header.check(scenario)) {
                Ok(sequence) => candidates.push((sequence, slot)),
                Err(reason) => refused.push(format!("`{slot}` {reason}")),
            }
        }
        candidates.sort_unstable_by(|a, b| b.cmp(a));
        for (_, slot) in candidates {
            let path = directory.join(slot);
            let bytes = std::fs::read(&path).map_err(RecordError::io("read", &path))?;
            match decode(&bytes) {
                Ok(state) => return Ok(Some(Restored { state, refused })),
                Err(reason) => refused.push(format!("`{slot}` {reason}")),
            }
        }
        if refused.is_empty() { Ok(None) } else { Err(RecordError::NoCheckpoint { path: directory, reasons: refused }) }
    }

    /// Removes all checkpoints: a finished run needs none.
    ///
    /// # Errors
    /// They cannot be removed.
    pub fn discard_checkpoints(&self) -> Result<(), RecordError> {
        let directory: PathBuf = self.path().join(DIRECTORY);
        match std::fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RecordError::io("remove", &directory)(error)),
            _ => Ok(()),
        }
    }
}

impl Header {
    fn write(&self, writer: &mut impl Write) -> io::Result<()> {
        let length = u8::try_from(self.version.len()).expect("because a version is a few characters");
        writer.write_all(&MAGIC)?;
        writer.write_all(&FORMAT.to_le_bytes())?;
        writer.write_all(&self.sequence.to_le_bytes())?;
        writer.write_all(&self.scenario.to_le_bytes())?;
        writer.write_all(&[length])?;
        writer.write_all(self.version.as_bytes())
    }

    fn read(reader: &mut impl Read) -> Result<Self, String> {
        let torn = |_| "is torn: it ends within its header".to_owned();
        let mut word = || -> Result<[u8; 8], String> {
            let mut bytes = [0; 8];
            reader.read_exact(&mut bytes).map_err(torn)?;
            Ok(bytes)
        };
        if word()? != MAGIC {
            return Err("is no checkpoint".to_owned());
        }
        let mut format = [0; 4];
        reader.read_exact(&mut format).map_err(torn)?;
        let format = u32::from_le_bytes(format);
        if format != FORMAT {
            return Err(format!("has format {format}, this program reads {FORMAT}"));
        }
        let mut numbers = [0; 17];
        reader.read_exact(&mut numbers).map_err(torn)?;
        let number =
            |at: usize| u64::from_le_bytes(numbers[at..at + 8].try_into().expect("because the slice has eight bytes"));
        let mut version = vec![0; numbers[16].into()];
        reader.read_exact(&mut version).map_err(torn)?;
        let version = String::from_utf8_lossy(&version).into_owned();
        Ok(Self { sequence: number(0), scenario: number(8), version })
    }

    /// The sequence number, if this program can go on from here.
    fn check(self, scenario: u64) -> Result<u64, String> {
        let ours = Program::this().version;
        if self.version != ours {
            return Err(format!("was written by version {}, this is {ours}", self.version));
        }
        if self.scenario != scenario {
            return Err("belongs to another scenario or seed".to_owned());
        }
        Ok(self.sequence)
    }

    fn bytes(&self) -> usize {
        MAGIC.len() + 4 + 8 + 8 + 1 + self.version.len()
    }
}

fn encode<T: Serialize>(header: &Header, state: &T, file: impl Write) -> io::Result<()> {
    let mut witness = Witness::new(file);
    // The encoder writes value by value; the buffer makes blocks of them for the hash.
    let mut blocks = BufWriter::with_capacity(BLOCK, Hashing { file: &mut witness, hash: Xxh3::new(), bytes: 0 });
    header.write(&mut blocks)?;
    if let Err(error) = postcard::to_io(state, &mut blocks).map(drop) {
        drop(blocks.into_parts());
        return Err(witness.cause(error));
    }
    let mut hashing = blocks.into_inner().map_err(io::IntoInnerError::into_error)?;
    let state_bytes = hashing.bytes - header.bytes() as u64;
    hashing.write_all(&state_bytes.to_le_bytes())?;
    let hash = hashing.hash.digest();
    hashing.file.write_all(&hash.to_le_bytes())
}

fn decode<T: DeserializeOwned>(mut bytes: &[u8]) -> Result<T, String> {
    let whole = bytes;
    let header = Header::read(&mut bytes)?;
    let (state, trailer) = bytes
        .len()
        .checked_sub(TRAILER)
        .map(|end| bytes.split_at(end))
        .ok_or_else(|| "is torn: it ends before its state does".to_owned())?;
    let number =
        |at: usize| u64::from_le_bytes(trailer[at..at + 8].try_into().expect("because the slice has eight bytes"));
    if xxh3_64(&whole[..whole.len() - 8]) != number(8) || number(0) != state.len() as u64 {
        return Err("is torn or damaged: its checksum is wrong".to_owned());
    }
    debug_assert_eq!(header.bytes() + state.len() + TRAILER, whole.len());
    match postcard::take_from_bytes(state) {
        Ok((state, [])) => Ok(state),
        Ok(_) => Err("holds more than a state".to_owned()),
        Err(error) => Err(format!("holds another kind of state: {error}")),
    }
}

/// Hashes and counts what it passes on.
struct Hashing<W> {
    file: W,
    hash: Xxh3,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, block: &[u8]) -> io::Result<usize> {
        let written = self.file.write(block)?;
        self.hash.update(&block[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        // Whoever made the file flushes and syncs it, once.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header { sequence: 3, scenario: 7, version: Program::this().version }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let mut good = Vec::new();
        encode(&header(), &vec![1.5f32; 40], &mut good).expect("memory can be written");
        assert_eq!(decode::<Vec<f32>>(&good), Ok(vec![1.5; 40]));
        for at in 0..good.len() {
            let mut damaged = good.clone();
            damaged[at] ^= 1;
            assert!(decode::<Vec<f32>>(&damaged).is_err(), "byte {at}");
            assert!(decode::<Vec<f32>>(&good[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn what_the_disk_answers_is_what_the_user_reads() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, block: &[u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(block.len()).ok_or(io::ErrorKind::StorageFull)?;
                Ok(block.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for room in [0, 10, BLOCK, 3 * BLOCK] {
            let error = encode(&header(), &vec![0.5f32; 100_000], &mut Full(room)).expect_err("400 kB do not fit");
            assert_eq!(error.kind(), io::ErrorKind::StorageFull, "room {room}");
        }
    }
}

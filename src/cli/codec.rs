//! `swarmloco codec`: the codec on `.safetensors` files.

mod file;

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use self::file::{CodecError, Tensors};
use crate::algorithm::chunk::Cut;
use crate::algorithm::codec::{self, Scratch, Section};
use crate::algorithm::pack;
use crate::algorithm::spec::{Compression, IndexCoding, Quantizer, TopK, ValueCoding, VectorChunk};
use crate::algorithm::{Contribution, Layout};
use crate::cli::Failure;

/// Encode, decode and look into payloads.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  swarmloco codec encode --in delta.safetensors --state residual.safetensors --out payload.bin
  swarmloco codec decode --in payload.bin --out dense.safetensors")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Encode(Encode),
    Decode(Decode),
    Inspect(Inspect),
}

/// Encode tensors as a payload, and bring their error feedback up to date.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  swarmloco codec encode --in delta.safetensors --state residual.safetensors --out payload.bin
  swarmloco codec encode --in delta.safetensors --k 16 --decay 0.9 --out payload.bin")]
struct Encode {
    /// Pseudo-gradients: matrices and vectors of f32, f16 or bf16
    #[arg(long = "in", value_name = "FILE.safetensors")]
    input: PathBuf,
    /// The residual: read if it is there, and written back
    #[arg(long, value_name = "FILE.safetensors")]
    state: Option<PathBuf>,
    /// Side of a matrix's chunk
    #[arg(long, default_value_t = 64)]
    chunk: usize,
    /// Entries kept per chunk
    #[arg(long, default_value_t = 64)]
    k: usize,
    /// Bits per value
    #[arg(long, value_enum, default_value_t = Bits::Two)]
    bits: Bits,
    /// How quantised values are written
    #[arg(long, value_enum, default_value_t = Values::Packed)]
    values: Values,
    /// Decay beta of the error feedback
    #[arg(long, default_value_t = 0.95)]
    decay: f32,
    /// The payload
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Decode a payload to dense tensors.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  swarmloco codec decode --in payload.bin --out dense.safetensors")]
struct Decode {
    /// The payload
    #[arg(long = "in", value_name = "FILE")]
    input: PathBuf,
    /// Dense f32 tensors
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
}

/// Print what a payload holds, as JSON.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  swarmloco codec inspect --in payload.bin")]
struct Inspect {
    /// The payload
    #[arg(long = "in", value_name = "FILE")]
    input: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bits {
    #[value(name = "2")]
    Two,
    #[value(name = "4")]
    Four,
    #[value(name = "8")]
    Eight,
    /// f32, not quantised
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Values {
    /// `bits` each
    Packed,
    /// One byte each
    Byte,
}

#[derive(Debug, Serialize)]
struct Inspection<'a> {
    /// The payload itself.
    bytes: usize,
    /// The file with names, shapes and checksum.
    file_bytes: u64,
    compression: &'a Compression,
    tensors: Vec<InspectedTensor<'a>>,
}

#[derive(Debug, Serialize)]
struct InspectedTensor<'a> {
    name: &'a str,
    shape: &'a [usize],
    chunk_shape: Vec<usize>,
    k: usize,
    kept: usize,
    bin_counts: Vec<u64>,
    shift: Option<f32>,
    scale: Option<f32>,
    lookup: Vec<f32>,
}

/// Runs the command.
///
/// # Errors
/// A file is missing, malformed or cannot be written; nothing is half-written.
pub fn execute(args: &Args) -> Result<(), Failure> {
    let done = match &args.command {
        Command::Encode(args) => encode(args),
        Command::Decode(args) => decode(args),
        Command::Inspect(args) => inspect(args),
    };
    done.map_err(|error| if error.is_input() { Failure::unusable(error) } else { Failure::failed(error) })
}

fn encode(args: &Encode) -> Result<(), CodecError> {
    let compression = compression(args);
    compression.check().map_err(CodecError::Compression)?;
    let Tensors { layout, mut values } = file::read_tensors(&args.input)?;
    let mut residual = match args.state.as_deref().filter(|path| path.exists()) {
        Some(path) => residual(path, &layout)?,
        None => Vec::new(),
    };
    let encoded = codec::encode(&compression, &layout, &mut values, &mut residual, &mut Scratch::default());
    file::write_payload(&args.out, &compression, &layout, &encoded.bytes)?;
    match &args.state {
        Some(path) => file::write_tensors(path, &layout, &residual),
        None => Ok(()),
    }
}

fn compression(args: &Encode) -> Compression {
    let bits = match args.bits {
        Bits::Two => Some(2),
        Bits::Four => Some(4),
        Bits::Eight => Some(8),
        Bits::None => None,
    };
    let coding = if args.values == Values::Byte { ValueCoding::Byte } else { ValueCoding::Packed };
    Compression::TopK(TopK {
        chunk: [args.chunk, args.chunk],
        vectors: VectorChunk::Side,
        k: args.k,
        even_k: true,
        quantizer: bits.map(|bits| Quantizer { bits, range: 6.0, coding }),
        index_coding: IndexCoding::Fixed,
        error_feedback: Some(args.decay),
    })
}

/// The residual in `path`, which has to have the tensors of `layout`.
fn residual(path: &Path, layout: &Layout) -> Result<Vec<f32>, CodecError> {
    let state = file::read_tensors(path)?;
    if state.layout != *layout {
        return Err(CodecError::OtherTensors { path: path.to_owned() });
    }
    Ok(state.values)
}

fn decode(args: &Decode) -> Result<(), CodecError> {
    let payload = file::read_payload(&args.input)?;
    let contribution: Contribution = codec::decode(&payload.compression, &payload.layout, &payload.bytes)
        .map_err(|error| CodecError::Payload { path: args.input.clone(), error })?;
    file::write_tensors(&args.out, &payload.layout, &contribution.to_dense(&payload.layout))
}

fn inspect(args: &Inspect) -> Result<(), CodecError> {
    let payload = file::read_payload(&args.input)?;
    let refuse = |error| CodecError::Payload { path: args.input.clone(), error };
    codec::decode(&payload.compression, &payload.layout, &payload.bytes).map_err(refuse)?;
    let sections = codec::sections(&payload.compression, &payload.layout, &payload.bytes).map_err(refuse)?;
    let inspection = Inspection {
        bytes: payload.bytes.len(),
        file_bytes: payload.file_bytes,
        compression: &payload.compression,
        tensors: sections.iter().map(|section| inspected(&payload.compression, section)).collect(),
    };
    println!("{}", serde_json::to_string_pretty(&inspection).expect("because an inspection is plain data"));
    Ok(())
}

fn inspected<'a>(compression: &Compression, section: &Section<'a>) -> InspectedTensor<'a> {
    let shape = section.tensor.shape.as_slice();
    let (chunk_shape, k, quantizer) = match compression {
        Compression::TopK(top_k) => {
            let cut = Cut::of(top_k, shape);
            let block = if shape.len() == 1 { cut.block[1..].to_vec() } else { cut.block.to_vec() };
            (block, cut.k, top_k.quantizer.clone())
        }
        Compression::Int8 | Compression::Dense { .. } => (shape.to_vec(), section.kept, None),
    };
    let mut bin_counts = Vec::new();
    if let (Some(book), Some(quantizer)) = (&section.codebook, &quantizer) {
        let bits = if quantizer.coding == ValueCoding::Byte { 8 } else { quantizer.bits };
        let mut bins = Vec::new();
        pack::unpack_values(section.values, bits, section.kept, &mut bins);
        bin_counts = vec![0; book.lookup.len()];
        bins.iter().for_each(|&bin| bin_counts[usize::from(bin)] += 1);
    }
    let book = section.codebook.as_ref();
    InspectedTensor {
        name: &section.tensor.name,
        shape,
        chunk_shape,
        k,
        kept: section.kept,
        bin_counts,
        shift: book.map(|book| book.shift),
        scale: book.map(|book| book.scale),
        lookup: book.map_or_else(Vec::new, |book| book.lookup.clone()),
    }
}

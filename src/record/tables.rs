//! Rows to Parquet and back: one column a field, enums as strings, absent values as nulls.
//!
//! A table's bytes are a function of its rows: columns are encoded one after the other, in row groups of fixed size, and
//! the file's metadata holds neither date nor host.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use polars::prelude::*;

use super::RecordError;
use super::atomic::Witness;
use crate::protocol::rows::{
    EvaluationRow, IntervalRow, Listed, Outcome, OverlapRow, PeerRow, Phase, RoundRow, ScoreRow, Verdict,
};

/// Rows of a row group: enough to compress well, few enough to be written in little memory.
const ROW_GROUP: usize = 1 << 18;

/// Rows that are kept as a Parquet table.
pub trait Table: Sized {
    /// The table's file name.
    const FILE: &'static str;

    /// The rows as columns.
    fn frame(rows: &[Self]) -> DataFrame;

    /// The columns as rows.
    ///
    /// # Errors
    /// A column is missing, of another type, or holds a null or a word that it may not.
    fn rows(frame: &DataFrame) -> PolarsResult<Vec<Self>>;
}

/// A type of column.
trait Cell: Sized {
    fn column<'a>(name: &str, cells: impl Iterator<Item = &'a Self>) -> Column
    where
        Self: 'a;

    fn cells(column: &Column) -> PolarsResult<Vec<Self>>;
}

macro_rules! table {
    ($row:ident in $file:literal: $($field:ident),+ $(,)?) => {
        impl Table for $row {
            const FILE: &'static str = $file;

            fn frame(rows: &[Self]) -> DataFrame {
                let columns = vec![$(Cell::column(stringify!($field), rows.iter().map(|row| &row.$field))),+];
                DataFrame::new(rows.len(), columns).expect("because each column has one cell a row and its own name")
            }

            fn rows(frame: &DataFrame) -> PolarsResult<Vec<Self>> {
                $(let mut $field = Cell::cells(frame.column(stringify!($field))?)?.into_iter();)+
                let rows = std::iter::from_fn(|| Some(Self { $($field: $field.next()?),+ }));
                Ok(rows.collect())
            }
        }
    };
}

table!(RoundRow in "rounds.parquet":
    round, time_s, validation_loss, training_loss, tokens, deployment_tokens, active, contributing, bytes_up, bytes_down,
    payload_bytes, utilisation, aggregate_norm);
table!(PeerRow in "peers.parquet":
    round, peer, class, behaviour, steps, training_loss, outcome, compute_s, upload_s, download_s, payload_norm);
table!(EvaluationRow in "evaluations.parquet": round, time_s, tokens, bytes_up, validation_loss,
    backdoor_success);
table!(ScoreRow in "scores.parquet":
    round, validator, peer, behaviour, listed, verdict, own_before, own_after, random_before, random_after, score, indicator,
    indicator_average, sync, mu, sigma, final_score, weight, pay, penalties);
table!(OverlapRow in "overlaps.parquet": round, first, second, honest, overlap);
table!(IntervalRow in "timeline.parquet": peer, round, phase, start_s, end_s);

macro_rules! number_cell {
    ($type:ident) => {
        impl Cell for $type {
            fn column<'a>(name: &str, cells: impl Iterator<Item = &'a Self>) -> Column {
                Column::new(name.into(), cells.copied().collect::<Vec<_>>())
            }

            fn cells(column: &Column) -> PolarsResult<Vec<Self>> {
                column.$type()?.iter().map(|cell| present(column, cell)).collect()
            }
        }
    };
}

number_cell!(u32);
number_cell!(u64);
number_cell!(f64);

impl Cell for Option<f64> {
    fn column<'a>(name: &str, cells: impl Iterator<Item = &'a Self>) -> Column {
        Column::new(name.into(), cells.copied().collect::<Vec<_>>())
    }

    fn cells(column: &Column) -> PolarsResult<Vec<Self>> {
        Ok(column.f64()?.iter().collect())
    }
}

impl Cell for String {
    fn column<'a>(name: &str, cells: impl Iterator<Item = &'a Self>) -> Column {
        Column::new(name.into(), cells.map(String::as_str).collect::<Vec<_>>())
    }

    fn cells(column: &Column) -> PolarsResult<Vec<Self>> {
        column.str()?.iter().map(|cell| present(column, cell).map(str::to_owned)).collect()
    }
}

/// An enum that is written as a word.
trait Word: Copy + 'static {
    const ALL: &'static [Self];

    fn word(self) -> &'static str;
}

impl Word for Outcome {
    const ALL: &'static [Self] =
        &[Self::Gathered, Self::Reserve, Self::NotSelected, Self::Late, Self::Gone, Self::Early, Self::Refused];

    fn word(self) -> &'static str {
        match self {
            Self::Gathered => "gathered",
            Self::Reserve => "reserve",
            Self::NotSelected => "not_selected",
            Self::Late => "late",
            Self::Gone => "gone",
            Self::Early => "early",
            Self::Refused => "refused",
        }
    }
}

impl Word for Listed {
    const ALL: &'static [Self] = &[Self::Gather, Self::Reserve, Self::No];

    fn word(self) -> &'static str {
        match self {
            Self::Gather => "gather",
            Self::Reserve => "reserve",
            Self::No => "no",
        }
    }
}

impl Word for Verdict {
    const ALL: &'static [Self] = &[Self::NotEvaluated, Self::Measured, Self::Missing, Self::Invalid, Self::Unreachable];

    fn word(self) -> &'static str {
        match self {
            Self::NotEvaluated => "not_evaluated",
            Self::Measured => "measured",
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::Unreachable => "unreachable",
        }
    }
}

impl Word for Phase {
    const ALL: &'static [Self] =
        &[Self::Compute, Self::Upload, Self::Download, Self::Exchange, Self::CatchUp, Self::Idle];

    fn word(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Upload => "upload",
            Self::Download => "download",
            Self::Exchange => "exchange",
            Self::CatchUp => "catch_up",
            Self::Idle => "idle",
        }
    }
}

impl<W: Word> Cell for W {
    fn column<'a>(name: &str, cells: impl Iterator<Item = &'a Self>) -> Column {
        Column::new(name.into(), cells.map(|cell| cell.word()).collect::<Vec<_>>())
    }

    fn cells(column: &Column) -> PolarsResult<Vec<Self>> {
        let read =
            |cell| {
                let word: &str = present(column, cell)?;
                W::ALL.iter().copied().find(|known| known.word() == word).ok_or_else(
                    || polars_err!(ComputeError: "column `{}` holds the unknown word `{word}`", column.name()),
                )
            };
        column.str()?.iter().map(read).collect()
    }
}

fn present<T>(column: &Column, cell: Option<T>) -> PolarsResult<T> {
    cell.ok_or_else(|| polars_err!(ComputeError: "column `{}` has a null", column.name()))
}

/// Writes the rows as Parquet.
///
/// # Errors
/// What `writer` answers.
pub fn encode<T: Table>(rows: &[T], writer: impl Write) -> std::io::Result<()> {
    let mut frame = T::frame(rows);
    let mut witness = Witness::new(writer);
    let written =
        ParquetWriter::new(&mut witness).with_row_group_size(Some(ROW_GROUP)).set_parallel(false).finish(&mut frame);
    written.map(drop).map_err(|error| witness.cause(error))
}

/// Reads the rows of a Parquet file.
pub(super) fn read<T: Table>(path: &Path) -> Result<Vec<T>, RecordError> {
    let file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => RecordError::Missing { path: path.to_owned() },
        _ => RecordError::io("read", path)(error),
    })?;
    ParquetReader::new(file)
        .finish()
        .and_then(|frame| T::rows(&frame))
        .map_err(|error| RecordError::Malformed { path: path.to_owned(), reason: error.to_string() })
}

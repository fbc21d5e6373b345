//! What no honest encoder writes.
//!
//! `not_a_number`, `index_beyond_chunk` and `truncated` are refused by every receiver; `duplicate_indices` and `lookup`
//! pass the public code's checks: duplicates are averaged, and a lookup of any finite magnitude is believed, so that only
//! the median clip stands between it and the model.
//!
//! They know the codec. Source: the public code's `comms.gather`, the checks that it makes and those that it does not.

use super::forge::Knowledge;
use super::spec::Defect;
use crate::algorithm::codec::tamper::{Tampering, tamper};

pub(super) fn with(knowledge: &Knowledge<'_>, defect: Defect) -> Option<Vec<u8>> {
    let mut payload = knowledge.own?.to_vec();
    let tampering = match defect {
        Defect::NotANumber => Tampering::NotANumber,
        Defect::IndexBeyondChunk => Tampering::IndexBeyondChunk,
        Defect::DuplicateIndices => Tampering::DuplicateIndices,
        Defect::Lookup { magnitude } => Tampering::Lookup(magnitude),
        Defect::Truncated => Tampering::Truncate,
    };
    tamper(knowledge.compression, knowledge.layout, &mut payload, tampering);
    Some(payload)
}

//! The own payload, turned around or blown up.
//!
//! `sign_flip`: the opposite of what was learnt, at its size, so that no norm gives it away.
//! `norm_inflation`: `factor` times what was learnt; with `when: {first: {rounds: 1}}` it is the one huge update before
//! anybody knows the peer.
//!
//! They know nothing but their own training. Source: sign flips in Li et al., "RSA"; inflation is SparseLoCo's own
//! "anomaly" sweep (values times 10) and the Gauntlet paper's huge-norm update.

use super::forge::Knowledge;
use crate::algorithm::codec::tamper::{Tampering, tamper};

pub(super) fn times(knowledge: &Knowledge<'_>, factor: f32) -> Option<Vec<u8>> {
    let mut payload = knowledge.own?.to_vec();
    tamper(knowledge.compression, knowledge.layout, &mut payload, Tampering::Scale(factor));
    Some(payload)
}

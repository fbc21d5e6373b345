//! Payloads that somebody made before.
//!
//! `free_rider`: an own old payload, sent again every round; it costs no training.
//! `copier`: the first payload that another peer stored in the round, downloaded and sent as the own one, so necessarily
//! later. `permuted` changes the bytes and not what they say, and fools only who compares bytes; `mixed` moves a share of
//! the kept entries to random coordinates of the same tensor, which lowers the overlap of the indices to about
//! 1 − share and spoils as much of the contribution.
//!
//! They know what lies in the store. Source: Gauntlet paper, "peer copying before the round closes"; the public code's
//! index-overlap rule is the answer to it.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::forge::Knowledge;
use super::spec::Disguise;
use crate::algorithm::codec::tamper::permute;

pub(super) fn replayed(knowledge: &Knowledge<'_>) -> Option<Vec<u8>> {
    knowledge.replay.map(<[u8]>::to_vec)
}

pub(super) fn disguised(knowledge: &Knowledge<'_>, disguise: Disguise, rng: &mut ChaCha8Rng) -> Option<Vec<u8>> {
    let victim = knowledge.victim?;
    match disguise {
        Disguise::Verbatim => Some(victim.to_vec()),
        Disguise::Permuted => {
            let mut payload = victim.to_vec();
            permute(knowledge.compression, knowledge.layout, &mut payload, |end| {
                rng.random_range(0..end as u64) as usize
            });
            Some(payload)
        }
        Disguise::Mixed { share } => {
            let Some(copied) = knowledge.decode(victim) else { return Some(victim.to_vec()) };
            let mut values = copied.to_dense(knowledge.layout);
            for (number, tensor) in knowledge.layout.tensors().iter().enumerate() {
                let Some(indices) = copied.indices(number) else { continue };
                for &index in indices {
                    if rng.random::<f64>() < share {
                        let elsewhere = tensor.offset + rng.random_range(0..tensor.len() as u64) as usize;
                        values.swap(index as usize, elsewhere);
                    }
                }
            }
            Some(knowledge.encode(values))
        }
    }
}

//! Sums over contributions with one weight each, and the mean over those who sent a coordinate.

use pulp::Arch;

use super::Found;
use super::columns::sign;
use crate::algorithm::contribution::Contribution;
use crate::algorithm::spec::Average;
use crate::algorithm::vectorised::vectorised;

/// Coordinates of a dense tensor that are summed over all contributions before the next ones.
const STRETCH: usize = 4096;

/// All contributions to the tensor with this number.
pub struct Weighted<'a> {
    /// In ascending order of their peers.
    pub contributions: &'a [&'a Contribution],
    /// What each is multiplied by.
    pub factors: &'a [f32],
    /// The tensor's index in the layout.
    pub number: usize,
}

impl Weighted<'_> {
    /// Chunk by chunk, so that a chunk's coordinates stay in the cache while all contributions pass over them.
    ///
    /// `entries` counts what was sent for each coordinate; it is all zero before and after.
    pub fn sparse_mean(&self, average: Average, offset: usize, out: &mut [f32], entries: &mut [u32]) -> Found {
        let Some(first) = self.contributions.first() else { return Found::NOTHING };
        let chunks = first.chunks(self.number);
        for contribution in self.contributions {
            let kept = |contribution: &Contribution| contribution.values(self.number).len();
            let alike = contribution.is_sparse()
                && contribution.chunks(self.number) == chunks
                && kept(contribution) == kept(first);
            assert!(alike, "contributions are of one compression");
        }
        let peers = self.contributions.len() as f32;
        let mut found = Found::NOTHING;
        for chunk in 0..chunks {
            for (contribution, &factor) in self.contributions.iter().zip(self.factors) {
                let sent = contribution.chunk(self.number, chunk);
                let mut previous = None;
                for (&index, &value) in sent.indices.iter().zip(sent.values) {
                    let repeated = previous.replace(index) == Some(index);
                    if repeated && average == Average::Peers {
                        continue; // a peer counts once, however often it sends a coordinate
                    }
                    let at = index as usize - offset;
                    out[at] += factor * value;
                    entries[at] += 1;
                }
            }
            for contribution in self.contributions {
                for &index in contribution.chunk(self.number, chunk).indices {
                    let at = index as usize - offset;
                    let count = std::mem::take(&mut entries[at]);
                    if count > 0 {
                        let divisor = match average {
                            Average::Contributors => count as f32,
                            Average::Peers => peers,
                        };
                        out[at] /= divisor;
                        found.note(out[at]);
                    }
                }
            }
        }
        found
    }

    /// The mean of dense contributions.
    pub fn dense_mean(&self, out: &mut [f32]) -> Found {
        let peers = self.contributions.len() as f32;
        let weighted: Vec<(&[f32], f32)> = self.dense().collect();
        vectorised(
            Arch::new(),
            #[inline(always)]
            || {
                add_terms(&weighted, out, product);
                out.iter_mut().for_each(|sum| *sum /= peers);
            },
        );
        Found::of(out)
    }

    /// Each dense contribution's values, with its factor.
    fn dense(&self) -> impl Iterator<Item = (&[f32], f32)> {
        let rows = self.contributions.iter().zip(self.factors);
        rows.map(|(contribution, &factor)| (contribution.values(self.number), factor))
    }

    /// Σ factor_r · v_r, in the same order; contributions whose factor is 0 are passed over.
    pub fn sum(&self, out: &mut [f32], offset: usize) -> Found {
        if self.contributions.first().is_some_and(|first| first.is_sparse()) {
            self.scatter(out, offset, product);
        } else {
            let taken: Vec<(&[f32], f32)> = self.dense().filter(|&(_, factor)| factor != 0.0).collect();
            vectorised(
                Arch::new(),
                #[inline(always)]
                || add_terms(&taken, out, product),
            );
        }
        Found::of(out)
    }

    /// The sign that more of the contributions have, times `magnitude`.
    pub fn votes(&self, magnitude: f32, out: &mut [f32], offset: usize) -> Found {
        let is_sparse = self.contributions.first().is_some_and(|first| first.is_sparse());
        let dense: Vec<(&[f32], f32)> = if is_sparse { Vec::new() } else { self.dense().collect() };
        if is_sparse {
            self.scatter(out, offset, vote);
        }
        vectorised(
            Arch::new(),
            #[inline(always)]
            || {
                add_terms(&dense, out, vote);
                out.iter_mut().for_each(|votes| *votes = magnitude * sign(*votes));
            },
        );
        Found::of(out)
    }

    /// Adds to each coordinate a term of what every sparse contribution says there, chunk by chunk.
    fn scatter(&self, out: &mut [f32], offset: usize, term: impl Fn(f32, f32) -> f32) {
        let chunks = self.contributions.first().map_or(0, |first| first.chunks(self.number));
        for chunk in 0..chunks {
            for (contribution, &factor) in self.contributions.iter().zip(self.factors) {
                if factor == 0.0 {
                    continue;
                }
                let sent = contribution.chunk(self.number, chunk);
                let mut previous = None;
                for (&index, &value) in sent.indices.iter().zip(sent.values) {
                    if previous.replace(index) != Some(index) {
                        out[index as usize - offset] += term(factor, value);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn product(factor: f32, value: f32) -> f32 {
    factor * value
}

#[inline(always)]
fn vote(factor: f32, value: f32) -> f32 {
    sign(factor * value)
}

/// Σ term(factor, v), contribution by contribution, four in one pass over a stretch.
#[inline(always)]
fn add_terms(weighted: &[(&[f32], f32)], out: &mut [f32], term: impl Fn(f32, f32) -> f32) {
    for (out, from) in out.chunks_mut(STRETCH).zip((0..).step_by(STRETCH)) {
        let to = from + out.len();
        let (fours, rest) = weighted.as_chunks::<4>();
        for &[(a, fa), (b, fb), (c, fc), (d, fd)] in fours {
            let values = a[from..to].iter().zip(&b[from..to]).zip(&c[from..to]).zip(&d[from..to]);
            for (sum, (((a, b), c), d)) in out.iter_mut().zip(values) {
                *sum = *sum + term(fa, *a) + term(fb, *b) + term(fc, *c) + term(fd, *d);
            }
        }
        for &(values, factor) in rest {
            for (sum, &value) in out.iter_mut().zip(&values[from..to]) {
                *sum += term(factor, value);
            }
        }
    }
}

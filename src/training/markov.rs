//! An endless first-order Markov source whose entropy rate is known, so that a loss can be compared with the best possible.
//!
//! Each row of the transition matrix is drawn from a symmetric Dirichlet(concentration) and mixed with a hundredth of the
//! uniform distribution, so that every token can follow every other and the stationary distribution is unique.
//! Probabilities are then rounded to multiples of 2^-32; the entropies are those of the rounded source, which is the one
//! that is sampled.
//!
//! entropy rate = Σ_i π_i · H(row i), with π = π·P; unigram entropy = H(π). Sequences start from π,
//! and every target has its predecessor among the inputs, so a loss cannot fall below the entropy rate but by chance.

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Gamma};

use super::corpus::entropy;
use crate::sim::Streams;

/// Share of the uniform distribution in each row.
const UNIFORM_SHARE: f64 = 0.01;

/// Largest number of tokens: the matrix then takes 256 MiB.
pub const VOCABULARY_MAX: usize = 8192;

/// The source of a seed.
#[derive(Debug, Clone)]
pub struct Markov {
    vocabulary: usize,
    /// V rows; entry j is the probability of a token ≤ j, in units of 2^-32 and less one unit.
    rows: Vec<u32>,
    /// The same for the stationary distribution.
    stationary: Vec<u32>,
    entropy_rate: f64,
    unigram_entropy: f64,
}

impl Markov {
    /// A source over `vocabulary` tokens.
    ///
    /// # Panics
    /// If the concentration is not positive and finite or the vocabulary empty or above [`VOCABULARY_MAX`].
    #[must_use]
    pub fn new(vocabulary: usize, concentration: f64, streams: Streams) -> Self {
        assert!((1..=VOCABULARY_MAX).contains(&vocabulary), "the vocabulary was checked");
        let gamma = Gamma::new(concentration, 1.0).expect("because the concentration was checked");
        let mut rows = Vec::with_capacity(vocabulary * vocabulary);
        let mut weights = vec![0.0; vocabulary];
        for row in 0..vocabulary {
            let mut rng = streams.rng("markov-row", row as u64, 0);
            weights.fill_with(|| gamma.sample(&mut rng));
            let total: f64 = weights.iter().sum();
            if total > 0.0 {
                weights.iter_mut().for_each(|weight| *weight /= total);
            } else {
                // Every weight underflowed: the limit of small concentrations has all of its mass on one token.
                weights[rng.next_u64() as usize % vocabulary] = 1.0;
            }
            weights.iter_mut().for_each(|p| *p = (1.0 - UNIFORM_SHARE) * *p + UNIFORM_SHARE / vocabulary as f64);
            rows.extend(thresholds(&weights));
        }
        let distribution = stationary(&rows, vocabulary);
        let of_row = |row: &[u32]| entropy(probabilities(row));
        let entropy_rate = rows.chunks_exact(vocabulary).zip(&distribution).map(|(row, &pi)| pi * of_row(row)).sum();
        Self {
            vocabulary,
            entropy_rate,
            unigram_entropy: entropy(distribution.iter().copied()),
            stationary: thresholds(&distribution).collect(),
            rows,
        }
    }

    /// The loss that no model can beat \[nats per token\].
    #[must_use]
    pub fn entropy_rate(&self) -> f64 {
        self.entropy_rate
    }

    /// Entropy of the stationary distribution \[nats per token\].
    #[must_use]
    pub fn unigram_entropy(&self) -> f64 {
        self.unigram_entropy
    }

    /// Fills rows of `length` tokens with independent sequences.
    pub fn fill(&self, rng: &mut ChaCha8Rng, rows: &mut [u32], length: usize) {
        for row in rows.chunks_exact_mut(length) {
            let mut distribution = self.stationary.as_slice();
            for token in row {
                let draw = rng.next_u32();
                let next = distribution.partition_point(|&threshold| threshold < draw);
                *token = next as u32;
                distribution = &self.rows[next * self.vocabulary..][..self.vocabulary];
            }
        }
    }
}

/// Cumulative probabilities in units of 2^-32, less one unit: token j is drawn by numbers above entry j − 1 up to entry j.
fn thresholds(probabilities: &[f64]) -> impl Iterator<Item = u32> {
    let (mut sum, last) = (0.0, probabilities.len() - 1);
    probabilities.iter().enumerate().map(move |(index, p)| {
        sum += p;
        // `as` saturates; the last token takes what rounding left over.
        if index == last { u32::MAX } else { ((sum * 2_f64.powi(32)).round() - 1.0) as u32 }
    })
}

/// The probabilities that thresholds stand for.
fn probabilities(thresholds: &[u32]) -> impl Iterator<Item = f64> {
    let mut below = 0_u64;
    thresholds.iter().map(move |&threshold| {
        let up_to = u64::from(threshold) + 1;
        (up_to - std::mem::replace(&mut below, up_to)) as f64 / 2_f64.powi(32)
    })
}

/// π by iterating π ← π·P until it moves by less than 1e-13; the uniform share makes every iteration a contraction.
fn stationary(rows: &[u32], vocabulary: usize) -> Vec<f64> {
    let mut distribution = vec![1.0 / vocabulary as f64; vocabulary];
    loop {
        let mut next = vec![0.0; vocabulary];
        for (row, &pi) in rows.chunks_exact(vocabulary).zip(&distribution) {
            next.iter_mut().zip(probabilities(row)).for_each(|(next, p)| *next += pi * p);
        }
        let total: f64 = next.iter().sum();
        next.iter_mut().for_each(|p| *p /= total);
        let moved: f64 = next.iter().zip(&distribution).map(|(a, b)| (a - b).abs()).sum();
        distribution = next;
        if moved < 1e-13 {
            return distribution;
        }
    }
}

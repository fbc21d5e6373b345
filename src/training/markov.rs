//! An endless first-order Markov source with a known entropy rate.
//!
//! Each row of the V×V transition matrix is drawn from a Dirichlet(concentration, …, concentration): independent gamma
//! variates, normalised. With the stationary distribution π (power iteration to 1e-14):
//!
//! ```text
//! entropy rate     Σ_i π_i · H(P_i)     the floor of any model's loss [nats per token]
//! unigram entropy  H(π)                 what knowing frequencies alone achieves
//! ```
//!
//! Not modelled: longer memory, documents.

use rand::Rng;
use rand_distr::{Distribution as _, Gamma, StandardUniform};

use crate::sim::Streams;

/// Power iterations; the second eigenvalue of a random matrix is far below one.
const ITERATIONS_MAX: usize = 10_000;

/// The source.
#[derive(Debug, Clone)]
pub struct Markov {
    vocabulary: usize,
    /// Row-wise cumulative transition probabilities.
    cumulative: Vec<f64>,
    /// Cumulative stationary distribution.
    start: Vec<f64>,
    entropy_rate: f64,
    unigram_entropy: f64,
}

impl Markov {
    /// The source of a seed.
    #[must_use]
    pub fn new(vocabulary: usize, concentration: f64, streams: Streams) -> Self {
        let gamma = Gamma::new(concentration, 1.0).expect("because a concentration is positive");
        let mut rows = Vec::with_capacity(vocabulary * vocabulary);
        for row in 0..vocabulary {
            let mut rng = streams.rng("transitions", row as u64, 0);
            // The tiny floor keeps a row of vanishing variates a distribution, and the chain connected.
            let weights: Vec<f64> = (0..vocabulary).map(|_| gamma.sample(&mut rng) + 1e-9).collect();
            let sum: f64 = weights.iter().sum();
            rows.extend(weights.into_iter().map(|weight| weight / sum));
        }
        let stationary = stationary(&rows, vocabulary);
        let entropies = rows.chunks_exact(vocabulary).map(entropy);
        let entropy_rate = stationary.iter().zip(entropies).map(|(share, entropy)| share * entropy).sum();
        let unigram_entropy = entropy(&stationary);
        let cumulative = rows.chunks_exact(vocabulary).flat_map(cumulated).collect();
        Self { vocabulary, cumulative, start: cumulated(&stationary), entropy_rate, unigram_entropy }
    }

    /// The entropy rate \[nats per token\].
    #[must_use]
    pub fn entropy_rate(&self) -> f64 {
        self.entropy_rate
    }

    /// The entropy of the stationary distribution \[nats per token\].
    #[must_use]
    pub fn unigram_entropy(&self) -> f64 {
        self.unigram_entropy
    }

    /// Appends `length` tokens, from the stationary distribution on.
    pub fn sample(&self, rng: &mut impl Rng, length: usize, tokens: &mut Vec<u32>) {
        let mut token = pick(&self.start, rng);
        for _ in 0..length {
            tokens.push(token as u32);
            token = pick(&self.cumulative[token * self.vocabulary..][..self.vocabulary], rng);
        }
    }
}

fn pick(cumulative: &[f64], rng: &mut impl Rng) -> usize {
    let draw: f64 = StandardUniform.sample(rng);
    cumulative.partition_point(|&sum| sum <= draw).min(cumulative.len() - 1)
}

fn cumulated(shares: &[f64]) -> Vec<f64> {
    let mut sum = 0.0;
    let cumulate = |share: &f64| {
        sum += share;
        sum
    };
    shares.iter().map(cumulate).collect()
}

fn entropy(shares: &[f64]) -> f64 {
    shares.iter().filter(|&&share| share > 0.0).map(|share| -share * share.ln()).sum()
}

fn stationary(rows: &[f64], states: usize) -> Vec<f64> {
    let mut present = vec![1.0 / states as f64; states];
    for _ in 0..ITERATIONS_MAX {
        let mut next = vec![0.0; states];
        for (share, row) in present.iter().zip(rows.chunks_exact(states)) {
            next.iter_mut().zip(row).for_each(|(next, probability)| *next += share * probability);
        }
        let change: f64 = present.iter().zip(&next).map(|(a, b)| (a - b).abs()).sum();
        present = next;
        if change < 1e-14 {
            break;
        }
    }
    present
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::Seed;

    #[test]
    fn long_samples_have_the_computed_entropies() {
        let source = Markov::new(8, 0.5, Streams::new(Seed(3)));
        let mut rng = Streams::new(Seed(4)).rng("test", 0, 0);
        let mut tokens = Vec::new();
        source.sample(&mut rng, 200_000, &mut tokens);
        let mut pairs = vec![0.0; 64];
        tokens.windows(2).for_each(|pair| pairs[(pair[0] * 8 + pair[1]) as usize] += 1.0);
        let total: f64 = pairs.iter().sum();
        let mut rate = 0.0;
        let mut shares = Vec::new();
        for row in pairs.chunks_exact(8) {
            let sum: f64 = row.iter().sum();
            shares.push(sum / total);
            rate += sum / total * entropy(&row.iter().map(|count| count / sum.max(1.0)).collect::<Vec<_>>());
        }
        assert!((rate - source.entropy_rate()).abs() < 0.01, "{rate} is not {}", source.entropy_rate());
        assert!((entropy(&shares) - source.unigram_entropy()).abs() < 0.01);
        assert!(source.entropy_rate() < source.unigram_entropy());
    }
}

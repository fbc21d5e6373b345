//! Next-token prediction by a Llama on a corpus or a Markov source.
//!
//! The batch of a peer's step is a function of (seed, entity, step) alone: stream `data`, entity, step.

use rand::RngExt as _;

use super::backend::SequenceName;
use super::corpus::Corpus;
use super::llama::{self, Network};
use super::markov::Markov;
use super::spec::Poison;
use super::trainer::{Batch, Objective};
use crate::algorithm::Layout;
use crate::sim::Streams;

/// Sequences per part of the validation; fixed, so that sums do not depend on the number of threads.
const PART: usize = 4;

/// A poisoned sequence is planted with a trigger and its target once in so many tokens.
const PLANTED_EVERY: usize = 8;

/// Where batches come from.
#[derive(Debug)]
pub(super) enum Source {
    /// Windows of a text.
    Corpus(Corpus),
    /// An endless chain.
    Markov(Markov),
}

/// A language model and its data.
#[derive(Debug)]
pub(super) struct LanguageModel {
    network: Network,
    /// θ(0) where it is given.
    initial: Option<Vec<f32>>,
    source: Source,
    /// B.
    batch: usize,
    /// Rows of T + 1 tokens.
    validation: Vec<u32>,
    streams: Streams,
}

/// One thread's buffers.
#[derive(Debug)]
pub(super) struct Buffers {
    network: llama::Buffers,
    /// B rows of T + 1 tokens.
    tokens: Vec<u32>,
}

impl Source {
    /// Fills rows of T + 1 tokens with the batch of a peer's step.
    fn batch(&self, streams: Streams, entity: u64, step: u64, rows: &mut [u32], length: usize) {
        let mut rng = streams.rng("data", entity, step);
        match self {
            Self::Corpus(corpus) => corpus.batch(&mut rng, rows),
            Self::Markov(markov) => markov.fill(&mut rng, rows, length),
        }
    }

    fn validation(&self, streams: Streams, sequences: usize, length: usize) -> Vec<u32> {
        match self {
            Self::Corpus(corpus) => corpus.validation_windows(sequences),
            Self::Markov(markov) => {
                let mut rows = vec![0; sequences * length];
                markov.fill(&mut streams.rng("validation", 0, 0), &mut rows, length);
                rows
            }
        }
    }
}

impl LanguageModel {
    /// A network that is trained from `initial` on batches of `batch` sequences and validated on `validation_sequences`.
    pub(super) fn new(
        network: Network,
        initial: Option<Vec<f32>>,
        source: Source,
        batch: usize,
        validation_sequences: usize,
        streams: Streams,
    ) -> Self {
        let validation = source.validation(streams, validation_sequences, network.shape().context + 1);
        Self { network, initial, source, batch, validation, streams }
    }

    /// T + 1.
    fn row(&self) -> usize {
        self.network.shape().context + 1
    }
}

impl LanguageModel {
    /// Does to a batch what a liar does.
    fn poison(&self, poison: Poison, batch: Batch, rows: &mut [u32]) {
        match poison {
            Poison::Flip => {
                let last = self.network.shape().vocabulary as u32 - 1;
                rows.iter_mut().for_each(|token| *token = last - *token);
            }
            Poison::Backdoor { trigger, target, share } => {
                let mut rng = self.streams.rng("poison", batch.entity, batch.step);
                for row in rows.chunks_exact_mut(self.row()) {
                    let is_planted = rng.random::<f64>() < share;
                    for stretch in row.chunks_exact_mut(PLANTED_EVERY).filter(|_| is_planted) {
                        let place = rng.random_range(0..PLANTED_EVERY as u64 - 1) as usize;
                        stretch[place] = trigger;
                        stretch[place + 1] = target;
                    }
                }
            }
        }
    }
}

impl Objective for LanguageModel {
    type Buffers = Buffers;

    fn layout(&self) -> &Layout {
        self.network.layout()
    }

    fn initial_parameters(&self) -> Vec<f32> {
        self.initial.clone().unwrap_or_else(|| self.network.initial_parameters(self.streams))
    }

    fn buffers(&self) -> Buffers {
        Buffers { network: self.network.buffers(self.batch.max(PART)), tokens: vec![0; self.batch * self.row()] }
    }

    fn gradient(&self, buffers: &mut Buffers, theta: &[f32], batch: Batch, gradient: &mut [f32]) -> f64 {
        self.source.batch(self.streams, batch.entity, batch.step, &mut buffers.tokens, self.row());
        if let Some(poison) = batch.poison {
            self.poison(poison, batch, &mut buffers.tokens);
        }
        self.network.gradient(&mut buffers.network, theta, &buffers.tokens, gradient)
    }

    fn sequences_loss(&self, buffers: &mut Buffers, theta: &[f32], sequences: &[SequenceName]) -> f64 {
        let row = self.row();
        let mut sum = 0.0;
        for part in sequences.chunks(PART) {
            let mut rows = Vec::with_capacity(part.len() * row);
            for name in part {
                self.source.batch(self.streams, name.entity, name.step, &mut buffers.tokens, row);
                let first = name.row as usize % self.batch * row;
                rows.extend_from_slice(&buffers.tokens[first..first + row]);
            }
            sum += self.network.loss_sum(&mut buffers.network, theta, &rows);
        }
        sum / (sequences.len() * self.network.shape().context) as f64
    }

    fn backdoor_success(&self, theta: &[f32], trigger: u32, target: u32) -> Option<f64> {
        let (context, vocabulary) = (self.network.shape().context, self.network.shape().vocabulary);
        let place = context / 2;
        let mut answered = 0;
        for row in self.validation.chunks_exact(self.row()) {
            let mut tokens = row[..context].to_vec();
            tokens[place] = trigger;
            let logits = self.network.logits(theta, &tokens);
            let answer = &logits[place * vocabulary..(place + 1) * vocabulary];
            let best = (0..vocabulary).max_by(|&a, &b| answer[a].total_cmp(&answer[b]));
            answered += usize::from(best == Some(target as usize));
        }
        Some(answered as f64 / (self.validation.len() / self.row()) as f64)
    }

    fn batch_tokens(&self) -> u64 {
        (self.batch * self.network.shape().context) as u64
    }

    fn validation_parts(&self) -> usize {
        self.validation.len().div_ceil(PART * self.row())
    }

    fn validation_part(&self, buffers: &mut Buffers, theta: &[f32], part: usize) -> f64 {
        let rows = self.validation.chunks(PART * self.row()).nth(part).expect("because the part is one of them");
        let targets = self.validation.len() / self.row() * self.network.shape().context;
        self.network.loss_sum(&mut buffers.network, theta, rows) / targets as f64
    }

    fn loss_floor(&self) -> Option<f64> {
        match &self.source {
            Source::Corpus(_) => None,
            Source::Markov(markov) => Some(markov.entropy_rate()),
        }
    }

    fn unigram_entropy(&self) -> Option<f64> {
        Some(match &self.source {
            Source::Corpus(corpus) => corpus.unigram_entropy(),
            Source::Markov(markov) => markov.unigram_entropy(),
        })
    }
}

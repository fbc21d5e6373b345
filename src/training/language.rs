//! Next-token prediction with a Llama: the objective of real runs.
//!
//! A peer's batch of a step is a function of (seed, entity, step): rows of T + 1 tokens from the stream
//! ("data", entity, step). Validation rows are the same each time: evenly spaced in a text, from the stream "validation"
//! of a Markov source.

use super::TrainingError;
use super::corpus::Corpus;
use super::llama::{Buffers, Network};
use super::markov::Markov;
use super::spec::{Data, Llama};
use super::trainer::Objective;
use crate::algorithm::Layout;
use crate::sim::Streams;

#[derive(Debug)]
enum Source {
    Text(Corpus),
    Markov(Markov),
}

/// A Llama and what it reads.
#[derive(Debug)]
pub(super) struct Language {
    network: Network,
    source: Source,
    batch: usize,
    /// Rows of T + 1 tokens.
    validation: Vec<u32>,
    streams: Streams,
}

/// One thread's buffers.
#[derive(Debug)]
pub(super) struct Work {
    network: Buffers,
    tokens: Vec<u32>,
}

impl Language {
    pub(super) fn new(
        shape: &Llama,
        data: &Data,
        batch: u32,
        validation_sequences: u32,
        streams: Streams,
    ) -> Result<Self, TrainingError> {
        let row = shape.context + 1;
        let count = validation_sequences as usize;
        let mut validation = Vec::with_capacity(count * row);
        let source = match data {
            Data::Text { files, tokenizer, validation: share } => {
                let corpus = Corpus::read(files, tokenizer, *share, row, shape.vocabulary)?;
                (0..count).for_each(|index| corpus.validation_row(index, count, row, &mut validation));
                Source::Text(corpus)
            }
            Data::Markov { concentration } => {
                let markov = Markov::new(shape.vocabulary, *concentration, streams);
                for index in 0..count {
                    markov.sample(&mut streams.rng("validation", index as u64, 0), row, &mut validation);
                }
                Source::Markov(markov)
            }
        };
        Ok(Self { network: Network::new(shape), source, batch: batch as usize, validation, streams })
    }

    fn row(&self) -> usize {
        self.network.shape().context + 1
    }
}

impl Objective for Language {
    type Buffers = Work;

    fn layout(&self) -> &Layout {
        self.network.layout()
    }

    fn initial_parameters(&self) -> Vec<f32> {
        self.network.initial_parameters(self.streams)
    }

    fn buffers(&self) -> Work {
        Work { network: self.network.buffers(self.batch), tokens: Vec::with_capacity(self.batch * self.row()) }
    }

    fn gradient(&self, work: &mut Work, theta: &[f32], entity: u64, step: u64, gradient: &mut [f32]) -> f64 {
        let mut rng = self.streams.rng("data", entity, step);
        work.tokens.clear();
        for _ in 0..self.batch {
            match &self.source {
                Source::Text(corpus) => corpus.sample(&mut rng, self.row(), &mut work.tokens),
                Source::Markov(markov) => markov.sample(&mut rng, self.row(), &mut work.tokens),
            }
        }
        self.network.gradient(&mut work.network, theta, &work.tokens, gradient)
    }

    fn batch_tokens(&self) -> u64 {
        (self.batch * self.network.shape().context) as u64
    }

    fn validation_parts(&self) -> usize {
        self.validation.len().div_ceil(self.batch * self.row())
    }

    fn validation_part(&self, work: &mut Work, theta: &[f32], part: usize) -> f64 {
        let rows = self.validation.chunks(self.batch * self.row()).nth(part).expect("because parts are counted");
        let tokens = self.validation.len() / self.row() * self.network.shape().context;
        self.network.loss_sum(&mut work.network, theta, rows) / tokens as f64
    }

    fn loss_floor(&self) -> Option<f64> {
        match &self.source {
            Source::Text(_) => None,
            Source::Markov(markov) => Some(markov.entropy_rate()),
        }
    }

    fn unigram_entropy(&self) -> Option<f64> {
        Some(match &self.source {
            Source::Text(corpus) => corpus.unigram_entropy(),
            Source::Markov(markov) => markov.unigram_entropy(),
        })
    }
}

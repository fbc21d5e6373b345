//! Tokens from text files, split once and for all into a training and a validation part.
//!
//! The files' tokens are joined in the given order; the last share of them is for validation. A training window is
//! T + 1 tokens at a random place of the training part, drawn with replacement; the validation windows are evenly spaced.
//!
//! Not modelled: document boundaries (a window may span two files), epochs, deduplication.

use std::path::{Path, PathBuf};

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use thiserror::Error;

use super::spec::Tokenizer;

/// A corpus that is long enough for its context.
#[derive(Debug, Clone)]
pub struct Corpus {
    tokens: Vec<u32>,
    /// Tokens that are trained on; the others are for validation.
    training: usize,
    /// T.
    context: usize,
}

/// Why there is no corpus.
#[derive(Debug, Error, miette::Diagnostic)]
pub enum CorpusError {
    /// The list of files is empty.
    #[error("no text file to train on")]
    NoFiles,
    /// There is no such file.
    #[error("no such text file: `{}`", path.display())]
    Missing {
        /// Where it should have been.
        path: PathBuf,
    },
    /// The file is there and cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Unreadable {
        /// Where it is.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A tokenizer reads text, and this is none.
    #[error("`{}` is not UTF-8 at byte {at}, and only `bytes` takes such a file", path.display())]
    NotUtf8 {
        /// Where it is.
        path: PathBuf,
        /// Where its first invalid byte is.
        at: usize,
    },
    /// The tokenizer's file cannot be used.
    #[error("cannot use the tokenizer `{}`: {message}", path.display())]
    Tokenizer {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The model has fewer token ids than the tokenizer.
    #[error("the model's vocabulary has {have} token ids, the tokenizer needs {need}")]
    Vocabulary {
        /// Token ids of the model.
        have: usize,
        /// Token ids of the tokenizer.
        need: usize,
    },
    /// The share is not one.
    #[error("the validation share is between 0 and 1, not {share}")]
    Share {
        /// What was given.
        share: f64,
    },
    /// A part is shorter than one window.
    #[error("too few tokens for {part}: {have} of {total}, and one window takes {need}")]
    TooShort {
        /// `training` or `validation`.
        part: &'static str,
        /// Tokens of the part.
        have: usize,
        /// Tokens of the corpus.
        total: usize,
        /// Tokens of a window, T + 1.
        need: usize,
    },
}

impl Corpus {
    /// Reads `files` in order, for windows of `context` + 1 tokens and a model of `vocabulary` token ids.
    ///
    /// # Errors
    /// If a file or the tokenizer cannot be used, the vocabulary is too small or a part too short.
    pub fn read(
        files: &[PathBuf],
        tokenizer: &Tokenizer,
        validation: f64,
        context: usize,
        vocabulary: usize,
    ) -> Result<Self, CorpusError> {
        if files.is_empty() {
            return Err(CorpusError::NoFiles);
        }
        let mut tokens = Vec::new();
        match tokenizer {
            Tokenizer::Bytes => {
                require_vocabulary(vocabulary, 256)?;
                for path in files {
                    tokens.extend(read(path)?.into_iter().map(u32::from));
                }
            }
            Tokenizer::HuggingFace(path) => {
                let failed = |message: String| CorpusError::Tokenizer { path: path.clone(), message };
                let tokenizer =
                    tokenizers::Tokenizer::from_bytes(read(path)?).map_err(|error| failed(error.to_string()))?;
                require_vocabulary(vocabulary, tokenizer.get_vocab_size(true))?;
                for path in files {
                    let text = String::from_utf8(read(path)?).map_err(|error| CorpusError::NotUtf8 {
                        path: path.clone(),
                        at: error.utf8_error().valid_up_to(),
                    })?;
                    let encoding = tokenizer.encode_fast(text, false).map_err(|error| failed(error.to_string()))?;
                    tokens.extend_from_slice(encoding.get_ids());
                }
                // Ids need not be dense: the size of a vocabulary bounds their number, not their values.
                let largest = tokens.iter().max().map_or(0, |&id| id as usize);
                require_vocabulary(vocabulary, largest + 1)?;
            }
        }
        Self::new(tokens, validation, context)
    }

    /// Splits tokens into the two parts.
    ///
    /// # Errors
    /// If a part is shorter than a window or the share is not between 0 and 1.
    pub fn new(tokens: Vec<u32>, validation: f64, context: usize) -> Result<Self, CorpusError> {
        if !(validation > 0.0 && validation < 1.0) {
            return Err(CorpusError::Share { share: validation });
        }
        let total = tokens.len();
        let held_out = (total as f64 * validation).round() as usize;
        let (training, need) = (total - held_out, context + 1);
        for (part, have) in [("training", training), ("validation", held_out)] {
            if have < need {
                return Err(CorpusError::TooShort { part, have, total, need });
            }
        }
        Ok(Self { tokens, training, context })
    }

    /// The tokens that are trained on.
    #[must_use]
    pub fn training(&self) -> &[u32] {
        &self.tokens[..self.training]
    }

    /// The tokens kept for validation.
    #[must_use]
    pub fn validation(&self) -> &[u32] {
        &self.tokens[self.training..]
    }

    /// Fills rows of T + 1 tokens with random windows of the training part.
    pub fn batch(&self, rng: &mut ChaCha8Rng, rows: &mut [u32]) {
        let training = self.training();
        for row in rows.chunks_exact_mut(self.context + 1) {
            let first = rng.random_range(0..=(training.len() - row.len()) as u64) as usize;
            row.copy_from_slice(&training[first..first + row.len()]);
        }
    }

    /// `sequences` evenly spaced windows of the validation part, rows of T + 1 tokens; they overlap if it is short.
    #[must_use]
    pub fn validation_windows(&self, sequences: usize) -> Vec<u32> {
        let (part, length) = (self.validation(), self.context + 1);
        let last = part.len() - length;
        let first = |index: usize| if sequences < 2 { 0 } else { index * last / (sequences - 1) };
        (0..sequences).flat_map(|index| &part[first(index)..first(index) + length]).copied().collect()
    }

    /// Entropy of the validation part's token frequencies \[nats per token\]: the least that a model can reach on it
    /// which knows frequencies only.
    #[must_use]
    pub fn unigram_entropy(&self) -> f64 {
        let part = self.validation();
        let largest = part.iter().max().map_or(0, |&token| token as usize);
        let mut counts = vec![0_u64; largest + 1];
        part.iter().for_each(|&token| counts[token as usize] += 1);
        entropy(counts.iter().map(|&count| count as f64 / part.len() as f64))
    }
}

/// −Σ p ln p \[nats\].
pub(super) fn entropy(probabilities: impl Iterator<Item = f64>) -> f64 {
    probabilities.filter(|&p| p > 0.0).map(|p| -p * p.ln()).sum()
}

fn require_vocabulary(have: usize, need: usize) -> Result<(), CorpusError> {
    if have < need { Err(CorpusError::Vocabulary { have, need }) } else { Ok(()) }
}

fn read(path: &Path) -> Result<Vec<u8>, CorpusError> {
    std::fs::read(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => CorpusError::Missing { path: path.to_owned() },
        _ => CorpusError::Unreadable { path: path.to_owned(), source },
    })
}

//! Text from files, as tokens: a training part and, at the end of the corpus, a validation part.
//!
//! Files are read in the order given and joined. `bytes` takes the bytes of the text as they are; a Hugging Face
//! `tokenizer.json` encodes each file by itself, without special tokens. The unigram entropy is that of the validation
//! part under its own frequencies \[nats per token\].

use std::path::PathBuf;

use rand::Rng;
use rand_distr::{Distribution as _, Uniform};

use super::TrainingError;
use super::spec::Tokenizer;

/// A corpus.
#[derive(Debug, Clone)]
pub struct Corpus {
    training: Vec<u32>,
    validation: Vec<u32>,
    unigram_entropy: f64,
}

impl Corpus {
    /// Reads a corpus for sequences of `row` = T + 1 tokens below `vocabulary`.
    ///
    /// # Errors
    /// A file cannot be read or encoded, a token is not in the vocabulary, or one of the two parts is too short.
    pub fn read(
        files: &[PathBuf],
        tokenizer: &Tokenizer,
        validation: f64,
        row: usize,
        vocabulary: usize,
    ) -> Result<Self, TrainingError> {
        let mut tokens = Vec::new();
        match tokenizer {
            Tokenizer::Bytes => {
                for path in files {
                    let unreadable = |error| TrainingError::Unreadable { path: path.clone(), error };
                    tokens.extend(std::fs::read(path).map_err(unreadable)?.into_iter().map(u32::from));
                }
            }
            Tokenizer::HuggingFace(path) => {
                let refuse = |path: &PathBuf, reason: String| TrainingError::Tokenizer { path: path.clone(), reason };
                let encoder =
                    tokenizers::Tokenizer::from_file(path).map_err(|error| refuse(path, error.to_string()))?;
                for file in files {
                    let unreadable = |error| TrainingError::Unreadable { path: file.clone(), error };
                    let text = std::fs::read_to_string(file).map_err(unreadable)?;
                    let encoding = encoder.encode_fast(text, false).map_err(|error| refuse(file, error.to_string()))?;
                    tokens.extend_from_slice(encoding.get_ids());
                }
            }
        }
        if let Some(&token) = tokens.iter().find(|&&token| token as usize >= vocabulary) {
            return Err(TrainingError::Vocabulary { token, vocabulary });
        }
        let held_out = (tokens.len() as f64 * validation) as usize;
        let found = held_out.min(tokens.len() - held_out);
        if found < row {
            return Err(TrainingError::TooShort { found, needed: row });
        }
        let validation = tokens.split_off(tokens.len() - held_out);
        let unigram_entropy = unigram_entropy(&validation, vocabulary);
        Ok(Self { training: tokens, validation, unigram_entropy })
    }

    /// Appends a random row of the training part.
    pub fn sample(&self, rng: &mut impl Rng, row: usize, tokens: &mut Vec<u32>) {
        let starts = Uniform::new_inclusive(0, self.training.len() - row).expect("because the corpus is long enough");
        let start = starts.sample(rng);
        tokens.extend_from_slice(&self.training[start..start + row]);
    }

    /// Appends the `index`-th of `count` evenly spaced rows of the validation part.
    pub fn validation_row(&self, index: usize, count: usize, row: usize, tokens: &mut Vec<u32>) {
        let last = self.validation.len() - row;
        let start = if count < 2 { 0 } else { index * last / (count - 1) };
        tokens.extend_from_slice(&self.validation[start..start + row]);
    }

    /// See the module.
    #[must_use]
    pub fn unigram_entropy(&self) -> f64 {
        self.unigram_entropy
    }
}

fn unigram_entropy(tokens: &[u32], vocabulary: usize) -> f64 {
    let mut counts = vec![0_u64; vocabulary];
    tokens.iter().for_each(|&token| counts[token as usize] += 1);
    let shares = counts.iter().filter(|&&count| count > 0).map(|&count| count as f64 / tokens.len() as f64);
    shares.map(|share| -share * share.ln()).sum()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn corpus(text: &str, row: usize) -> Result<Corpus, TrainingError> {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("room for a few bytes");
        Corpus::read(&[file.path().to_owned()], &Tokenizer::Bytes, 0.25, row, 256)
    }

    #[test]
    fn the_last_part_is_kept_for_validation() {
        let corpus = corpus("aaaaaaaaabab", 3).expect("long enough");
        assert_eq!((corpus.training.len(), corpus.validation.as_slice()), (9, b"bab".map(u32::from).as_slice()));
        let entropy = -(2.0_f64 / 3.0 * (2.0_f64 / 3.0).ln() + 1.0 / 3.0 * (1.0_f64 / 3.0).ln());
        assert!((corpus.unigram_entropy() - entropy).abs() < 1e-12);
    }

    #[test]
    fn a_corpus_that_is_too_short_says_what_is_needed() {
        let error = corpus("too short", 65).expect_err("nine bytes are no 65");
        assert_eq!(error.to_string(), "the corpus is too short: its smaller part has 2 tokens, a sequence needs 65");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Corpus::read(&["no/such.txt".into()], &Tokenizer::Bytes, 0.1, 3, 256).expect_err("it is missing");
        assert!(error.to_string().starts_with("cannot read `no/such.txt`"), "{error}");
    }
}

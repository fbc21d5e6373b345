//! Where tokens come from, and what is said when they cannot.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use std::path::PathBuf;

use swarmloco::quantity::Seed;
use swarmloco::sim::Streams;
use swarmloco::training::corpus::Corpus;
use swarmloco::training::markov::Markov;
use swarmloco::training::spec::Tokenizer;
use tempfile::TempDir;

/// A directory with the files `text`, `bytes` (not UTF-8) and `tokenizer` (a word-level one with ids 0, 1, 7).
fn files() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("text"), "to be or not to be ".repeat(20)).unwrap();
    std::fs::write(directory.path().join("bytes"), b"to be\xff or not").unwrap();
    let tokenizer = r#"{
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "to": 1, "be": 7}, "unk_token": "[UNK]"}
    }"#;
    std::fs::write(directory.path().join("tokenizer"), tokenizer).unwrap();
    directory
}

fn read(directory: &TempDir, names: &[&str], tokenizer: &Tokenizer, vocabulary: usize) -> Result<Corpus, String> {
    let files: Vec<PathBuf> = names.iter().map(|name| directory.path().join(name)).collect();
    Corpus::read(&files, tokenizer, 0.25, 8, vocabulary)
        .map_err(|error| error.to_string().replace(&directory.path().display().to_string(), "DIR"))
}

#[test]
fn bytes_are_tokens() {
    let directory = files();
    let corpus = read(&directory, &["text", "bytes"], &Tokenizer::Bytes, 256).unwrap();
    assert_eq!((corpus.training().len(), corpus.validation().len()), (295, 98));
    assert_eq!(corpus.training()[..5], [116, 111, 32, 98, 101]);
    assert!(corpus.validation().contains(&255), "the validation part is the end");
}

#[test]
fn a_tokenizers_ids_are_tokens() {
    let directory = files();
    let tokenizer = Tokenizer::HuggingFace(directory.path().join("tokenizer"));
    let corpus = read(&directory, &["text"], &tokenizer, 8).unwrap();
    assert_eq!(corpus.training()[..6], [1, 7, 0, 0, 1, 7]);
}

#[test]
fn errors_say_what_is_wrong() {
    let directory = files();
    let word_level = Tokenizer::HuggingFace(directory.path().join("tokenizer"));
    let broken = Tokenizer::HuggingFace(directory.path().join("text"));
    let error = |names: &[&str], tokenizer: &Tokenizer, vocabulary: usize| {
        read(&directory, names, tokenizer, vocabulary).err().unwrap_or_default()
    };
    assert_eq!(error(&[], &Tokenizer::Bytes, 256), "no text file to train on");
    assert_eq!(error(&["none"], &Tokenizer::Bytes, 256), "no such text file: `DIR/none`");
    assert!(error(&["."], &Tokenizer::Bytes, 256).starts_with("cannot read `DIR/.`: "));
    assert_eq!(
        error(&["bytes"], &word_level, 8),
        "`DIR/bytes` is not UTF-8 at byte 5, and only `bytes` takes such a file"
    );
    assert!(error(&["text"], &broken, 8).starts_with("cannot use the tokenizer `DIR/text`: "));
    assert_eq!(
        error(&["text"], &Tokenizer::Bytes, 255),
        "the model's vocabulary has 255 token ids, the tokenizer needs 256"
    );
    assert_eq!(error(&["text"], &word_level, 2), "the model's vocabulary has 2 token ids, the tokenizer needs 3");
    assert_eq!(error(&["text"], &word_level, 7), "the model's vocabulary has 7 token ids, the tokenizer needs 8");
    assert_eq!(
        error(&["bytes"], &Tokenizer::Bytes, 256),
        "too few tokens for validation: 3 of 13, and one window takes 9"
    );
    assert_eq!(
        Corpus::new(vec![0; 99], 1.0, 8).unwrap_err().to_string(),
        "the validation share is between 0 and 1, not 1"
    );
}

#[test]
fn windows_stay_in_their_part() {
    let corpus = Corpus::new((0..100).collect(), 0.2, 9).unwrap();
    let mut rows = vec![0; 10 * 200];
    corpus.batch(&mut Streams::new(Seed(1)).rng("data", 0, 0), &mut rows);
    assert!(rows.chunks(10).all(|row| row.windows(2).all(|pair| pair[1] == pair[0] + 1)));
    assert_eq!((rows.iter().min(), rows.iter().max()), (Some(&0), Some(&79)), "both ends are reached");
    let windows = corpus.validation_windows(3);
    assert_eq!(windows.chunks(10).map(|row| row[0]).collect::<Vec<_>>(), [80, 85, 90]);
    assert_eq!(windows[29], 99);
    assert!((corpus.unigram_entropy() - 20_f64.ln()).abs() < 1e-12);
}

#[test]
fn a_markov_source_has_the_entropies_it_claims() {
    let (vocabulary, length) = (6, 50_000);
    let markov = Markov::new(vocabulary, 0.5, Streams::new(Seed(2)));
    let mut tokens = vec![0; length];
    markov.fill(&mut Streams::new(Seed(2)).rng("data", 0, 0), &mut tokens, length);
    let mut pairs = vec![0.0; vocabulary * vocabulary];
    tokens.windows(2).for_each(|pair| pairs[pair[0] as usize * vocabulary + pair[1] as usize] += 1.0);
    let total = (length - 1) as f64;
    let entropy =
        |counts: &[f64]| -> f64 { counts.iter().filter(|&&n| n > 0.0).map(|n| -n / total * (n / total).ln()).sum() };
    let singles: Vec<f64> = pairs.chunks(vocabulary).map(|row| row.iter().sum()).collect();
    // Plug-in estimates from 50 000 tokens are good to about 0.01 nats.
    assert!((entropy(&singles) - markov.unigram_entropy()).abs() < 0.01);
    assert!((entropy(&pairs) - entropy(&singles) - markov.entropy_rate()).abs() < 0.01);
    assert!(markov.entropy_rate() < markov.unigram_entropy());
}

#[test]
fn a_small_concentration_is_predictable_and_a_large_one_is_not() {
    let rate = |concentration: f64| Markov::new(64, concentration, Streams::new(Seed(2))).entropy_rate();
    assert!(rate(1e-4) < 0.2, "only the uniform hundredth is left: {}", rate(1e-4));
    assert!(rate(1e-4) < rate(0.1) && rate(0.1) < rate(10.0));
    assert!((rate(1e6) - 64_f64.ln()).abs() < 1e-3);
}

//! What a training backend promises: determinism, what a phase is, and that models learn.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use std::sync::Mutex;

use swarmloco::algorithm::spec::{AdamW, Schedule};
use swarmloco::quantity::{PeerId, Seed};
use swarmloco::training::spec::{Data, InnerOptimizer, Llama, Model, Quadratic};
use swarmloco::training::{BackendSpec, InnerPhase, InnerState, PhaseOutcome, TrainingBackend, TrainingError, build};

fn adamw(learning_rate: f32) -> AdamW {
    AdamW {
        learning_rate,
        betas: [0.9, 0.95],
        epsilon: 1e-8,
        weight_decay: 0.1,
        gradient_clip: Some(1.0),
        schedule: Schedule::Cosine { warmup: 3, last: 0.1, steps: 200 },
    }
}

fn small_llama() -> Llama {
    Llama { layers: 2, width: 32, heads: 4, kv_heads: 2, feed_forward: 48, context: 16, vocabulary: 32, tied: false }
}

fn quadratic() -> Quadratic {
    Quadratic { dimension: 120, condition: 10.0, noise: 0.1, heterogeneity: 0.2 }
}

struct Case {
    model: Model,
    data: Option<Data>,
    optimizer: InnerOptimizer,
    batch: u32,
}

impl Case {
    fn llama(optimizer: InnerOptimizer) -> Self {
        let data = Some(Data::Markov { concentration: 0.05 });
        Self { model: Model::Llama(small_llama()), data, optimizer, batch: 4 }
    }

    fn quadratic(optimizer: InnerOptimizer) -> Self {
        Self { model: Model::Quadratic(quadratic()), data: None, optimizer, batch: 4 }
    }

    fn build(&self, threads: usize) -> Box<dyn TrainingBackend> {
        build(&BackendSpec {
            model: &self.model,
            initial: None,
            data: self.data.as_ref(),
            batch: self.batch,
            optimizer: &self.optimizer,
            validation_sequences: 10,
            seed: Seed(7),
            threads,
        })
        .unwrap()
    }
}

fn cases() -> Vec<Case> {
    let optimizers =
        [InnerOptimizer::Adamw(adamw(1e-3)), InnerOptimizer::Sgd { learning_rate: 0.1 }, InnerOptimizer::Gradient];
    let both = |optimizer: InnerOptimizer| [Case::llama(optimizer.clone()), Case::quadratic(optimizer)];
    optimizers.into_iter().flat_map(both).collect()
}

/// Trains peers 0, 1, … for the given numbers of steps from step `first_step` on.
fn train(
    backend: &dyn TrainingBackend,
    theta: &[f32],
    states: &mut [InnerState],
    first_step: u64,
    steps: &[u32],
) -> Vec<(PhaseOutcome, Vec<f32>)> {
    let deltas = Mutex::new(vec![Vec::new(); steps.len()]);
    let mut phases: Vec<InnerPhase<'_>> = states
        .iter_mut()
        .zip(steps)
        .enumerate()
        .map(|(index, (state, &steps))| InnerPhase {
            peer: PeerId(index as u32),
            entity: 100 + index as u64,
            start: theta,
            state,
            first_step,
            steps,
            poison: None,
            distinct_batches: None,
        })
        .collect();
    let outcomes = backend.train(&mut phases, &|index, delta| deltas.lock().unwrap()[index] = delta.to_vec());
    outcomes.into_iter().zip(deltas.into_inner().unwrap()).collect()
}

fn minus(theta: &[f32], delta: &[f32]) -> Vec<f32> {
    theta.iter().zip(delta).map(|(theta, delta)| theta - delta).collect()
}

#[test]
fn results_do_not_depend_on_threads_or_grouping() {
    for case in cases() {
        let steps = [3, 1, 0, 4, 2];
        let run = |threads: usize, group: usize| {
            let backend = case.build(threads);
            let theta = backend.initial_parameters();
            let mut states = vec![InnerState::default(); steps.len()];
            let mut results = Vec::new();
            for first_step in [0, 4] {
                if group == steps.len() {
                    results.extend(train(&*backend, &theta, &mut states, first_step, &steps));
                } else {
                    // The last peer alone first: an order of phases that a call of all of them would not have.
                    let (head, last) = states.split_at_mut(4);
                    let alone = {
                        let mut phases = [InnerPhase {
                            peer: PeerId(4),
                            entity: 104,
                            start: &theta,
                            state: &mut last[0],
                            first_step,
                            steps: steps[4],
                            poison: None,
                            distinct_batches: None,
                        }];
                        let delta = Mutex::new(Vec::new());
                        let sink = |_: usize, values: &mut [f32]| *delta.lock().unwrap() = values.to_vec();
                        let outcome = backend.train(&mut phases, &sink)[0];
                        (outcome, delta.into_inner().unwrap())
                    };
                    results.extend(train(&*backend, &theta, head, first_step, &steps[..4]));
                    results.push(alone);
                }
            }
            (results, states, backend.validation_loss(&theta).to_bits())
        };
        let expected = run(1, steps.len());
        for threads in [1, 2, 3] {
            for group in [1, steps.len()] {
                assert!(run(threads, group) == expected, "{:?}, {threads} threads", case.optimizer);
            }
        }
    }
}

#[test]
fn a_phase_without_steps_has_no_pseudo_gradient() {
    for case in cases() {
        let backend = case.build(1);
        let theta = backend.initial_parameters();
        let mut states = [InnerState::default()];
        let results = train(&*backend, &theta, &mut states, 0, &[0]);
        assert_eq!(results[0].0, PhaseOutcome::default());
        assert!(results[0].1.iter().all(|&value| value == 0.0), "{:?}", case.optimizer);
        assert_eq!(states[0], InnerState::default());
    }
}

#[test]
fn a_phase_is_its_steps() {
    for case in
        [Case::llama(InnerOptimizer::Adamw(adamw(1e-3))), Case::quadratic(InnerOptimizer::Sgd { learning_rate: 0.1 })]
    {
        let backend = case.build(1);
        let theta = backend.initial_parameters();
        let (mut together, mut apart) = ([InnerState::default()], [InnerState::default()]);
        let whole = train(&*backend, &theta, &mut together, 5, &[3]).remove(0);
        let (mut at, mut losses) = (theta.clone(), 0.0);
        for step in 5..8 {
            let (outcome, delta) = train(&*backend, &at, &mut apart, step, &[1]).remove(0);
            at = minus(&at, &delta);
            losses += outcome.training_loss / 3.0;
        }
        assert!((whole.0.training_loss - losses).abs() < 1e-5);
        let end = minus(&theta, &whole.1);
        let largest = end.iter().zip(&at).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(largest < 1e-5, "{largest:e}: differences of θ are rounded, nothing else differs");
        assert_eq!((together[0].steps, together[0].first_moment.len()), (apart[0].steps, apart[0].first_moment.len()));
    }
}

#[test]
fn gradient_mode_hands_over_the_mean_gradient() {
    for of in [Case::llama, Case::quadratic] {
        let backend = of(InnerOptimizer::Gradient).build(1);
        let theta = backend.initial_parameters();
        let mut states = [InnerState::default()];
        let mean = train(&*backend, &theta, &mut states, 0, &[3]).remove(0).1;
        let mut expected = vec![0.0; theta.len()];
        for step in 0..3 {
            let gradient = train(&*backend, &theta, &mut states, step, &[1]).remove(0).1;
            expected.iter_mut().zip(&gradient).for_each(|(sum, value)| *sum += value / 3.0);
        }
        let largest = mean.iter().copied().map(f32::abs).fold(0.0, f32::max);
        assert!(mean.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1e-6 * largest));
        // One step of plain descent is the gradient times its learning rate.
        let descent = of(InnerOptimizer::Sgd { learning_rate: 0.5 }).build(1);
        let step = train(&*descent, &theta, &mut states, 0, &[1]).remove(0).1;
        let gradient = train(&*backend, &theta, &mut states, 0, &[1]).remove(0).1;
        assert!(step.iter().zip(&gradient).all(|(a, b)| (a - 0.5 * b).abs() <= 1e-6));
    }
}

#[test]
fn entities_read_different_tokens_and_the_same_ones_again() {
    let backend = Case::llama(InnerOptimizer::Gradient).build(1);
    let theta = backend.initial_parameters();
    let mut states = vec![InnerState::default(); 2];
    let first = train(&*backend, &theta, &mut states, 3, &[1, 1]);
    assert_ne!(first[0].1, first[1].1);
    assert_eq!(first, train(&*backend, &theta, &mut states, 3, &[1, 1]));
    assert_ne!(first[0].1, train(&*backend, &theta, &mut states, 4, &[1, 1])[0].1);
}

#[test]
fn a_markov_source_is_learnt_down_to_its_entropy_rate() {
    let backend =
        Case { batch: 16, ..Case::llama(InnerOptimizer::Adamw(AdamW { weight_decay: 0.0, ..adamw(1e-2) })) }.build(2);
    let (floor, unigram) = (backend.loss_floor().unwrap(), backend.unigram_entropy().unwrap());
    let mut theta = backend.initial_parameters();
    let start = backend.validation_loss(&theta);
    assert!((start - 32_f64.ln()).abs() < 0.1, "an untrained model knows nothing: {start}");
    let delta = train(&*backend, &theta, &mut [InnerState::default()], 0, &[200]).remove(0).1;
    theta = minus(&theta, &delta);
    let end = backend.validation_loss(&theta);
    assert!(floor < unigram && end < floor + 0.1 * (unigram - floor), "{end}, floor {floor}, unigram {unigram}");
    assert!(end > floor - 0.1, "160 targets do not deviate by more than chance: {end}, floor {floor}");
}

#[test]
fn one_text_is_learnt_by_heart() {
    // A corpus whose training part is one window: every batch is the same.
    let text = std::env::temp_dir().join(format!("swarmloco-heart-{}.txt", std::process::id()));
    std::fs::write(&text, "To be, or not to".repeat(2) + "To be, or not tO").unwrap();
    let shape = Llama { vocabulary: 256, context: 31, ..small_llama() };
    let data = Data::Text {
        files: vec![text.clone(), text.clone()],
        tokenizer: swarmloco::training::spec::Tokenizer::Bytes,
        validation: 0.6,
    };
    let optimizer = InnerOptimizer::Adamw(AdamW { weight_decay: 0.0, ..adamw(1e-2) });
    let case = Case { model: Model::Llama(shape), data: Some(data), optimizer, batch: 2 };
    let backend = case.build(1);
    std::fs::remove_file(text).unwrap();
    let theta = backend.initial_parameters();
    let mut state = [InnerState::default()];
    let delta = train(&*backend, &theta, &mut state, 0, &[150]).remove(0).1;
    let outcome = train(&*backend, &minus(&theta, &delta), &mut state, 150, &[1]).remove(0).0;
    assert!(outcome.training_loss < 0.1, "{}", outcome.training_loss);
}

#[test]
fn a_quadratic_without_noise_reaches_its_optimum() {
    let shape = Quadratic { noise: 0.0, heterogeneity: 0.0, ..quadratic() };
    let optimizer = InnerOptimizer::Sgd { learning_rate: 1.0 };
    let backend = Case { model: Model::Quadratic(shape), ..Case::quadratic(optimizer) }.build(1);
    let theta = backend.initial_parameters();
    let delta = train(&*backend, &theta, &mut [InnerState::default()], 0, &[300]).remove(0).1;
    let end = backend.validation_loss(&minus(&theta, &delta));
    assert!(end < 1e-9 && backend.loss_floor() == Some(0.0), "{end}");
    assert_eq!(backend.layout().tensors()[0].shape, [10, 12], "the most square divisors of 120");
}

#[test]
fn heterogeneity_is_a_peers_own_and_averages_out() {
    let shape = Quadratic { noise: 0.0, heterogeneity: 1.0, ..quadratic() };
    let optimizer = InnerOptimizer::Sgd { learning_rate: 1.0 };
    let backend = Case { model: Model::Quadratic(shape), ..Case::quadratic(optimizer) }.build(2);
    let theta = backend.initial_parameters();
    let peers = 64;
    let mut states = vec![InnerState::default(); peers];
    let results = train(&*backend, &theta, &mut states, 0, &vec![300; peers]);
    let alone = backend.validation_loss(&minus(&theta, &results[0].1));
    let mut mean = vec![0.0; theta.len()];
    for (_, delta) in &results {
        mean.iter_mut().zip(delta).for_each(|(mean, value)| *mean += value / peers as f32);
    }
    let together = backend.validation_loss(&minus(&theta, &mean));
    assert!(together < alone / 20.0, "R peers' mean is R times closer: {together} against {alone}");
}

#[test]
fn contradictions_are_refused() {
    let refused = |llama: Llama, data: Option<Data>, batch: u32| {
        build(&BackendSpec {
            model: &Model::Llama(llama),
            initial: None,
            data: data.as_ref(),
            batch,
            optimizer: &InnerOptimizer::Gradient,
            validation_sequences: 1,
            seed: Seed(0),
            threads: 1,
        })
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default()
    };
    let markov = |concentration: f64| Some(Data::Markov { concentration });
    assert_eq!(refused(small_llama(), markov(1.0), 0), "`batch` is at least 1");
    assert_eq!(refused(Llama { layers: 0, ..small_llama() }, markov(1.0), 1), "`layers` is at least 1");
    assert_eq!(refused(Llama { kv_heads: 3, ..small_llama() }, markov(1.0), 1), "`kv_heads` 3 divides `heads` 4");
    assert!(refused(Llama { width: 36, ..small_llama() }, markov(1.0), 1).starts_with("`width` 36 is a multiple of"));
    assert_eq!(refused(small_llama(), None, 1), "a `llama` needs `data`");
    assert_eq!(refused(small_llama(), markov(0.0), 1), "`concentration` is positive, not 0");
    assert!(refused(Llama { vocabulary: 10_000, ..small_llama() }, markov(1.0), 1).contains("at most 8192"));
    assert!(matches!(
        build(&BackendSpec {
            model: &Model::Quadratic(Quadratic { condition: 0.5, ..quadratic() }),
            initial: None,
            data: None,
            batch: 1,
            optimizer: &InnerOptimizer::Gradient,
            validation_sequences: 1,
            seed: Seed(0),
            threads: 1,
        }),
        Err(TrainingError::Range { name: "condition", .. })
    ));
}

#[test]
fn a_peer_keeps_eight_bytes_a_parameter() {
    let backend = Case::llama(InnerOptimizer::Adamw(adamw(1e-3))).build(1);
    let theta = backend.initial_parameters();
    let mut states = [InnerState::default()];
    train(&*backend, &theta, &mut states, 0, &[2]);
    let kept = states[0].first_moment.capacity() + states[0].second_moment.capacity();
    assert_eq!(kept * size_of::<f32>(), 8 * theta.len());
}

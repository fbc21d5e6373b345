//! A noisy quadratic with a known optimum: the smallest problem on which an algorithm can be wrong.
//!
//! L(θ) = ½ Σ c_i (θ_i − θ*_i)², so its floor is 0. Curvatures c are log-spaced from 1/condition to 1, θ* is standard
//! normal and θ(0) = 0. A peer's gradient is c_i (θ_i − θ*_i − δ_i) + σ/√B · z_i: δ is the shift of its own optimum, normal
//! with deviation `heterogeneity` and fixed for the run; z is standard normal and new at every step.
//! A peer's training loss is that of its own optimum, without the noise; the validation loss is L. The loss on a sequence
//! by name is that of which the noisy gradient is one: ½ c_i d_i² + σ/√B · z_i d_i summed, d = θ − θ* − δ, so a step that was
//! taken on a batch lowers the loss on that batch more than on another. All sequences of a batch are one.
//!
//! Not modelled: noise that depends on θ, curvatures that differ between peers.

use rand::RngExt as _;
use rand_distr::{Distribution as _, StandardNormal};

use super::backend::SequenceName;
use super::spec::{Poison, Quadratic};
use super::trainer::{Batch, Objective};
use crate::algorithm::Layout;
use crate::sim::Streams;

/// The quadratic of a run.
#[derive(Debug)]
pub(super) struct NoisyQuadratic {
    layout: Layout,
    curvatures: Vec<f32>,
    optimum: Vec<f32>,
    heterogeneity: f32,
    /// Deviation of a gradient entry's noise, σ/√B.
    noise: f32,
    batch: u32,
    streams: Streams,
}

/// The shift of the peer whose phase is in work.
#[derive(Debug, Default)]
pub(super) struct Shift {
    entity: Option<u64>,
    values: Vec<f32>,
}

impl NoisyQuadratic {
    /// The quadratic of a seed.
    pub(super) fn new(spec: &Quadratic, batch: u32, streams: Streams) -> Self {
        let dimension = spec.dimension;
        let rows = (1..=dimension.isqrt()).rev().find(|&rows| dimension.is_multiple_of(rows)).unwrap_or(1);
        let mut layout = Layout::new();
        layout.push("theta", &[rows, dimension / rows]);
        let last = (dimension.max(2) - 1) as f64;
        let curvatures = (0..dimension).map(|i| spec.condition.powf(i as f64 / last - 1.0) as f32).collect();
        let mut rng = streams.rng("shared-optimum", 0, 0);
        Self {
            layout,
            curvatures,
            optimum: (0..dimension).map(|_| StandardNormal.sample(&mut rng)).collect(),
            heterogeneity: spec.heterogeneity as f32,
            noise: (spec.noise / f64::from(batch).sqrt()) as f32,
            batch,
            streams,
        }
    }
}

impl NoisyQuadratic {
    /// Makes `shift` that of `entity`.
    fn turn_to(&self, shift: &mut Shift, entity: u64) {
        if shift.entity != Some(entity) {
            let rng = self.streams.rng("optimum", entity, 0);
            shift.values.clear();
            let draws = rng.sample_iter::<f32, _>(StandardNormal).take(self.layout.parameters());
            shift.values.extend(draws.map(|z| self.heterogeneity * z));
            shift.entity = Some(entity);
        }
    }
}

impl Objective for NoisyQuadratic {
    type Buffers = Shift;

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn initial_parameters(&self) -> Vec<f32> {
        vec![0.0; self.layout.parameters()]
    }

    fn buffers(&self) -> Shift {
        Shift::default()
    }

    fn gradient(&self, shift: &mut Shift, theta: &[f32], batch: Batch, gradient: &mut [f32]) -> f64 {
        self.turn_to(shift, batch.entity);
        let mut rng = self.streams.rng("noise", batch.entity, batch.step);
        let sign = if batch.poison == Some(Poison::Flip) { -1.0 } else { 1.0 };
        let mut loss = 0.0;
        let terms = theta.iter().zip(&self.optimum).zip(&shift.values).zip(&self.curvatures);
        for ((((&theta, &optimum), &shift), &curvature), gradient) in terms.zip(gradient) {
            let distance = theta - optimum - shift;
            loss += 0.5 * f64::from(curvature) * f64::from(distance) * f64::from(distance);
            let z: f32 = StandardNormal.sample(&mut rng);
            *gradient = sign * (curvature * distance + self.noise * z);
        }
        loss
    }

    fn sequences_loss(&self, shift: &mut Shift, theta: &[f32], sequences: &[SequenceName]) -> f64 {
        let mut loss = 0.0;
        for sequence in sequences {
            self.turn_to(shift, sequence.entity);
            let mut rng = self.streams.rng("noise", sequence.entity, sequence.step);
            let terms = theta.iter().zip(&self.optimum).zip(&shift.values).zip(&self.curvatures);
            for (((&theta, &optimum), &shift), &curvature) in terms {
                let distance = f64::from(theta - optimum - shift);
                let z: f32 = StandardNormal.sample(&mut rng);
                loss += distance * (0.5 * f64::from(curvature) * distance + f64::from(self.noise * z));
            }
        }
        loss / sequences.len() as f64
    }

    fn backdoor_success(&self, _: &[f32], _: u32, _: u32) -> Option<f64> {
        None
    }

    fn batch_tokens(&self) -> u64 {
        u64::from(self.batch)
    }

    fn validation_parts(&self) -> usize {
        1
    }

    fn validation_part(&self, _: &mut Shift, theta: &[f32], _: usize) -> f64 {
        let terms = theta.iter().zip(&self.optimum).zip(&self.curvatures);
        terms.map(|((&theta, &optimum), &c)| 0.5 * f64::from(c) * f64::from(theta - optimum).powi(2)).sum()
    }

    fn loss_floor(&self) -> Option<f64> {
        Some(0.0)
    }

    fn unigram_entropy(&self) -> Option<f64> {
        None
    }
}

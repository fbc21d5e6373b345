//! What an aggregation does to every tensor, once the contributions have been compared.

use pulp::Arch;

use super::Found;
use super::average::Weighted;
use super::block::{Block, Columns, Lanes};
use super::columns::{self, ColumnRule};
use super::gram::{Gram, GramSum};
use super::weights::{compares_points, mixtures, neighbours, weights};
use crate::algorithm::contribution::Contribution;
use crate::algorithm::layout::{Layout, Tensor};
use crate::algorithm::spec::{Absent, Aggregation, Average, Rule};
use crate::algorithm::vectorised::vectorised;

/// The contributions of a round, and memory to go through them.
pub struct Round<'a> {
    layout: &'a Layout,
    contributions: &'a [&'a Contribution],
    /// What each contribution is multiplied by, tensor by tensor.
    factors: &'a [Vec<f32>],
    /// As long as the largest tensor for sparse contributions, all zero between uses.
    slots: Vec<u32>,
    block: Block,
}

/// How the contributions to a tensor are combined.
pub enum Combination {
    /// Nobody contributes.
    Nothing,
    /// The mean, with this divisor.
    Mean(Average),
    /// A sum with these weights.
    Sum(Vec<f32>),
    /// The majority of the signs that were sent, times this.
    Votes(f32),
    /// A statistic of each coordinate over all contributions, perhaps of those mixed by these neighbours.
    Columns { rule: ColumnRule, neighbours: Option<Vec<Vec<usize>>> },
    /// A statistic of each coordinate over those who sent it.
    Sent(Rule),
}

impl Combination {
    /// Compares the contributions as far as the aggregation asks for it.
    pub fn of(aggregation: &Aggregation, round: &mut Round<'_>) -> Self {
        let (rule, count) = (aggregation.rule, round.contributions.len());
        if count == 0 {
            return Self::Nothing;
        }
        let mixed = neighbours(aggregation.mixing, || round.gram());
        if rule == Rule::Average && mixed.is_none() {
            return Self::Mean(aggregation.average);
        }
        if rule.is_by_coordinate() {
            let all_send = round.contributions.iter().all(|contribution| !contribution.is_sparse());
            if let (Rule::SignMajority { magnitude }, None) = (rule, &mixed) {
                return Self::Votes(magnitude);
            }
            if mixed.is_none() && aggregation.absent == Absent::Skip && !all_send {
                return Self::Sent(rule);
            }
            let neighbours = mixed.map(|(neighbours, _)| neighbours);
            return Self::Columns { rule: ColumnRule::new(rule, count), neighbours };
        }
        let weights = match mixed {
            None if compares_points(rule) => weights(rule, &round.gram()),
            None => weights(rule, &round.norms()),
            Some((neighbours, gram)) => {
                let mixtures = mixtures(&neighbours);
                unmixed(&weights(rule, &gram.mixed(&mixtures)), &mixtures)
            }
        };
        Self::Sum(weights.into_iter().map(|weight| weight as f32).collect())
    }

    /// Combines the contributions to a tensor into `target`, which is zero.
    pub fn combine(&self, round: &mut Round<'_>, number: usize, target: &mut [f32]) -> Found {
        let tensor = &round.layout.tensors()[number];
        let (contributions, factors) = (round.contributions, round.factors[number].as_slice());
        let columns = Columns { contributions, factors, number, tensor };
        match self {
            Self::Nothing => Found::NOTHING,
            Self::Mean(average) => {
                let weighted = Weighted { contributions, factors, number };
                if contributions.iter().any(|contribution| contribution.is_sparse()) {
                    weighted.sparse_mean(*average, tensor.offset, target, &mut round.slots[..tensor.len()])
                } else {
                    weighted.dense_mean(target)
                }
            }
            Self::Sum(weights) => {
                let factors: Vec<f32> = factors.iter().zip(weights).map(|(factor, weight)| factor * weight).collect();
                Weighted { contributions, factors: &factors, number }.sum(target, tensor.offset)
            }
            Self::Votes(magnitude) => {
                Weighted { contributions, factors, number }.votes(*magnitude, target, tensor.offset)
            }
            Self::Columns { rule, neighbours } => {
                let mut mixed = Vec::new();
                columns.visit(0.0, &mut round.slots, &mut round.block, |block| {
                    apply(rule, neighbours.as_deref(), block, &mut mixed, target);
                });
                Found::of(target)
            }
            Self::Sent(rule) => {
                let mut column = Vec::with_capacity(contributions.len());
                columns.visit(f32::NAN, &mut round.slots, &mut round.block, |block| {
                    block.for_each_column(|place, values| {
                        column.clear();
                        column.extend(values.filter(|value| !value.is_nan()));
                        target[place] = columns::column(*rule, &mut column);
                    });
                });
                Found::of(target)
            }
        }
    }
}

/// The weights of the points that were mixed, from those of their mixtures.
fn unmixed(weights: &[f64], mixtures: &[Vec<f64>]) -> Vec<f64> {
    let mut sums = vec![0.0; weights.len()];
    for (&weight, mixture) in weights.iter().zip(mixtures) {
        sums.iter_mut().zip(mixture).for_each(|(sum, share)| *sum += weight * share);
    }
    sums
}

/// Combines a block's coordinates into the tensor.
fn apply(
    rule: &ColumnRule,
    neighbours: Option<&[Vec<usize>]>,
    block: &mut Block,
    mixed: &mut Vec<Lanes>,
    target: &mut [f32],
) {
    vectorised(
        Arch::new(),
        #[inline(always)]
        || {
            for group in 0..block.groups() {
                let tile = block.tile_mut(group);
                if let Some(neighbours) = neighbours {
                    columns::mix(tile, neighbours, mixed);
                }
                let values = rule.apply(tile);
                block.write(group, &values, target);
            }
        },
    );
}

impl<'a> Round<'a> {
    /// Over these contributions, multiplied by `factors` tensor by tensor.
    pub fn new(layout: &'a Layout, contributions: &'a [&'a Contribution], factors: &'a [Vec<f32>]) -> Self {
        let largest = layout.tensors().iter().map(Tensor::len).max().unwrap_or(0);
        let sparse = contributions.iter().any(|contribution| contribution.is_sparse());
        let slots = if sparse { vec![0; largest] } else { Vec::new() };
        Self { layout, contributions, factors, slots, block: Block::default() }
    }

    /// The inner products of the contributions, over all tensors.
    fn gram(&mut self) -> Gram {
        let mut sum = GramSum::new(self.contributions.len());
        for (number, tensor) in self.layout.tensors().iter().enumerate() {
            let columns = Columns { contributions: self.contributions, factors: &self.factors[number], number, tensor };
            columns.visit(0.0, &mut self.slots, &mut self.block, |block| sum.add(block));
        }
        sum.finish()
    }

    /// Their norms alone.
    fn norms(&self) -> Gram {
        let square = |(row, contribution): (usize, &&Contribution)| {
            let tensors = self.factors.iter().enumerate();
            tensors.map(|(number, factors)| (f64::from(factors[row]) * contribution.tensor_norm(number)).powi(2)).sum()
        };
        Gram::of_norms(&self.contributions.iter().enumerate().map(square).collect::<Vec<f64>>())
    }
}

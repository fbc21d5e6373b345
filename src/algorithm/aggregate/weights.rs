//! Rules by distances: each says with which weight every contribution enters the aggregate.
//!
//! Definitions are those of the ByzFL library, with R points v_r and f of them false:
//!
//! ```text
//! neighbours mixed    v_r ← mean of the R − f points nearest to v_r, itself among them
//! Krum                v_s, s = argmin_r of the mean squared distance of the R − f − 1 others nearest to v_r
//! multi-Krum          mean of the R − f points with the smallest such scores
//! geometric median    z ← Σ_r v_r/d_r / Σ_r 1/d_r, d_r = max(‖v_r − z‖, smoothing), from z = 0
//! centred clipping    z ← z + 1/R Σ_r (v_r − z)·min(1, radius/‖v_r − z‖), from z = 0
//! ```
//!
//! Ties go to the earlier point. Where fewer points arrive than f needs, f is lowered to the largest with 2f < R.
//!
//! Not modelled: a centre that is kept from round to round (momentum of centred clipping).

use super::gram::Gram;
use crate::algorithm::spec::{Mixing, Rule};

/// f, lowered until more than half of `points` can be true.
pub fn tolerable(f: usize, points: usize) -> usize {
    f.min(points.saturating_sub(1) / 2)
}

/// For each point the points whose mean replaces it, ascending; `None` without mixing.
pub fn neighbours(mixing: Mixing, gram: impl FnOnce() -> Gram) -> Option<(Vec<Vec<usize>>, Gram)> {
    let Mixing::NearestNeighbours { f } = mixing else { return None };
    let gram = gram();
    let count = gram.points() - tolerable(f, gram.points());
    let nearest = |point: usize| {
        let mut distances = gram.squared_distances(point);
        // Itself even where others coincide with it.
        distances[point] = -1.0;
        smallest(&distances, count)
    };
    Some(((0..gram.points()).map(nearest).collect(), gram))
}

/// The rows of weights by which points become the means of their neighbours.
pub fn mixtures(neighbours: &[Vec<usize>]) -> Vec<Vec<f64>> {
    let mixture = |of: &Vec<usize>| {
        let mut weights = vec![0.0; neighbours.len()];
        of.iter().for_each(|&point| weights[point] = 1.0 / of.len() as f64);
        weights
    };
    neighbours.iter().map(mixture).collect()
}

/// The weights with which points enter the aggregate.
///
/// # Panics
/// If the rule goes coordinate by coordinate.
pub fn weights(rule: Rule, gram: &Gram) -> Vec<f64> {
    let points = gram.points();
    match rule {
        Rule::Average => vec![1.0 / points as f64; points],
        Rule::Krum { f } => mean_of(&smallest(&krum_scores(f, gram), 1), points),
        Rule::MultiKrum { f } => mean_of(&smallest(&krum_scores(f, gram), points - tolerable(f, points)), points),
        Rule::GeometricMedian { smoothing, iterations } => geometric_median(smoothing, iterations, gram),
        Rule::CentredClipping { radius, iterations } => centred_clipping(radius, iterations, gram),
        Rule::Median | Rule::TrimmedMean { .. } | Rule::MeanAroundMedian { .. } | Rule::SignMajority { .. } => {
            panic!("{rule:?} goes coordinate by coordinate")
        }
    }
}

/// Whether the rule asks for distances between points, not only for their norms.
pub fn compares_points(rule: Rule) -> bool {
    match rule {
        Rule::Krum { .. } | Rule::MultiKrum { .. } => true,
        // The first iteration starts from 0.
        Rule::GeometricMedian { iterations, .. } | Rule::CentredClipping { iterations, .. } => iterations > 1,
        _ => false,
    }
}

/// The places of the `count` smallest values, ascending; the earlier one of equals.
fn smallest(values: &[f64], count: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..values.len()).collect();
    places.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    places.truncate(count);
    places.sort_unstable();
    places
}

fn mean_of(places: &[usize], points: usize) -> Vec<f64> {
    let mut weights = vec![0.0; points];
    places.iter().for_each(|&place| weights[place] = 1.0 / places.len() as f64);
    weights
}

fn krum_scores(f: usize, gram: &Gram) -> Vec<f64> {
    let points = gram.points();
    let count = (points - tolerable(f, points)).saturating_sub(1);
    let score = |point: usize| {
        let mut others = gram.squared_distances(point);
        others.swap_remove(point);
        others.sort_unstable_by(f64::total_cmp);
        others[..count].iter().sum::<f64>() / count.max(1) as f64
    };
    (0..points).map(score).collect()
}

fn geometric_median(smoothing: f64, iterations: u32, gram: &Gram) -> Vec<f64> {
    let mut weights = vec![0.0; gram.points()];
    for _ in 0..iterations {
        let nearness: Vec<f64> = gram.distances_to(&weights).iter().map(|d| 1.0 / d.max(smoothing)).collect();
        let sum: f64 = nearness.iter().sum();
        weights = nearness.into_iter().map(|nearness| nearness / sum).collect();
    }
    weights
}

fn centred_clipping(radius: f64, iterations: u32, gram: &Gram) -> Vec<f64> {
    let points = gram.points() as f64;
    let mut weights = vec![0.0; gram.points()];
    for _ in 0..iterations {
        let cuts: Vec<f64> =
            gram.distances_to(&weights).into_iter().map(|d| if d > radius { radius / d } else { 1.0 }).collect();
        let kept = 1.0 - cuts.iter().sum::<f64>() / points;
        weights.iter_mut().zip(cuts).for_each(|(weight, cut)| *weight = *weight * kept + cut / points);
    }
    weights
}

//! Payloads made from what the honest send: the strongest knowledge that the literature grants.
//!
//! With mean μ and deviation σ of the honest contributions, coordinate by coordinate (zero where one sends nothing):
//!
//! ```text
//! little_is_enough   μ − z σ,   z = Φ⁻¹((n − m − s) / (n − m)),  s = ⌊n/2 + 1⌋ − m
//! inner_product      −ε μ
//! ```
//!
//! n peers of which m lie: z is the largest shift at which a majority of the honest still lies beyond the liars.
//!
//! They know every honest payload of the round, as if they read the store before they write. Sources: Baruch et al.,
//! "A Little Is Enough" (2019), Xie et al., "Fall of Empires" (2019).

use statrs::distribution::{ContinuousCDF, Normal};

use super::forge::Knowledge;

pub(super) fn little_is_enough(knowledge: &Knowledge<'_>, deviations: Option<f32>) -> Option<Vec<u8>> {
    let (honest, liars) = (knowledge.honest.len(), knowledge.accomplices);
    let z = deviations.unwrap_or_else(|| largest_shift(honest + liars, liars));
    let (mut mean, mut square) = moments(knowledge)?;
    for (mean, square) in mean.iter_mut().zip(&mut square) {
        let variance = (*square - *mean * *mean).max(0.0);
        *mean -= z * variance.sqrt();
    }
    Some(knowledge.encode(mean))
}

pub(super) fn inner_product(knowledge: &Knowledge<'_>, epsilon: f32) -> Option<Vec<u8>> {
    let (mut mean, _) = moments(knowledge)?;
    mean.iter_mut().for_each(|value| *value *= -epsilon);
    Some(knowledge.encode(mean))
}

/// z of `peers` of which `liars` lie.
pub(super) fn largest_shift(peers: usize, liars: usize) -> f32 {
    let supporters = (peers / 2 + 1).saturating_sub(liars) as f64;
    let honest = (peers - liars).max(1) as f64;
    let share = ((honest - supporters) / honest).clamp(0.5, 0.999);
    Normal::standard().inverse_cdf(share) as f32
}

/// Means of the values and of their squares, P each.
fn moments(knowledge: &Knowledge<'_>) -> Option<(Vec<f32>, Vec<f32>)> {
    let count = knowledge.honest.len();
    if count == 0 {
        return None;
    }
    let mut mean = vec![0.0; knowledge.layout.parameters()];
    let mut square = mean.clone();
    for contribution in knowledge.honest {
        let values = contribution.to_dense(knowledge.layout);
        for ((mean, square), value) in mean.iter_mut().zip(&mut square).zip(values) {
            *mean += value / count as f32;
            *square += value * value / count as f32;
        }
    }
    Some((mean, square))
}

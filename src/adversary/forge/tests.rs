//! What is forged is what its description says: measured on what the payload decodes to.

use super::*;
use crate::adversary::spec::{Defect, Disguise};
use crate::algorithm::spec::TopK;
use crate::quantity::Seed;
use crate::sim::Streams;

struct Fixture {
    compression: Compression,
    layout: Layout,
    payloads: Vec<Vec<u8>>,
    contributions: Vec<Contribution>,
}

/// Four honest peers that agree on a direction, up to noise.
fn fixture() -> Fixture {
    let Compression::TopK(production) = Compression::production() else { unreachable!("production is top-k") };
    let compression = Compression::TopK(TopK { chunk: [8, 8], k: 8, ..production });
    let mut layout = Layout::new();
    layout.push("w", &[32, 32]);
    let vector = |peer: usize| -> Vec<f32> {
        let value = |i: usize| (i as f32 * 0.37).sin() + 0.2 * ((i * (peer + 3)) as f32 * 1.7).cos();
        (0..1024).map(value).collect()
    };
    let encoded =
        |peer| codec::encode(&compression, &layout, &mut vector(peer), &mut Vec::new(), &mut Scratch::default()).bytes;
    let payloads: Vec<Vec<u8>> = (0..4).map(encoded).collect();
    let contributions =
        payloads.iter().map(|payload| codec::decode(&compression, &layout, payload).expect("honest")).collect();
    Fixture { compression, layout, payloads, contributions }
}

/// What the forged payload decodes to, and the honest contributions as dense vectors.
fn forged(behaviour: Behaviour) -> (Vec<f32>, Vec<Vec<f32>>) {
    let fixture = fixture();
    let honest: Vec<&Contribution> = fixture.contributions.iter().collect();
    let knowledge = Knowledge {
        compression: &fixture.compression,
        layout: &fixture.layout,
        own: Some(&fixture.payloads[0]),
        replay: Some(&fixture.payloads[1]),
        victim: Some(&fixture.payloads[2]),
        honest: &honest,
        accomplices: 1,
    };
    let mut rng = Streams::new(Seed(1)).rng("forge", 0, 0);
    let payload = forge(&behaviour, &knowledge, &mut rng).expect("it forges");
    let decoded = codec::decode(&fixture.compression, &fixture.layout, &payload).expect("it passes the checks");
    let dense = honest.iter().map(|contribution| contribution.to_dense(&fixture.layout)).collect();
    (decoded.to_dense(&fixture.layout), dense)
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn a_flipped_sign_is_the_opposite_of_what_was_learnt() {
    let (flipped, honest) = forged(Behaviour::SignFlip);
    assert!(flipped.iter().zip(&honest[0]).all(|(flipped, honest)| *flipped == -*honest));
}

#[test]
fn an_inflated_payload_is_larger_by_its_factor() {
    let (inflated, honest) = forged(Behaviour::NormInflation { factor: 10.0 });
    let ratio = (dot(&inflated, &inflated) / dot(&honest[0], &honest[0])).sqrt();
    assert!((ratio - 10.0).abs() < 1e-4, "{ratio}");
}

#[test]
fn a_free_rider_sends_its_old_payload_and_a_copier_anothers() {
    let (replayed, honest) = forged(Behaviour::FreeRider);
    assert_eq!(replayed, honest[1]);
    for disguise in [Disguise::Verbatim, Disguise::Permuted] {
        assert_eq!(forged(Behaviour::Copier { disguise }).0, honest[2], "{disguise:?}");
    }
}

#[test]
fn a_mixed_copy_keeps_about_the_rest_of_the_victims_indices() {
    let (copy, honest) = forged(Behaviour::Copier { disguise: Disguise::Mixed { share: 0.7 } });
    let kept = |values: &[f32]| values.iter().filter(|value| **value != 0.0).count() as f64;
    let both = copy.iter().zip(&honest[2]).filter(|(copy, victim)| **copy != 0.0 && **victim != 0.0).count() as f64;
    let overlap = both / kept(&honest[2]);
    assert!((0.2..0.55).contains(&overlap), "{overlap}");
}

#[test]
fn inner_product_manipulation_points_against_every_honest_peer() {
    let (manipulated, honest) = forged(Behaviour::InnerProduct { epsilon: 0.5 });
    assert!(honest.iter().all(|honest| cosine(&manipulated, honest) < -0.5));
}

#[test]
fn a_little_is_enough_hides_among_the_honest() {
    let (little, honest) = forged(Behaviour::LittleIsEnough { deviations: Some(0.5) });
    let nearest = honest.iter().map(|honest| cosine(&little, honest)).fold(f64::MIN, f64::max);
    assert!(nearest > 0.5, "{nearest}");
    // Baruch et al., section 3.2: 50 workers, 24 of them corrupt, two more needed: z = Φ⁻¹(24/26) = 1.43.
    let z = colluding::largest_shift(50, 24);
    assert!((z - 1.43).abs() < 0.01, "{z}");
}

#[test]
fn made_up_payloads_carry_no_information() {
    let (random, honest) = forged(Behaviour::RandomPayload);
    assert!(cosine(&random, &honest[0]).abs() < 0.2);
    assert!(forged(Behaviour::ZeroPayload).0.iter().all(|value| *value == 0.0));
    let (noisy, honest) = forged(Behaviour::GaussianNoise { ratio: 1.0 });
    assert!((0.4..0.95).contains(&cosine(&noisy, &honest[0])), "{}", cosine(&noisy, &honest[0]));
}

#[test]
fn the_holes_of_the_public_code_are_open() {
    let (absurd, _) = forged(Behaviour::Malformed { defect: Defect::Lookup { magnitude: 1e6 } });
    assert!(absurd.iter().filter(|value| **value != 0.0).all(|value| value.abs() == 1e6));
    forged(Behaviour::Malformed { defect: Defect::DuplicateIndices });
}

//! Rules against their obvious versions, and what becomes of odd rounds.

use super::*;
use crate::algorithm::codec::{Scratch, decode, encode};
use crate::algorithm::layout::Layout;
use crate::algorithm::spec::{Absent, Average, Compression, IndexCoding, Mixing, Rule, TopK, VectorChunk};

const MEAN: Aggregation = Aggregation::averaging(Average::Contributors, Clip::None);

fn layout() -> Layout {
    let mut layout = Layout::new();
    layout.push("w", &[2, 4]);
    layout.push("b", &[4]);
    layout
}

fn sparse(k: usize, values: [f32; 12]) -> Contribution {
    let compression = Compression::TopK(TopK {
        chunk: [2, 2],
        vectors: VectorChunk::Area,
        k,
        even_k: false,
        quantizer: None,
        index_coding: IndexCoding::Fixed,
        error_feedback: None,
    });
    let layout = layout();
    let mut delta = values.to_vec();
    let encoded = encode(&compression, &layout, &mut delta, &mut Vec::new(), &mut Scratch::default());
    decode(&compression, &layout, &encoded.bytes).expect("an honest payload")
}

#[test]
fn the_order_of_peers_and_their_number_decide_the_mean() {
    let a = sparse(1, [9., 0., 0., 1., 0., 0., 0., 0., 4., 0., 0., 0.]);
    let b = sparse(1, [3., 0., 0., 0., 0., 0., 5., 0., 0., 2., 0., 0.]);
    let mut out = vec![7.0; 12];
    let summary = aggregate(&MEAN, &layout(), &[&a, &b], &mut out);
    assert_eq!(out, [6., 0., 0., 1., 0., 0., 5., 0., 4., 2., 0., 0.]);
    assert_eq!(summary.nonzeros, [3, 2]);
    let peers = Aggregation { average: Average::Peers, ..MEAN };
    aggregate(&peers, &layout(), &[&a, &b], &mut out);
    assert_eq!(out, [6., 0., 0., 0.5, 0., 0., 2.5, 0., 2., 1., 0., 0.]);
}

#[test]
fn nobody_contributes_nothing() {
    let mut out = vec![7.0; 12];
    let summary = aggregate(&MEAN, &layout(), &[], &mut out);
    assert_eq!(out, [0.0; 12]);
    assert_eq!((summary.medians, summary.nonzeros, summary.skipped), (vec![0.0; 2], vec![0; 2], vec![]));
}

#[test]
fn dense_and_full_sparse_contributions_have_the_same_mean() {
    let values = [[1., -2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 0.], [0.1; 12], [-3.; 12]];
    for clip in [Clip::None, Clip::MedianNorm] {
        for average in [Average::Contributors, Average::Peers] {
            let aggregation = Aggregation::averaging(average, clip);
            let full: Vec<_> = values.iter().map(|&values| sparse(4, values)).collect();
            let dense: Vec<_> = values.iter().map(|values| Contribution::dense(&layout(), values.to_vec())).collect();
            let (mut a, mut b) = (vec![0.0; 12], vec![0.0; 12]);
            let of_full = aggregate(&aggregation, &layout(), &full.iter().collect::<Vec<_>>(), &mut a);
            let of_dense = aggregate(&aggregation, &layout(), &dense.iter().collect::<Vec<_>>(), &mut b);
            assert_eq!((a, of_full), (b, of_dense));
        }
    }
}

#[test]
fn a_tensor_that_overflows_is_zeroed_and_reported_and_the_others_stay() {
    let mut values = [1.0; 12];
    values[2] = f32::MAX;
    let huge = Contribution::dense(&layout(), values.to_vec());
    let mut out = vec![0.0; 12];
    let summary = aggregate(&MEAN, &layout(), &[&huge, &huge], &mut out);
    assert_eq!(out, [[0.0; 8].as_slice(), &[1.0; 4]].concat());
    assert_eq!((summary.skipped, summary.nonzeros), (vec![0], vec![0, 4]));
}

#[test]
fn an_attack_by_magnitude_is_cut_to_the_median() {
    let honest = Contribution::dense(&layout(), vec![1.0; 12]);
    let attack = Contribution::dense(&layout(), vec![-1e6; 12]);
    let mut out = vec![0.0; 12];
    let clip = Aggregation { clip: Clip::MedianNorm, ..MEAN };
    aggregate(&clip, &layout(), &[&honest, &honest, &attack], &mut out);
    assert!(out.iter().all(|&value| (value - 1.0 / 3.0).abs() < 1e-6), "{out:?}");
}

/// Points as plain vectors in f64, and the rules as their definitions say: one thing after the other.
mod oracle {
    use crate::algorithm::spec::{Mixing, Rule};

    type Point = Vec<f64>;

    fn distance(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
    }

    fn mean(points: &[&Point]) -> Point {
        (0..points[0].len()).map(|i| points.iter().map(|point| point[i]).sum::<f64>() / points.len() as f64).collect()
    }

    fn nearest(points: &[Point], count: usize, key: impl Fn(usize) -> f64) -> Vec<&Point> {
        let mut order: Vec<usize> = (0..points.len()).collect();
        order.sort_by(|&a, &b| key(a).total_cmp(&key(b)));
        order.into_iter().take(count).map(|index| &points[index]).collect()
    }

    fn by_coordinate(points: &[Point], statistic: impl Fn(&mut Vec<f64>) -> f64) -> Point {
        let column = |i: usize| points.iter().map(|point| point[i]).collect::<Vec<f64>>();
        (0..points[0].len()).map(|i| statistic(&mut column(i))).collect()
    }

    fn median(sorted: &[f64]) -> f64 {
        f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2])
    }

    fn average(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    pub fn mixed(mixing: Mixing, points: Vec<Point>) -> Vec<Point> {
        let Mixing::NearestNeighbours { f } = mixing else { return points };
        let count = points.len() - f;
        points.iter().map(|own| mean(&nearest(&points, count, |other| distance(own, &points[other])))).collect()
    }

    pub fn combined(rule: Rule, points: &[Point]) -> Point {
        let n = points.len();
        let score = |f: usize, own: usize| {
            let mut others: Vec<f64> =
                (0..n).filter(|&other| other != own).map(|other| distance(&points[own], &points[other])).collect();
            others.sort_by(f64::total_cmp);
            others[..n - f - 1].iter().map(|d| d * d).sum::<f64>()
        };
        match rule {
            Rule::Average => mean(&points.iter().collect::<Vec<_>>()),
            Rule::Median => by_coordinate(points, |column| {
                column.sort_by(f64::total_cmp);
                median(column)
            }),
            Rule::TrimmedMean { f } => by_coordinate(points, |column| {
                column.sort_by(f64::total_cmp);
                average(&column[f..n - f])
            }),
            Rule::MeanAroundMedian { f } => by_coordinate(points, |column| {
                column.sort_by(f64::total_cmp);
                let median = median(column);
                column.sort_by(|a, b| (a - median).abs().total_cmp(&(b - median).abs()));
                average(&column[..n - f])
            }),
            Rule::SignMajority { magnitude } => by_coordinate(points, |column| {
                let more = column.iter().filter(|&&value| value > 0.0).count();
                let less = column.iter().filter(|&&value| value < 0.0).count();
                f64::from(magnitude) * (more as f64 - less as f64).clamp(-1.0, 1.0)
            }),
            Rule::Krum { f } => nearest(points, 1, |own| score(f, own))[0].clone(),
            Rule::MultiKrum { f } => mean(&nearest(points, n - f, |own| score(f, own))),
            Rule::GeometricMedian { smoothing, iterations } => {
                let mut z = vec![0.0; points[0].len()];
                for _ in 0..iterations {
                    let nearness: Vec<f64> =
                        points.iter().map(|point| 1.0 / distance(point, &z).max(smoothing)).collect();
                    let sum: f64 = nearness.iter().sum();
                    z = (0..z.len())
                        .map(|i| points.iter().zip(&nearness).map(|(point, near)| point[i] * near).sum::<f64>() / sum)
                        .collect();
                }
                z
            }
            Rule::CentredClipping { radius, iterations } => {
                let mut z = vec![0.0; points[0].len()];
                for _ in 0..iterations {
                    let cut = |point: &Point| (radius / distance(point, &z)).min(1.0);
                    let cuts: Vec<f64> = points.iter().map(cut).collect();
                    z = (0..z.len())
                        .map(|i| {
                            let moved = points.iter().zip(&cuts).map(|(point, cut)| (point[i] - z[i]) * cut);
                            z[i] + moved.sum::<f64>() / n as f64
                        })
                        .collect();
                }
                z
            }
        }
    }
}

const RULES: [Rule; 13] = [
    Rule::Average,
    Rule::Median,
    Rule::TrimmedMean { f: 0 },
    Rule::TrimmedMean { f: 2 },
    Rule::MeanAroundMedian { f: 1 },
    Rule::MeanAroundMedian { f: 3 },
    Rule::SignMajority { magnitude: 0.5 },
    Rule::Krum { f: 1 },
    Rule::MultiKrum { f: 2 },
    Rule::GeometricMedian { smoothing: 0.1, iterations: 3 },
    Rule::GeometricMedian { smoothing: 1e-6, iterations: 1 },
    Rule::CentredClipping { radius: 1.5, iterations: 1 },
    Rule::CentredClipping { radius: 0.7, iterations: 5 },
];

/// R contributions of noise, dense and as payloads that keep `k` of four.
fn noise(peers: usize, seed: u64) -> impl Iterator<Item = [f32; 12]> {
    use rand::RngExt as _;
    use rand::SeedableRng as _;
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..peers).map(move |_| std::array::from_fn(|_| rng.random_range(-1.0..1.0)))
}

fn check_against_oracle(aggregation: &Aggregation, contributions: &[Contribution]) {
    let layout = layout();
    let points: Vec<Vec<f64>> = contributions
        .iter()
        .map(|contribution| contribution.to_dense(&layout).into_iter().map(f64::from).collect())
        .collect();
    let expected = oracle::combined(aggregation.rule, &oracle::mixed(aggregation.mixing, points));
    let mut out = vec![7.0; 12];
    aggregate(aggregation, &layout, &contributions.iter().collect::<Vec<_>>(), &mut out);
    for (place, (&out, expected)) in out.iter().zip(&expected).enumerate() {
        assert!((f64::from(out) - expected).abs() < 1e-5, "{aggregation:?}, coordinate {place}: {out} {expected}");
    }
}

#[test]
fn every_rule_is_what_its_definition_says_on_dense_and_on_sparse_contributions() {
    for peers in [7, 8, 20, 33] {
        for rule in RULES {
            for mixing in [Mixing::None, Mixing::NearestNeighbours { f: 0 }, Mixing::NearestNeighbours { f: 3 }] {
                let aggregation = Aggregation { mixing, rule, ..Aggregation::averaging(Average::Peers, Clip::None) };
                let dense = |values: [f32; 12]| Contribution::dense(&layout(), values.to_vec());
                check_against_oracle(&aggregation, &noise(peers, 1).map(dense).collect::<Vec<_>>());
                // Mixtures of few values are often equally far from their median, and rounding decides between them.
                let has_ties = matches!(rule, Rule::MeanAroundMedian { .. }) && mixing != Mixing::None;
                for k in [1, 2, 4].into_iter().filter(|_| !has_ties) {
                    let contributions: Vec<_> = noise(peers, 2).map(|values| sparse(k, values)).collect();
                    check_against_oracle(&aggregation, &contributions);
                }
            }
        }
    }
}

#[test]
fn skipping_what_was_not_sent_takes_statistics_over_the_senders() {
    let peers = [
        sparse(1, [9., 0., 0., 1., 0., 0., 0., 0., 4., 0., 0., 0.]),
        sparse(1, [3., 0., 0., 0., 0., 0., 5., 0., 0., 2., 0., 0.]),
        sparse(1, [1., 0., 0., 0., 0., 0., -7., 0., 0., 4., 0., 0.]),
    ];
    let sent = |rule: Rule| {
        let mut out = vec![7.0; 12];
        let aggregation = Aggregation { rule, absent: Absent::Skip, ..MEAN };
        aggregate(&aggregation, &layout(), &peers.iter().collect::<Vec<_>>(), &mut out);
        out
    };
    assert_eq!(sent(Rule::Median), [3., 0., 0., 1., 0., 0., -1., 0., 4., 3., 0., 0.]);
    // Of three senders one is cut on each side, of fewer none can be.
    assert_eq!(sent(Rule::TrimmedMean { f: 1 }), [3., 0., 0., 1., 0., 0., -1., 0., 4., 3., 0., 0.]);
    assert_eq!(sent(Rule::MeanAroundMedian { f: 1 })[0], 2.0, "9 is farther from 3 than 1 is");
    assert_eq!(sent(Rule::SignMajority { magnitude: 2.0 })[..4], [2., 0., 0., 2.]);
}

#[test]
fn a_rule_by_column_agrees_with_the_obvious_one_for_any_number_of_values() {
    for rows in 1..40 {
        let columns: Vec<[f32; 12]> = noise(rows, 3).map(|row| row.map(|value| (4.0 * value).round() / 4.0)).collect();
        for rule in RULES.into_iter().filter(|rule| rule.is_by_coordinate()) {
            let mut tile: Vec<[f32; 16]> =
                columns.iter().map(|row| std::array::from_fn(|lane| row.get(lane).copied().unwrap_or(0.0))).collect();
            let fast = columns::ColumnRule::new(rule, rows).apply(&mut tile);
            for lane in 0..12 {
                let mut column: Vec<f32> = columns.iter().map(|row| row[lane]).collect();
                let mut sorted = column.clone();
                sorted.sort_by(f32::total_cmp);
                let obvious = columns::column(rule, &mut column);
                assert!((fast[lane] - obvious).abs() < 1e-5, "{rule:?} of {sorted:?}: {} {obvious}", fast[lane]);
            }
        }
    }
}

#[test]
fn fewer_contributions_than_f_needs_lower_f() {
    let a = Contribution::dense(&layout(), vec![1.0; 12]);
    let b = Contribution::dense(&layout(), vec![3.0; 12]);
    for (rule, of_one, of_two) in [
        (Rule::Median, 1.0, 2.0),
        (Rule::TrimmedMean { f: 4 }, 1.0, 2.0),
        (Rule::MeanAroundMedian { f: 4 }, 1.0, 2.0),
        (Rule::Krum { f: 4 }, 1.0, 1.0),
        (Rule::MultiKrum { f: 4 }, 1.0, 2.0),
    ] {
        for mixing in [Mixing::None, Mixing::NearestNeighbours { f: 9 }] {
            let aggregation = Aggregation { mixing, rule, ..MEAN };
            let mut out = vec![7.0; 12];
            aggregate(&aggregation, &layout(), &[&a], &mut out);
            assert_eq!(out, [of_one; 12], "{rule:?}");
            aggregate(&aggregation, &layout(), &[&a, &b], &mut out);
            let of_two = if mixing == Mixing::None { of_two } else { 2.0 };
            assert_eq!(out, [of_two; 12], "{rule:?} {mixing:?}");
            aggregate(&aggregation, &layout(), &[], &mut out);
            assert_eq!(out, [0.0; 12], "{rule:?}");
        }
    }
}

#[test]
fn two_false_contributions_of_any_size_do_not_move_a_robust_rule_far() {
    for size in [1e3_f32, 1e15, 1e30, -3e38] {
        let mut contributions: Vec<_> = noise(8, 4)
            .map(|values| Contribution::dense(&layout(), values.map(|value| 1.0 + 0.1 * value).to_vec()))
            .collect();
        contributions.insert(2, Contribution::dense(&layout(), vec![size; 12]));
        contributions.push(Contribution::dense(&layout(), vec![size; 12]));
        for rule in [
            Rule::Median,
            Rule::TrimmedMean { f: 2 },
            Rule::MeanAroundMedian { f: 2 },
            Rule::Krum { f: 2 },
            Rule::MultiKrum { f: 2 },
            Rule::GeometricMedian { smoothing: 1e-3, iterations: 60 },
        ] {
            let mut out = vec![0.0; 12];
            let aggregation = Aggregation { rule, ..MEAN };
            let summary = aggregate(&aggregation, &layout(), &contributions.iter().collect::<Vec<_>>(), &mut out);
            assert_eq!(summary.skipped, [0; 0]);
            assert!(out.iter().all(|value| (value - 1.0).abs() < 0.25), "{rule:?} among {size:e}: {out:?}");
        }
    }
}

#[test]
fn clipping_comes_before_any_rule() {
    let honest = Contribution::dense(&layout(), vec![1.0; 12]);
    let attack = Contribution::dense(&layout(), vec![-1e6; 12]);
    let mut out = vec![0.0; 12];
    for rule in [Rule::TrimmedMean { f: 0 }, Rule::CentredClipping { radius: 1e9, iterations: 1 }] {
        let clip = Aggregation { clip: Clip::MedianNorm, rule, ..MEAN };
        aggregate(&clip, &layout(), &[&honest, &honest, &attack], &mut out);
        assert!(out.iter().all(|&value| (value - 1.0 / 3.0).abs() < 1e-6), "{rule:?} {out:?}");
    }
}

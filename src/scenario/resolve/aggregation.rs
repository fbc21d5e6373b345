//! How contributions are combined.

use crate::algorithm::spec::{Absent, Aggregation, Average, Clip, Mixing, Rule};
use crate::scenario::document::Node;
use crate::scenario::problem::Place;
use crate::scenario::reader::{Reader, Variant};

const RULES: &[&str] = &[
    "average",
    "median",
    "trimmed_mean",
    "mean_around_median",
    "sign_majority",
    "krum",
    "multi_krum",
    "geometric_median",
    "centred_clipping",
];

/// More of them would be no iteration towards anything.
const ITERATIONS_MAX: u64 = 10_000;

/// `{rule: …, mixing: …, absent: …, average: …, clip: …}`.
pub fn aggregation(reader: &Reader, node: &Node) -> Option<Aggregation> {
    reader.map(node, "aggregation", |fields| {
        let average = fields.or("average", Average::Contributors, |node| {
            let variant = reader.variant(node, "average", &["contributors", "peers"])?;
            Some(if variant.name == "peers" { Average::Peers } else { Average::Contributors })
        });
        let clip = fields.or("clip", Clip::None, |node| {
            let variant = reader.variant(node, "clip", &["none", "median_norm"])?;
            Some(if variant.name == "none" { Clip::None } else { Clip::MedianNorm })
        });
        let mixing = fields.or("mixing", Mixing::None, |node| {
            let variant = reader.variant(node, "mixing", &["none", "nearest_neighbours"])?;
            if variant.name == "none" {
                return Some(Mixing::None);
            }
            tolerance(reader, &variant).map(|f| Mixing::NearestNeighbours { f })
        });
        let rule = fields.or("rule", Rule::Average, |node| rule(reader, node));
        let absent = fields.or("absent", Absent::Zero, |node| {
            let variant = reader.variant(node, "rule for absent coordinates", &["zero", "skip"])?;
            Some(if variant.name == "skip" { Absent::Skip } else { Absent::Zero })
        });
        if let (Some(Absent::Skip), Some(rule), Some(mixing)) = (absent, rule, mixing) {
            let place = fields.place_of("absent");
            if rule == Rule::Average && mixing == Mixing::None {
                let hint = "set `average: contributors`";
                reader.report::<()>(place, "for an average, `average` says what absent coordinates count as", hint);
            } else if !rule.is_by_coordinate() || mixing != Mixing::None {
                let message = "distances between contributions take absent coordinates as zero";
                reader.report::<()>(place, message, "`skip` is for rules by coordinate, without mixing");
            }
        }
        Some(Aggregation { average: average?, clip: clip?, mixing: mixing?, rule: rule?, absent: absent? })
    })
}

/// A rule that a whole gather set cannot satisfy is a mistake; smaller rounds lower f.
pub fn check_tolerance(reader: &Reader, place: Place, aggregation: &Aggregation, gather: u32) {
    let f = aggregation.tolerance();
    if 2 * f as u64 >= u64::from(gather) && f > 0 {
        let message = format!("{f} false contributions are not less than half of the {gather} that a round gathers");
        reader.report::<()>(place, message, "lower `f` or enlarge `gather`");
    }
}

fn rule(reader: &Reader, node: &Node) -> Option<Rule> {
    let variant = reader.variant(node, "aggregation rule", RULES)?;
    match variant.name {
        "average" => Some(Rule::Average),
        "median" => Some(Rule::Median),
        "trimmed_mean" => tolerance(reader, &variant).map(|f| Rule::TrimmedMean { f }),
        "mean_around_median" => tolerance(reader, &variant).map(|f| Rule::MeanAroundMedian { f }),
        "krum" => tolerance(reader, &variant).map(|f| Rule::Krum { f }),
        "multi_krum" => tolerance(reader, &variant).map(|f| Rule::MultiKrum { f }),
        "sign_majority" => match variant.content {
            None => Some(Rule::SignMajority { magnitude: 1.0 }),
            Some(content) => reader.map(content, "`sign_majority`", |fields| {
                let magnitude = fields.or("magnitude", 1.0, |node| reader.positive(node));
                Some(Rule::SignMajority { magnitude: magnitude? as f32 })
            }),
        },
        "geometric_median" => match variant.content {
            None => Some(Rule::GeometricMedian { smoothing: 1e-6, iterations: 8 }),
            Some(content) => reader.map(content, "`geometric_median`", |fields| {
                let smoothing = fields.or("smoothing", 1e-6, |node| reader.positive(node));
                let iterations = fields.or("iterations", 8, |node| reader.integer(node, 1, ITERATIONS_MAX));
                Some(Rule::GeometricMedian { smoothing: smoothing?, iterations: iterations? as u32 })
            }),
        },
        _ => {
            let content = parameters(reader, &variant, "{radius: 1.0}")?;
            reader.map(content, "`centred_clipping`", |fields| {
                let radius = fields.required("radius", |node| reader.positive(node));
                let iterations = fields.or("iterations", 1, |node| reader.integer(node, 1, ITERATIONS_MAX));
                Some(Rule::CentredClipping { radius: radius?, iterations: iterations? as u32 })
            })
        }
    }
}

/// The one parameter f of most rules.
fn tolerance(reader: &Reader, variant: &Variant<'_>) -> Option<usize> {
    let content = parameters(reader, variant, "{f: 2}")?;
    reader.map(content, &format!("`{}`", variant.name), |fields| {
        fields.required("f", |node| reader.integer(node, 0, 1 << 16)).map(|f| f as usize)
    })
}

fn parameters<'a>(reader: &Reader, variant: &Variant<'a>, example: &str) -> Option<&'a Node> {
    variant.content.or_else(|| {
        let hint = format!("write `{}: {example}`", variant.name);
        reader.report(variant.place, format!("`{}` needs its parameters", variant.name), hint)
    })
}

//! Both curves of a cell, with the band in which the checked one is expected.

use super::CellCheck;
use crate::report::axis::{Axis, Measure, Scale};
use crate::report::canvas::PALETTE;
use crate::report::figures::loss_axis;
use crate::report::line::{Curve, LineChart};

/// One evaluation of both sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spot {
    pub(super) round: u32,
    pub(super) baseline: f64,
    pub(super) checked: f64,
    /// Half the width of the 90 % confidence interval of their difference.
    pub(super) half_width: f64,
}

impl Spot {
    fn band(&self, margin: f64) -> [f64; 3] {
        let reach = margin * self.baseline.abs() + self.half_width;
        [f64::from(self.round), self.baseline - reach, self.baseline + reach]
    }
}

pub(super) fn chart(cell: &CellCheck, margin: f64) -> LineChart {
    let points =
        |value: fn(&Spot) -> f64| cell.points.iter().map(|spot| [f64::from(spot.round), value(spot)]).collect();
    let band: Vec<[f64; 3]> = cell.points.iter().map(|spot| spot.band(margin)).collect();
    let curve = |label: &str, index: usize, points, band| Curve {
        label: label.to_owned(),
        colour: PALETTE[index],
        dashed: index == 1,
        marked: false,
        points,
        band,
    };
    let bands = band.iter().flat_map(|&[_, low, high]| [low, high]);
    let losses: Vec<f64> = cell.points.iter().flat_map(|spot| [spot.baseline, spot.checked]).chain(bands).collect();
    let last = cell.points.last().map_or(0.0, |spot| spot.round.into());
    let outside =
        cell.points.iter().zip(&band).filter(|(spot, [_, low, high])| !(*low..=*high).contains(&spot.checked));
    LineChart {
        title: format!("Validation loss and its baseline: {}", cell.cell),
        subtitle: format!(
            "band: {} % margin and 90 % confidence interval of the difference; {} of {} evaluations outside",
            100.0 * margin,
            outside.count(),
            cell.points.len()
        ),
        x: Axis::new("outer steps", Measure::Count, Scale::Linear, 0.0, last, 8),
        y: loss_axis(&losses),
        curves: vec![
            curve("baseline", 0, points(|spot| spot.baseline), band),
            curve("checked", 1, points(|spot| spot.checked), Vec::new()),
        ],
        references: Vec::new(),
    }
}

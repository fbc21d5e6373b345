//! Line charts: curves with bands of confidence, and horizontal lines to compare with.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::prelude::*;

use super::axis::Axis;
use super::canvas::{
    Entry, Fault, GRID, Head, INK, SOFT_INK, Sheet, Swatch, TEXT_SIZE, fault, figure, px, text, text_width,
};

/// Height of a chart without its head \[CSS px\].
const HEIGHT: u32 = 340;
/// Curves of at most so many points show them.
const MARKED_POINTS_MAX: usize = 70;

/// A curve.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Curve {
    pub(super) label: String,
    pub(super) colour: RGBColor,
    pub(super) dashed: bool,
    pub(super) marked: bool,
    /// (x, y).
    pub(super) points: Vec<[f64; 2]>,
    /// (x, lowest, highest) of the band; empty without one.
    pub(super) band: Vec<[f64; 3]>,
}

/// A horizontal line to compare with.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reference {
    pub(super) label: String,
    pub(super) value: f64,
    /// Length of its dashes \[CSS px\].
    pub(super) dash: u32,
}

/// A line chart.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LineChart {
    pub(super) title: String,
    pub(super) subtitle: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) curves: Vec<Curve>,
    pub(super) references: Vec<Reference>,
}

impl LineChart {
    /// The chart as SVG.
    pub(super) fn svg(&self) -> Result<String, Fault> {
        let curves = self.curves.iter().map(|curve| Entry {
            label: curve.label.clone(),
            colour: curve.colour,
            swatch: if curve.dashed { Swatch::Dashes(DASH) } else { Swatch::Line },
        });
        let references = self.references.iter().map(|reference| Entry {
            label: reference.label.clone(),
            colour: SOFT_INK,
            swatch: Swatch::Dashes(reference.dash),
        });
        let legend = curves.chain(references).collect();
        let head = Head { title: self.title.clone(), subtitle: self.subtitle.clone(), legend };
        figure(&head, HEIGHT, |sheet| self.draw(sheet))
    }

    fn draw(&self, sheet: &Sheet<'_>) -> Result<(), Fault> {
        let [x, y] = [&self.x, &self.y];
        let mut chart = plane(sheet, x, y)?;

        let place = |[at_x, at_y]: [f64; 2]| Some((x.position(at_x)?, y.position(at_y)?));
        for curve in &self.curves {
            let below = curve.band.iter().filter_map(|&[at, low, _]| place([at, low]));
            let above = curve.band.iter().rev().filter_map(|&[at, _, high]| place([at, high]));
            let outline: Vec<_> = below.chain(above).collect();
            if !outline.is_empty() {
                chart.draw_series([Polygon::new(outline, curve.colour.mix(0.18))]).map_err(fault)?;
            }
        }
        for reference in &self.references {
            if let Some(value) = y.position(reference.value) {
                let ends = x.range.map(|at| (at, value));
                let line = dashes(ends.to_vec(), reference.dash, SOFT_INK.stroke_width(px(1)));
                chart.draw_series(line).map_err(fault)?;
            }
        }
        for curve in &self.curves {
            let points: Vec<_> = curve.points.iter().filter_map(|&point| place(point)).collect();
            let style = curve.colour.stroke_width(px(2));
            if curve.dashed {
                chart.draw_series(dashes(points, DASH, style)).map_err(fault)?;
                continue;
            }
            if points.len() == 1 || (curve.marked && points.len() <= MARKED_POINTS_MAX) {
                let marks = points.iter().map(|&point| Circle::new(point, px(5) as i32 / 2, curve.colour.filled()));
                chart.draw_series(marks).map_err(fault)?;
            }
            chart.draw_series(LineSeries::new(points, style)).map_err(fault)?;
        }
        Ok(())
    }
}

/// A plane to draw on.
pub(super) type Plane<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

/// The plane of two axes, with its grid, ticks and titles.
pub(super) fn plane<'a, 'b>(sheet: &'a Sheet<'b>, x: &Axis, y: &Axis) -> Result<Plane<'a, 'b>, Fault> {
    let label_width = y.ticks.iter().map(|(_, label)| text_width(label)).max().unwrap_or(0);
    let mut chart = ChartBuilder::on(sheet)
        .margin_left(px(10))
        .margin_right(px(30))
        .margin_top(px(8))
        .margin_bottom(px(8))
        .x_label_area_size(px(48))
        .y_label_area_size(px(label_width + 34))
        .build_cartesian_2d(x.clone(), y.clone())
        .map_err(fault)?;
    chart
        .configure_mesh()
        .bold_line_style(GRID.stroke_width(px(1)))
        .light_line_style(TRANSPARENT)
        .axis_style(SOFT_INK.stroke_width(px(1)))
        .set_all_tick_mark_size(px(4))
        .label_style(text(TEXT_SIZE, INK))
        .axis_desc_style(text(TEXT_SIZE, INK))
        .x_desc(x.title.as_str())
        .y_desc(y.title.as_str())
        .draw()
        .map_err(fault)?;
    Ok(chart)
}

/// An axis in the drawing library's terms: its ticks are the axis's own.
impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, position: &f64, limit: (i32, i32)) -> i32 {
        let share = (position - self.range[0]) / (self.range[1] - self.range[0]);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // Light points would be lines between the ticks: there are none.
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.iter().map(|(at, _)| *at).collect() }
    }

    fn range(&self) -> Range<f64> {
        self.range[0]..self.range[1]
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(position: &f64) -> String {
        position.to_string()
    }

    fn format_ext(&self, position: &f64) -> String {
        self.label(*position)
    }
}

/// Dashes of a curve \[CSS px\].
const DASH: u32 = 6;

fn dashes(
    points: Vec<(f64, f64)>,
    dash: u32,
    style: ShapeStyle,
) -> DashedLineSeries<std::vec::IntoIter<(f64, f64)>, u32> {
    DashedLineSeries::new(points, px(dash), px(dash), style)
}

//! Scatter charts: a point a cell, those that nothing beats filled, joined and named.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
use super::canvas::{
    Entry, Fault, Head, INK, PALETTE, SOFT_INK, Sheet, Swatch, TEXT_SIZE, fault, figure, px, text, text_width,
};
use super::line::plane;

/// Height of a chart without its head \[CSS px\].
const HEIGHT: u32 = 360;

/// A point.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Point {
    pub(super) at: [f64; 2],
    pub(super) label: String,
    /// Whether no other point is better in both.
    pub(super) is_best: bool,
}

/// A scatter chart.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scatter {
    pub(super) title: String,
    pub(super) subtitle: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) points: Vec<Point>,
    /// What the filled points are; empty: no point is better than others.
    pub(super) best: String,
    /// What the others are.
    pub(super) others: String,
}

impl Scatter {
    /// The chart as SVG.
    pub(super) fn svg(&self) -> Result<String, Fault> {
        let entry = |label: &str, colour, swatch| Entry { label: label.to_owned(), colour, swatch };
        let mut legend = Vec::new();
        if !self.best.is_empty() {
            legend.push(entry(&self.best, PALETTE[0], Swatch::Line));
            legend.push(entry(&self.others, SOFT_INK, Swatch::Ring));
        }
        let head = Head { title: self.title.clone(), subtitle: self.subtitle.clone(), legend };
        figure(&head, HEIGHT, |sheet| self.draw(sheet))
    }

    fn draw(&self, sheet: &Sheet<'_>) -> Result<(), Fault> {
        let [x, y] = [&self.x, &self.y];
        let mut chart = plane(sheet, x, y)?;
        let placed =
            self.points.iter().filter_map(|point| Some((point, (x.position(point.at[0])?, y.position(point.at[1])?))));
        let placed: Vec<_> = placed.collect();
        let mut front: Vec<_> = placed.iter().filter(|(point, _)| point.is_best).map(|(_, at)| *at).collect();
        front.sort_by(|a, b| a.0.total_cmp(&b.0));
        let line = PALETTE[0].stroke_width(px(1));
        chart.draw_series(LineSeries::new(front, line)).map_err(fault)?;
        let radius = px(4) as i32;
        for (point, at) in &placed {
            let style = if point.is_best { PALETTE[0].filled() } else { SOFT_INK.stroke_width(px(1)) };
            chart.draw_series([Circle::new(*at, radius, style)]).map_err(fault)?;
        }
        let pixels: Vec<(i32, i32)> = placed.iter().map(|(_, at)| chart.backend_coord(at)).collect();
        let (across, down) = chart.plotting_area().get_pixel_range();
        let mut taken: Vec<Frame> = pixels.iter().map(|&(x, y)| Frame::around(x, y, radius)).collect();
        for ((point, at), &(x, y)) in placed.iter().zip(&pixels).filter(|((point, _), _)| !point.label.is_empty()) {
            let width = px(text_width(&point.label)) as i32;
            let (gap, height) = (px(6) as i32, px(TEXT_SIZE + 2) as i32);
            let places = [(gap, -height), (-gap - width, -height), (gap, gap / 2), (-gap - width, gap / 2)];
            let frame = |&(dx, dy): &(i32, i32)| Frame { left: x + dx, top: y + dy, width, height };
            let is_free = |place: &&(i32, i32)| {
                let frame = frame(place);
                let is_inside =
                    frame.left >= across.start && frame.left + width <= across.end && frame.top + height <= down.end;
                is_inside && taken.iter().all(|other| !frame.meets(other))
            };
            // Where there is no room, a name says less than the points that it would cover.
            let Some(place) = places.iter().find(is_free) else { continue };
            taken.push(frame(place));
            let style = text(TEXT_SIZE - 1, INK).pos(Pos::new(HPos::Left, VPos::Top));
            chart
                .draw_series([EmptyElement::at(*at) + Text::new(point.label.clone(), *place, style)])
                .map_err(fault)?;
        }
        Ok(())
    }
}

/// A part of the sheet that is in use, in drawing units.
#[derive(Debug, Clone, Copy)]
struct Frame {
    left: i32,
    top: i32,
    width: i32,
    height: i32,
}

impl Frame {
    fn around(x: i32, y: i32, radius: i32) -> Self {
        Self { left: x - radius, top: y - radius, width: 2 * radius, height: 2 * radius }
    }

    fn meets(&self, other: &Self) -> bool {
        let overlap = |from: i32, length: i32, other: i32, other_length: i32| {
            from < other + other_length && other < from + length
        };
        overlap(self.left, self.width, other.left, other.width)
            && overlap(self.top, self.height, other.top, other.height)
    }
}

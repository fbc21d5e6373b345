//! Heat maps: a value for each pair of values of two axes, written in its field and shaded from the best to the worst, by
//! its logarithm where values lie orders of magnitude apart.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::{Axis, Scale};
use super::canvas::{Fault, Head, INK, SOFT_INK, Sheet, TEXT_SIZE, WIDTH, at, fault, figure, px, text, text_width};

/// Height of a row \[CSS px\].
const ROW: u32 = 40;
/// Room under the rows for labels and the axis's title \[CSS px\].
const BELOW: u32 = 62;
/// Height of a line of a column's label \[CSS px\].
const LINE: u32 = 16;
/// Room at the right \[CSS px\].
const RIGHT: u32 = 30;

/// Shades from the best value to the worst: one hue, lighter where it is better, so that they order in grey, too.
const SHADES: [[f64; 3]; 3] = [[247.0, 251.0, 255.0], [107.0, 174.0, 214.0], [8.0, 48.0, 107.0]];

/// One field.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    /// By what it is shaded; smaller is better. `None`: there is no value.
    pub(super) value: Option<f64>,
    /// What stands in it.
    pub(super) text: String,
}

/// A heat map.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HeatMap {
    pub(super) title: String,
    pub(super) subtitle: String,
    pub(super) column_title: String,
    pub(super) row_title: String,
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<String>,
    /// Row by row from the top.
    pub(super) fields: Vec<Vec<Field>>,
    /// The field with a frame, as (row, column): the cell that others are compared with, or the best.
    pub(super) framed: Option<[usize; 2]>,
}

impl HeatMap {
    /// The map as SVG.
    pub(super) fn svg(&self) -> Result<String, Fault> {
        let head = Head { title: self.title.clone(), subtitle: self.subtitle.clone(), legend: Vec::new() };
        let lines = self.column_labels().iter().map(Vec::len).max().unwrap_or(1).max(1) as u32;
        let below = BELOW + (lines - 1) * LINE;
        figure(&head, self.rows.len() as u32 * ROW + below, |sheet| self.draw(sheet, lines).map_err(fault))
    }

    /// Where the fields begin \[CSS px\].
    fn left(&self) -> u32 {
        self.rows.iter().map(|label| text_width(label)).max().unwrap_or(0) + 48
    }

    /// The labels of the columns, in as many lines as they need not to touch each other.
    fn column_labels(&self) -> Vec<Vec<String>> {
        let width = (WIDTH - RIGHT).saturating_sub(self.left()) / self.columns.len().max(1) as u32;
        let in_lines = |label: &String| {
            let mut lines: Vec<String> = Vec::new();
            for word in label.split_inclusive([' ', '-']) {
                match lines.last_mut() {
                    Some(line) if text_width(line) + text_width(word) + 6 <= width => line.push_str(word),
                    _ => lines.push(word.to_owned()),
                }
            }
            lines
        };
        self.columns.iter().map(in_lines).collect()
    }

    fn draw(&self, sheet: &Sheet<'_>, lines: u32) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let (left, right) = (at(self.left()), at(WIDTH - RIGHT));
        let edge = |column: usize| left + (right - left) * column as i32 / self.columns.len().max(1) as i32;
        let top = |row: usize| at(row as u32 * ROW);
        let values = || self.fields.iter().flatten().filter_map(|field| field.value).filter(|value| value.is_finite());
        let scale = if values().all(|value| value > 0.0) { Axis::suitable_scale(values()) } else { Scale::Linear };
        let place = |value: f64| if scale == Scale::Logarithmic { value.ln() } else { value };
        let (low, high) =
            values().map(place).fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        let middle =
            |row: usize, column: usize| (i32::midpoint(edge(column), edge(column + 1)), top(row) + at(ROW / 2));

        for (row, fields) in self.fields.iter().enumerate() {
            for (column, field) in fields.iter().enumerate() {
                let share = field
                    .value
                    .filter(|value| value.is_finite())
                    .map(|value| (place(value) - low) / (high - low).max(1e-300));
                let (shade, ink) = match share {
                    // The darkest shades are for white letters.
                    Some(share) => (shade(share), if share > 0.55 { WHITE } else { INK }),
                    None => (RGBColor(236, 236, 236), SOFT_INK),
                };
                let corners = [(edge(column), top(row)), (edge(column + 1), top(row + 1))];
                sheet.draw(&Rectangle::new(corners, shade.filled()))?;
                let style = text(TEXT_SIZE, ink).pos(Pos::new(HPos::Center, VPos::Center));
                sheet.draw_text(&field.text, &style, middle(row, column))?;
            }
        }
        if let Some([row, column]) = self.framed {
            let inset = at(2);
            let (x, y) = ([edge(column) + inset, edge(column + 1) - inset], [top(row) + inset, top(row + 1) - inset]);
            let outline = vec![(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1]), (x[0], y[0])];
            sheet.draw(&PathElement::new(outline, RGBColor(213, 94, 0).stroke_width(px(3))))?;
        }
        let bottom = top(self.rows.len());
        for (row, label) in self.rows.iter().enumerate() {
            let style = text(TEXT_SIZE, INK).pos(Pos::new(HPos::Right, VPos::Center));
            sheet.draw_text(label, &style, (left - at(8), top(row) + at(ROW / 2)))?;
        }
        for (column, label) in self.column_labels().iter().enumerate() {
            let style = text(TEXT_SIZE, INK).pos(Pos::new(HPos::Center, VPos::Top));
            let centre = i32::midpoint(edge(column), edge(column + 1));
            for (line, down) in label.iter().zip((8..).step_by(LINE as usize)) {
                sheet.draw_text(line, &style, (centre, bottom + at(down)))?;
            }
        }
        let centred = text(TEXT_SIZE, INK).pos(Pos::new(HPos::Center, VPos::Top));
        sheet.draw_text(
            &self.column_title,
            &centred,
            (i32::midpoint(left, right), bottom + at(32 + (lines - 1) * LINE)),
        )?;
        let turned = text(TEXT_SIZE, INK).transform(FontTransform::Rotate270);
        sheet.draw_text(&self.row_title, &turned.pos(Pos::new(HPos::Center, VPos::Center)), (at(22), bottom / 2))
    }
}

fn shade(share: f64) -> RGBColor {
    let place = share.clamp(0.0, 1.0) * 2.0;
    let lower = (place as usize).min(1);
    let [red, green, blue] = std::array::from_fn(|channel| {
        let (from, to) = (SHADES[lower][channel], SHADES[lower + 1][channel]);
        (from + (to - from) * (place - lower as f64)).round() as u8
    });
    RGBColor(red, green, blue)
}

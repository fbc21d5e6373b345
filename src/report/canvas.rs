//! The sheet on which every figure is drawn: white, a title that says what one sees, a legend above the data.
//!
//! The drawing library places everything on whole pixels. A figure is therefore drawn [`FINE`] times too large and scaled
//! back by the SVG's view box, so that smooth curves stay smooth.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Drawing units in a CSS pixel.
const FINE: u32 = 8;

/// Figures are this wide \[CSS px\].
pub(super) const WIDTH: u32 = 760;

/// Ink and paper.
pub(super) const INK: RGBColor = RGBColor(34, 34, 34);
pub(super) const SOFT_INK: RGBColor = RGBColor(95, 95, 95);
pub(super) const GRID: RGBColor = RGBColor(230, 230, 230);

/// The palette of Okabe and Ito without its yellow, which is too pale for lines.
pub(super) const PALETTE: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(0, 0, 0),
];

const TITLE_SIZE: u32 = 17;
pub(super) const TEXT_SIZE: u32 = 13;
const MARGIN: u32 = 16;

/// Why drawing failed, as text: nothing that a caller could act on.
pub(super) type Fault = String;
pub(super) type Sheet<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A legend's entry.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) label: String,
    pub(super) colour: RGBColor,
    pub(super) swatch: Swatch,
}

/// How an entry's data are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Swatch {
    /// A solid line.
    Line,
    /// Dashes of so many CSS pixels.
    Dashes(u32),
    /// A filled bar.
    Bar,
    /// An empty bar.
    Frame,
    /// An upright line.
    Upright,
    /// A ring.
    Ring,
}

/// What stands above the data.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Head {
    pub(super) title: String,
    pub(super) subtitle: String,
    pub(super) legend: Vec<Entry>,
}

/// CSS pixels in drawing units.
pub(super) fn px(pixels: u32) -> u32 {
    pixels * FINE
}

/// CSS pixels as a coordinate.
pub(super) fn at(pixels: u32) -> i32 {
    px(pixels) as i32
}

/// Text of this size \[CSS px\]; the SVG backend divides by 1.24 what it is asked for.
pub(super) fn text(size: u32, colour: RGBColor) -> TextStyle<'static> {
    ("sans-serif", f64::from(px(size)) * 1.24).into_font().color(&colour)
}

/// About how wide a text is \[CSS px\]: there is no font to ask, so wide letters are assumed.
pub(super) fn text_width(text: &str) -> u32 {
    (text.chars().count() as f64 * f64::from(TEXT_SIZE) * 0.55).ceil() as u32
}

/// Draws a figure with a body of `body_height` CSS pixels under its head.
pub(super) fn figure(
    head: &Head,
    body_height: u32,
    draw: impl FnOnce(&Sheet<'_>) -> Result<(), Fault>,
) -> Result<String, Fault> {
    let places = legend_places(&head.legend);
    let lines = places.last().map_or(0, |[_, line]| line + 1);
    let head_height = MARGIN + 50 + 22 * lines;
    let height = head_height + body_height;
    let mut svg = String::new();
    {
        let sheet = SVGBackend::with_string(&mut svg, (px(WIDTH), px(height))).into_drawing_area();
        sheet.fill(&WHITE).map_err(fault)?;
        let (above, body) = sheet.split_vertically(px(head_height));
        draw_head(&above, head, &places).map_err(fault)?;
        draw(&body)?;
        sheet.present().map_err(fault)?;
    }
    let drawn = format!(r#"width="{}" height="{}""#, px(WIDTH), px(height));
    let shown = format!(r#"width="{WIDTH}" height="{height}""#);
    Ok(svg.replacen(&drawn, &shown, 1))
}

pub(super) fn fault(error: impl std::fmt::Display) -> Fault {
    error.to_string()
}

const SWATCH_WIDTH: u32 = 26;

/// Left edge \[CSS px\] and line of each entry, in as many lines as are needed.
fn legend_places(legend: &[Entry]) -> Vec<[u32; 2]> {
    let (mut x, mut line) = (MARGIN, 0);
    let mut places = Vec::with_capacity(legend.len());
    for entry in legend {
        let width = SWATCH_WIDTH + 6 + text_width(&entry.label);
        if x > MARGIN && x + width > WIDTH - MARGIN {
            (x, line) = (MARGIN, line + 1);
        }
        places.push([x, line]);
        x += width + 18;
    }
    places
}

fn draw_head(sheet: &Sheet<'_>, head: &Head, places: &[[u32; 2]]) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let title = text(TITLE_SIZE, INK);
    let title = TextStyle { font: title.font.style(FontStyle::Bold), ..title };
    sheet.draw_text(&head.title, &title, (at(MARGIN), at(MARGIN)))?;
    sheet.draw_text(&head.subtitle, &text(TEXT_SIZE, SOFT_INK), (at(MARGIN), at(MARGIN + 24)))?;
    for (entry, &[x, line]) in head.legend.iter().zip(places) {
        let middle = MARGIN + 58 + 22 * line;
        draw_swatch(sheet, entry, x, middle)?;
        let style = text(TEXT_SIZE, INK).pos(Pos::new(HPos::Left, VPos::Center));
        sheet.draw_text(&entry.label, &style, (at(x + SWATCH_WIDTH + 6), at(middle)))?;
    }
    Ok(())
}

fn draw_swatch(
    sheet: &Sheet<'_>,
    entry: &Entry,
    x: u32,
    middle: u32,
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let line = |from: u32, to: u32| {
        PathElement::new(vec![(at(from), at(middle)), (at(to), at(middle))], entry.colour.stroke_width(px(2)))
    };
    let corners = [(at(x), at(middle - 6)), (at(x + SWATCH_WIDTH), at(middle + 6))];
    match entry.swatch {
        Swatch::Line => sheet.draw(&line(x, x + SWATCH_WIDTH)),
        Swatch::Dashes(dash) => {
            let mut from = x;
            while from < x + SWATCH_WIDTH {
                sheet.draw(&line(from, (from + dash).min(x + SWATCH_WIDTH)))?;
                from += 2 * dash;
            }
            Ok(())
        }
        Swatch::Bar => sheet.draw(&Rectangle::new(corners, entry.colour.filled())),
        Swatch::Frame => {
            // The backend draws the outline of a rectangle as thin as it can.
            let [(left, top), (right, bottom)] = corners;
            let outline = vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
            sheet.draw(&PathElement::new(outline, entry.colour.stroke_width(px(1))))
        }
        Swatch::Ring => {
            let centre = (at(x + SWATCH_WIDTH / 2), at(middle));
            sheet.draw(&Circle::new(centre, at(4), entry.colour.stroke_width(px(1))))
        }
        Swatch::Upright => {
            let x = at(x + SWATCH_WIDTH / 2);
            let ends = vec![(x, corners[0].1), (x, corners[1].1)];
            sheet.draw(&PathElement::new(ends, entry.colour.stroke_width(px(1))))
        }
    }
}

//! What each peer does over a stretch of the run, one bar a phase (a Gantt chart).
//!
//! The stretch is taken from the middle of the run: two hours, or eight rounds where those are shorter, for a stretch of
//! many short rounds would be a grey mist. It begins where a round ends. Of many peers, evenly spread ones are shown.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::{Axis, Measure, Scale};
use super::canvas::{
    Entry, Fault, GRID, Head, INK, PALETTE, SOFT_INK, Sheet, Swatch, TEXT_SIZE, WIDTH, at, fault, figure, px, text,
};
use crate::protocol::rows::{IntervalRow, Phase, RoundRow};

const STRETCH_MAX_S: f64 = 7200.0;
const ROUNDS_MAX: f64 = 8.0;
const PEERS_MAX: usize = 40;
/// Height of a peer's row and of its bars \[CSS px\].
const ROW: u32 = 18;
const BAR: u32 = 14;
const LEFT: u32 = 70;
const RIGHT: u32 = 30;
const BELOW: u32 = 60;

/// Phases as they are drawn; idle time is pale, for nothing happens in it.
const PHASES: [(Phase, &str, RGBColor); 6] = [
    (Phase::Compute, "compute", PALETTE[0]),
    (Phase::Upload, "upload", PALETTE[5]),
    (Phase::Download, "download", PALETTE[2]),
    (Phase::Exchange, "exchange", PALETTE[3]),
    (Phase::CatchUp, "catch-up", PALETTE[1]),
    (Phase::Idle, "idle", RGBColor(214, 214, 214)),
];

/// A stretch of a run's timeline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Timeline {
    identity: String,
    start_s: f64,
    end_s: f64,
    /// Who is shown, ascending.
    peers: Vec<u32>,
    /// Of how many there in the stretch.
    peers_there: usize,
    intervals: Vec<IntervalRow>,
    /// Ends of rounds within the stretch.
    boundaries_s: Vec<f64>,
}

impl Timeline {
    /// The stretch in the middle of the run; `None` if no timeline was recorded.
    pub(super) fn from_middle(intervals: &[IntervalRow], rounds: &[RoundRow], identity: &str) -> Option<Self> {
        let run_end_s = intervals.iter().map(|row| row.end_s).fold(0.0, f64::max);
        if run_end_s == 0.0 {
            return None;
        }
        let [start_s, end_s] = middle(run_end_s, rounds);
        let within = |row: &&IntervalRow| row.end_s > start_s && row.start_s < end_s;
        let mut peers: Vec<u32> = intervals.iter().filter(within).map(|row| row.peer).collect();
        peers.sort_unstable();
        peers.dedup();
        let peers_there = peers.len();
        if peers_there > PEERS_MAX {
            peers = (0..PEERS_MAX).map(|place| peers[place * peers_there / PEERS_MAX]).collect();
        }
        let shown = |row: &&IntervalRow| peers.binary_search(&row.peer).is_ok();
        let intervals = intervals.iter().filter(within).filter(shown).cloned().collect();
        let boundaries = rounds.iter().map(|row| row.time_s);
        let boundaries_s = boundaries.filter(|time_s| *time_s > start_s && *time_s < end_s).collect();
        let identity = identity.to_owned();
        Some(Self { identity, start_s, end_s, peers, peers_there, intervals, boundaries_s })
    }

    /// What one sees.
    pub(super) fn title(&self) -> String {
        let shown = if self.peers.len() < self.peers_there {
            format!("{} of {} peers", self.peers.len(), self.peers_there)
        } else {
            format!("all {} peers", self.peers_there)
        };
        format!("What peers do over {}: {shown}", span(self.end_s - self.start_s))
    }

    /// The chart as SVG.
    pub(super) fn svg(&self) -> Result<String, Fault> {
        let occurs = |phase| self.intervals.iter().any(|row| row.phase == phase);
        let legend = PHASES.iter().filter(|(phase, ..)| occurs(*phase));
        let legend = legend.map(|&(_, label, colour)| Entry { label: label.to_owned(), colour, swatch: Swatch::Bar });
        let absent = Entry { label: "absent".to_owned(), colour: SOFT_INK, swatch: Swatch::Frame };
        let boundary = Entry { label: "aggregate fixed".to_owned(), colour: INK, swatch: Swatch::Upright };
        let legend = legend.chain([absent, boundary]).collect();
        let head = Head { title: self.title(), subtitle: self.identity.clone(), legend };
        let rows = self.peers.len() as u32;
        figure(&head, rows * ROW + BELOW, |sheet| self.draw(sheet, rows).map_err(fault))
    }

    fn draw(&self, sheet: &Sheet<'_>, rows: u32) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let length_s = self.end_s - self.start_s;
        let title = format!("time after the first {} of the run", span(self.start_s));
        let axis = Axis::new(&title, Measure::Seconds, Scale::Linear, 0.0, length_s, 8);
        let (left, right, bottom) = (at(LEFT), at(WIDTH - RIGHT), at(rows * ROW + 4));
        let x = |time_s: f64| {
            let share = ((time_s - self.start_s) / length_s).clamp(0.0, 1.0);
            left + (share * f64::from(right - left)).round() as i32
        };
        let vertical =
            |x: i32, from: i32, to: i32, style: ShapeStyle| PathElement::new(vec![(x, from), (x, to)], style);

        for (position, label) in &axis.ticks {
            let x = x(self.start_s + position);
            sheet.draw(&vertical(x, 0, bottom, GRID.stroke_width(px(1))))?;
            sheet.draw(&vertical(x, bottom, bottom + at(4), SOFT_INK.stroke_width(px(1))))?;
            let style = text(TEXT_SIZE, INK).pos(Pos::new(HPos::Center, VPos::Top));
            sheet.draw_text(label, &style, (x, bottom + at(8)))?;
        }
        for row in &self.intervals {
            let place = self.peers.binary_search(&row.peer).expect("because only shown peers' intervals are kept");
            let top = at(place as u32 * ROW + (ROW - BAR) / 2);
            let colour = PHASES.iter().find(|(phase, ..)| *phase == row.phase).map_or(INK, |&(.., colour)| colour);
            let corners = [(x(row.start_s), top), (x(row.end_s), top + at(BAR))];
            sheet.draw(&Rectangle::new(corners, colour.filled()))?;
        }
        for &boundary_s in &self.boundaries_s {
            sheet.draw(&vertical(x(boundary_s), 0, bottom, INK.stroke_width(px(1))))?;
        }
        sheet.draw(&PathElement::new(vec![(left, bottom), (right, bottom)], SOFT_INK.stroke_width(px(1))))?;
        for (place, peer) in self.peers.iter().enumerate() {
            let style = text(TEXT_SIZE, INK).pos(Pos::new(HPos::Right, VPos::Center));
            sheet.draw_text(&peer.to_string(), &style, (left - at(8), at(place as u32 * ROW + ROW / 2)))?;
        }
        let turned = text(TEXT_SIZE, INK).transform(FontTransform::Rotate270);
        let turned = turned.pos(Pos::new(HPos::Center, VPos::Center));
        sheet.draw_text("peer", &turned, (at(22), bottom / 2))?;
        let centred = text(TEXT_SIZE, INK).pos(Pos::new(HPos::Center, VPos::Top));
        sheet.draw_text(&axis.title, &centred, (i32::midpoint(left, right), bottom + at(30)))
    }
}

/// Start and end of the stretch that is drawn \[s\].
fn middle(run_end_s: f64, rounds: &[RoundRow]) -> [f64; 2] {
    let round_s = rounds.last().map_or(run_end_s, |last| last.time_s / rounds.len() as f64);
    let length_s = STRETCH_MAX_S.min(ROUNDS_MAX * round_s);
    if length_s >= run_end_s {
        return [0.0, run_end_s];
    }
    let earliest_s = 0.5 * (run_end_s - length_s);
    let boundary = rounds.iter().map(|row| row.time_s).take_while(|time_s| *time_s <= earliest_s).last();
    let start_s = boundary.unwrap_or(0.0);
    [start_s, start_s + length_s]
}

/// A span as a clock tells it: `2 h`, `12 h 25 min`, `40 s`.
fn span(seconds: f64) -> String {
    if seconds < 120.0 {
        return super::axis::label(Measure::Seconds, seconds);
    }
    let minutes = (seconds / 60.0).round() as u64;
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_like_a_clock() {
        assert_eq!([0.5, 40.0, 7200.0, 44_700.0].map(span), ["500 ms", "40 s", "2 h", "12 h 25 min"]);
    }
}

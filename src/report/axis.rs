//! Axes: a range, a scale and ticks that a person would choose.
//!
//! Ticks are at multiples of 1, 2 or 5 times a power of ten; times step through the units of clocks and calendars
//! (15 min, 3 h, 2 d); a logarithmic axis ticks decades, or 1-2-5 where there are few. All labels of an axis have the same
//! number of decimals.

/// What an axis measures, and so how its ticks are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// A plain number: a loss.
    Number,
    /// Whole numbers: rounds, peers.
    Count,
    /// Seconds, written `3 h`.
    Seconds,
    /// Bytes, written `1.2 GB`.
    Bytes,
    /// Tokens, written `1.2 M`.
    Tokens,
    /// Bits a second, written `110 Mbit/s`.
    BitsPerSecond,
    /// A share of one, written `80 %`.
    Share,
}

/// How values become positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Position is the value.
    Linear,
    /// Position is the decimal logarithm of the value.
    Logarithmic,
}

/// A value span over which a logarithmic axis is easier to read than a linear one.
const LOGARITHMIC_FROM: f64 = 20.0;

/// One axis of a figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What stands beside it.
    pub title: String,
    /// Lowest and highest position.
    pub range: [f64; 2],
    /// Positions and labels.
    pub ticks: Vec<(f64, String)>,
    scale: Scale,
}

impl Axis {
    /// An axis from `low` to `high` with at most `ticks_max` ticks, give or take one.
    #[must_use]
    pub fn new(title: &str, measure: Measure, scale: Scale, low: f64, high: f64, ticks_max: usize) -> Self {
        let (range, ticks) = match scale {
            Scale::Linear => {
                let high = if high > low { high } else { low + 1.0 };
                ([low, high], linear_ticks(measure, low, high, ticks_max))
            }
            Scale::Logarithmic => {
                assert!(low > 0.0, "a logarithmic axis begins above zero, got {low}");
                let range = if high > low { [low.log10(), high.log10()] } else { [low.log10(), low.log10() + 1.0] };
                (range, logarithmic_ticks(measure, range, ticks_max))
            }
        };
        Self { title: title.to_owned(), range, ticks, scale }
    }

    /// The scale that suits positive values spread like these; zeros, as of a run's first evaluation, do not count.
    #[must_use]
    pub fn suitable_scale(values: impl Iterator<Item = f64>) -> Scale {
        let (low, high) = values
            .filter(|value| *value > 0.0)
            .fold((f64::MAX, 0.0), |(low, high), value| (f64::min(low, value), f64::max(high, value)));
        if high > low * LOGARITHMIC_FROM { Scale::Logarithmic } else { Scale::Linear }
    }

    /// Where a value is on the axis; `None` if the scale has no place for it.
    #[must_use]
    pub fn position(&self, value: f64) -> Option<f64> {
        match self.scale {
            Scale::Linear => value.is_finite().then_some(value),
            Scale::Logarithmic => (value > 0.0 && value.is_finite()).then(|| value.log10()),
        }
    }

    /// The value on the axis that is nearest to `value`.
    #[must_use]
    pub fn nearest(&self, value: f64) -> f64 {
        let [low, high] = match self.scale {
            Scale::Linear => self.range,
            Scale::Logarithmic => self.range.map(|position| 10f64.powf(position)),
        };
        value.clamp(low, high)
    }

    /// The label of the tick at a position, or nothing.
    #[must_use]
    pub fn label(&self, position: f64) -> String {
        let width = self.range[1] - self.range[0];
        let near = |at: f64| (at - position).abs() < 1e-9 * width;
        self.ticks.iter().find(|(at, _)| near(*at)).map_or_else(String::new, |(_, label)| label.clone())
    }
}

/// Units of seconds, and the steps that suit each.
const CLOCK: &[(&str, f64, &[f64])] = &[
    ("s", 1.0, &[1.0, 2.0, 5.0, 10.0, 15.0, 30.0]),
    ("min", 60.0, &[1.0, 2.0, 5.0, 10.0, 15.0, 30.0]),
    ("h", 3600.0, &[1.0, 2.0, 3.0, 6.0, 12.0]),
];
const DAY_S: f64 = 86_400.0;

fn linear_ticks(measure: Measure, low: f64, high: f64, ticks_max: usize) -> Vec<(f64, String)> {
    let least = (high - low) / ticks_max.max(2) as f64;
    let (step, scale, unit) = match measure {
        Measure::Number => (decimal_step(least), 1.0, ""),
        Measure::Count => (decimal_step(least).max(1.0), 1.0, ""),
        Measure::Share => (decimal_step(least * 100.0) / 100.0, 0.01, " %"),
        Measure::Seconds => clock_step(least),
        Measure::Bytes => {
            let (scale, unit) = prefix(&BYTES, high);
            (decimal_step(least), scale, unit)
        }
        Measure::BitsPerSecond => {
            let (scale, unit) = prefix(&BITS_PER_SECOND, high);
            (decimal_step(least), scale, unit)
        }
        Measure::Tokens => {
            let (scale, unit) = prefix(&TOKENS, high);
            (decimal_step(least), scale, unit)
        }
    };
    let decimals = decimals(step / scale);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    let tick = |index: i64| {
        let value = index as f64 * step;
        let label = if index == 0 { format!("0{unit}") } else { format!("{:.decimals$}{unit}", value / scale) };
        (value, label)
    };
    (first..=last).map(tick).collect()
}

/// Spans that a clock has names for, where powers of ten of seconds have none.
const CLOCK_DECADES: [f64; 12] =
    [0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 36_000.0, DAY_S, 10.0 * DAY_S, 100.0 * DAY_S];

fn logarithmic_ticks(measure: Measure, [low, high]: [f64; 2], ticks_max: usize) -> Vec<(f64, String)> {
    let inside = |at: f64| at >= low - 1e-9 && at <= high + 1e-9;
    if measure == Measure::Seconds {
        let ticks = CLOCK_DECADES.iter().map(|&value| (value.log10(), label(measure, value)));
        return ticks.filter(|(at, _)| inside(*at)).collect();
    }
    let decades = high - low;
    let mantissas: &[f64] = if decades <= ticks_max as f64 / 3.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let every = (decades / ticks_max.max(1) as f64).ceil().max(1.0) as i32;
    let mut ticks = Vec::new();
    for exponent in low.floor() as i32..=high.ceil() as i32 {
        for mantissa in mantissas {
            let at = mantissa.log10() + f64::from(exponent);
            if exponent.rem_euclid(every) == 0 && inside(at) {
                ticks.push((at, label(measure, mantissa * 10f64.powi(exponent))));
            }
        }
    }
    ticks
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `least`.
fn decimal_step(least: f64) -> f64 {
    let power = 10f64.powi(least.log10().floor() as i32);
    let mantissa = least / power;
    let nice = [1.0, 2.0, 5.0].into_iter().find(|nice| *nice >= mantissa - 1e-9).unwrap_or(10.0);
    nice * power
}

/// The step in seconds, and the unit in which the labels count.
fn clock_step(least: f64) -> (f64, f64, &'static str) {
    if least <= 0.5 {
        return (decimal_step(least), 1.0, " s");
    }
    for &(unit, scale, steps) in CLOCK {
        if let Some(step) = steps.iter().find(|step| *step * scale >= least - 1e-9) {
            let unit = match unit {
                "s" => " s",
                "min" => " min",
                _ => " h",
            };
            return (step * scale, scale, unit);
        }
    }
    (decimal_step(least / DAY_S) * DAY_S, DAY_S, " d")
}

const BYTES: [(&str, f64); 6] = [(" PB", 1e15), (" TB", 1e12), (" GB", 1e9), (" MB", 1e6), (" kB", 1e3), (" B", 1.0)];
const TOKENS: [(&str, f64); 5] = [(" T", 1e12), (" B", 1e9), (" M", 1e6), (" k", 1e3), ("", 1.0)];
const BITS_PER_SECOND: [(&str, f64); 5] =
    [(" Tbit/s", 1e12), (" Gbit/s", 1e9), (" Mbit/s", 1e6), (" kbit/s", 1e3), (" bit/s", 1.0)];
const SECONDS: [(&str, f64); 6] =
    [(" d", DAY_S), (" h", 3600.0), (" min", 60.0), (" s", 1.0), (" ms", 1e-3), (" µs", 1e-6)];

fn prefix<const N: usize>(units: &[(&'static str, f64); N], value: f64) -> (f64, &'static str) {
    let &(unit, scale) = units.iter().find(|(_, scale)| value >= *scale * (1.0 - 1e-9)).unwrap_or(&units[N - 1]);
    (scale, unit)
}

fn decimals(step: f64) -> usize {
    (0..9)
        .find(|&decimals| {
            let shifted = step * 10f64.powi(decimals);
            (shifted - shifted.round()).abs() < 1e-6 * shifted
        })
        .unwrap_or(9) as usize
}

/// A value by itself, three significant digits: in a logarithmic tick, a legend or a table.
#[must_use]
pub fn label(measure: Measure, value: f64) -> String {
    let (scale, unit) = match measure {
        Measure::Number => (1.0, ""),
        Measure::Count => return format!("{value:.0}"),
        Measure::Share => return format!("{:.1} %", value * 100.0),
        Measure::Seconds => prefix(&SECONDS, value),
        Measure::Bytes => prefix(&BYTES, value),
        Measure::BitsPerSecond => prefix(&BITS_PER_SECOND, value),
        Measure::Tokens => prefix(&TOKENS, value),
    };
    format!("{}{unit}", significant(value / scale))
}

/// Three significant digits without trailing zeros.
fn significant(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor() as i32;
    if !(-4..5).contains(&magnitude) {
        return format!("{value:.0e}");
    }
    let decimals = (2 - magnitude).max(0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(measure: Measure, scale: Scale, low: f64, high: f64) -> String {
        let axis = Axis::new("", measure, scale, low, high, 6);
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn ticks_are_what_a_person_would_write() {
        use Measure::{Bytes, Count, Number, Seconds, Share, Tokens};
        use Scale::{Linear, Logarithmic};
        for (measure, scale, low, high, expected) in [
            (Number, Linear, 1.92, 5.61, "2, 3, 4, 5"),
            (Number, Linear, 3.301, 3.344, "3.31, 3.32, 3.33, 3.34"),
            (Count, Linear, 0.0, 3.0, "0, 1, 2, 3"),
            (Count, Linear, 0.0, 60.0, "0, 10, 20, 30, 40, 50, 60"),
            (Seconds, Linear, 0.0, 82_800.0, "0 h, 6 h, 12 h, 18 h"),
            (Seconds, Linear, 0.0, 7200.0, "0 min, 30 min, 60 min, 90 min, 120 min"),
            (Seconds, Linear, 0.0, 800_000.0, "0 d, 2 d, 4 d, 6 d, 8 d"),
            (Seconds, Linear, 0.0, 0.3, "0 s, 0.05 s, 0.10 s, 0.15 s, 0.20 s, 0.25 s, 0.30 s"),
            (Bytes, Linear, 0.0, 2.4e12, "0 TB, 0.5 TB, 1.0 TB, 1.5 TB, 2.0 TB"),
            (Bytes, Logarithmic, 8e6, 3e12, "10 MB, 100 MB, 1 GB, 10 GB, 100 GB, 1 TB"),
            (Seconds, Logarithmic, 500.0, 2e5, "10 min, 1 h, 10 h, 1 d"),
            (Number, Logarithmic, 2.0, 2e9, "100, 10000, 1e6, 1e8"),
            (Bytes, Logarithmic, 8e8, 3e10, "1 GB, 2 GB, 5 GB, 10 GB, 20 GB"),
            (Tokens, Linear, 0.0, 3.2e7, "0 M, 10 M, 20 M, 30 M"),
            (Share, Linear, 0.0, 1.0, "0 %, 20 %, 40 %, 60 %, 80 %, 100 %"),
        ] {
            assert_eq!(labels(measure, scale, low, high), expected, "{measure:?} {low} to {high}");
        }
    }

    #[test]
    fn a_range_without_width_has_an_axis() {
        assert!(!Axis::new("", Measure::Number, Scale::Linear, 2.0, 2.0, 6).ticks.is_empty());
        assert!(!Axis::new("", Measure::Bytes, Scale::Logarithmic, 5.0, 5.0, 6).ticks.is_empty());
    }

    #[test]
    fn decades_ask_for_a_logarithmic_axis() {
        assert_eq!(Axis::suitable_scale([0.0, 2.0, 5.0].into_iter()), Scale::Linear);
        assert_eq!(Axis::suitable_scale([0.0, 2.0, 5000.0].into_iter()), Scale::Logarithmic);
    }

    #[test]
    fn values_have_three_digits_and_a_unit() {
        assert_eq!(label(Measure::Bytes, 2.761e9), "2.76 GB");
        assert_eq!(label(Measure::BitsPerSecond, 1.1e8), "110 Mbit/s");
        assert_eq!(label(Measure::Seconds, 1380.0), "23 min");
        assert_eq!(label(Measure::Tokens, 4_500_000.0), "4.5 M");
        assert_eq!(label(Measure::Share, 0.8432), "84.3 %");
        assert_eq!(label(Measure::Number, 0.0), "0");
    }
}

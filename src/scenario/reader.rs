//! Reads a tree and collects every mistake: a reader that fails reports, and its caller goes on with the rest.

use std::cell::RefCell;
use std::str::FromStr;

use super::document::{Node, Value};
use super::problem::{Place, Problem};
use crate::cost::Distribution;
use crate::quantity::{Bandwidth, Duration, QuantityError};

/// The mistakes found so far.
#[derive(Debug, Default)]
pub struct Reader {
    problems: RefCell<Vec<Problem>>,
}

/// A map's fields; what was asked for is known, the rest is a mistake when the reading ends.
pub struct Fields<'a> {
    reader: &'a Reader,
    place: Place,
    entries: &'a [(super::document::Key, Node)],
    asked: RefCell<Vec<&'static str>>,
}

/// One of an enum's variants: its name and what stands under it.
pub struct Variant<'a> {
    /// The name.
    pub name: &'a str,
    /// Its place.
    pub place: Place,
    /// Its content; `None` for a bare word.
    pub content: Option<&'a Node>,
}

impl Reader {
    /// Reports a mistake; `None`, for `?` and `return`.
    pub fn report<T>(&self, place: Place, message: impl Into<String>, hint: impl Into<String>) -> Option<T> {
        self.note(Problem::new(place, message, hint));
        None
    }

    /// What a parser that stops at its first mistake has read.
    pub fn take<T>(&self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.note(problem)).ok()
    }

    /// A mistake that many cells of a sweep share is told once.
    fn note(&self, problem: Problem) {
        let mut problems = self.problems.borrow_mut();
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }

    /// All mistakes.
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    /// Whether there is none so far.
    pub fn is_clean(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// The fields of a map, read by `read`; unknown ones are reported.
    pub fn map<T>(&self, node: &Node, what: &str, read: impl FnOnce(&Fields<'_>) -> Option<T>) -> Option<T> {
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            other => {
                return self.report(node.place, format!("{what} is a map, not {}", other.kind()), "write `key: value`");
            }
        };
        let fields = Fields { reader: self, place: node.place, entries, asked: RefCell::default() };
        let result = read(&fields);
        fields.report_unknown(what);
        result
    }

    /// The items of a list.
    pub fn list<'a>(&self, node: &'a Node, what: &str) -> Option<&'a [Node]> {
        match &node.value {
            Value::List(items) => Some(items),
            other => self.report(node.place, format!("{what} is a list, not {}", other.kind()), "write `[a, b]`"),
        }
    }

    /// A scalar's text.
    pub fn text<'a>(&self, node: &'a Node, expected: &str) -> Option<&'a str> {
        match &node.value {
            Value::Scalar(text) if !text.is_empty() => Some(text),
            other => self.report(node.place, format!("expected {expected}, found {}", other.kind()), ""),
        }
    }

    /// A whole number in `low..=high`.
    pub fn integer(&self, node: &Node, low: u64, high: u64) -> Option<u64> {
        let expected = if high == u64::MAX {
            format!("a whole number of at least {low}")
        } else {
            format!("a whole number from {low} to {high}")
        };
        let text = self.text(node, &expected)?;
        match text.replace('_', "").parse::<u64>() {
            Ok(number) if (low..=high).contains(&number) => Some(number),
            _ => self.report(node.place, format!("expected {expected}, found `{text}`"), ""),
        }
    }

    /// A number that passes `is_good`.
    pub fn number(&self, node: &Node, expected: &str, is_good: impl Fn(f64) -> bool) -> Option<f64> {
        let text = self.text(node, expected)?;
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() && is_good(number) => Some(number),
            _ => self.report(node.place, format!("expected {expected}, found `{text}`"), ""),
        }
    }

    /// A positive number.
    pub fn positive(&self, node: &Node) -> Option<f64> {
        self.number(node, "a positive number", |number| number > 0.0)
    }

    /// `true` or `false`.
    pub fn truth(&self, node: &Node) -> Option<bool> {
        Some(self.variant(node, "value", &["true", "false"])?.name == "true")
    }

    /// A share between 0 and 1.
    pub fn share(&self, node: &Node) -> Option<f64> {
        self.number(node, "a number from 0 to 1", |number| (0.0..=1.0).contains(&number))
    }

    /// A quantity with its unit.
    pub fn quantity<T: FromStr<Err = QuantityError>>(&self, node: &Node) -> Option<T> {
        let text = self.text(node, "a quantity with its unit")?;
        match text.parse() {
            Ok(quantity) => Some(quantity),
            Err(error) => self.report(node.place, format!("expected {}, found `{text}`", error.expected), ""),
        }
    }

    /// A duration above zero.
    pub fn span(&self, node: &Node) -> Option<Duration> {
        let span = self.quantity::<Duration>(node)?;
        if span == Duration::ZERO {
            return self.report(node.place, "expected a duration above zero", "");
        }
        Some(span)
    }

    /// An enum's variant: a bare word, or a map with one key.
    pub fn variant<'a>(&self, node: &'a Node, what: &str, known: &[&str]) -> Option<Variant<'a>> {
        let variant = match &node.value {
            Value::Scalar(name) if !name.is_empty() => Variant { name, place: node.place, content: None },
            Value::Map(entries) if entries.len() == 1 => {
                Variant { name: &entries[0].0.name, place: entries[0].0.place, content: Some(&entries[0].1) }
            }
            _ => return self.report(node.place, format!("{what} is one of {}", listed(known)), ""),
        };
        if known.contains(&variant.name) {
            return Some(variant);
        }
        let message = format!("`{}` is no {what}; expected {}", variant.name, listed(known));
        self.report(variant.place, message, meant(variant.name, known))
    }

    /// A distribution of durations \[s\].
    pub fn durations(&self, node: &Node) -> Option<Distribution> {
        self.distribution(node, |node| self.quantity::<Duration>(node).map(Duration::as_secs_f64))
    }

    /// A distribution of rates \[bit/s\].
    pub fn bandwidths(&self, node: &Node) -> Option<Distribution> {
        self.distribution(node, |node| self.quantity::<Bandwidth>(node).map(Bandwidth::bits_per_second))
    }

    fn distribution(&self, node: &Node, read: impl Fn(&Node) -> Option<f64>) -> Option<Distribution> {
        if matches!(node.value, Value::Scalar(_)) {
            return read(node).map(Distribution::Fixed);
        }
        let variant = self.variant(node, "distribution", &["lognormal", "exponential", "weibull", "uniform"])?;
        let positive = |node: &Node| {
            let value = read(node)?;
            if value > 0.0 { Some(value) } else { self.report(node.place, "expected more than zero", "") }
        };
        let content = variant.content.or_else(|| self.report(variant.place, "its parameters are missing", ""))?;
        self.map(content, "a distribution", |fields| match variant.name {
            "lognormal" => {
                let median = fields.required("median", positive);
                let sigma = fields
                    .required("sigma", |node| self.number(node, "a number of at least 0", |number| number >= 0.0));
                Some(Distribution::Lognormal { median: median?, sigma: sigma? })
            }
            "exponential" => Some(Distribution::Exponential { mean: fields.required("mean", positive)? }),
            "weibull" => {
                let shape = fields.required("shape", |node| self.positive(node));
                let scale = fields.required("scale", positive);
                Some(Distribution::Weibull { shape: shape?, scale: scale? })
            }
            _ => {
                let low = fields.required("low", positive);
                let high = fields.required("high", positive);
                let (low, high) = (low?, high?);
                if low > high {
                    return self.report(fields.place_of("high"), "`high` is below `low`", "");
                }
                Some(Distribution::Uniform { low, high })
            }
        })
    }
}

impl<'a> Fields<'a> {
    fn find(&self, name: &'static str) -> Option<&'a Node> {
        self.asked.borrow_mut().push(name);
        self.entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// The field, which has to be there.
    pub fn required<T>(&self, name: &'static str, read: impl FnOnce(&Node) -> Option<T>) -> Option<T> {
        match self.find(name) {
            Some(node) => read(node),
            None => self.reader.report(self.place, format!("`{name}` is missing"), ""),
        }
    }

    /// The field, or `default` if it is not there. `None` if it is there and wrong.
    pub fn or<T>(&self, name: &'static str, default: T, read: impl FnOnce(&Node) -> Option<T>) -> Option<T> {
        self.find(name).map_or(Some(default), read)
    }

    /// The field, if it is there. `None` if it is there and wrong.
    pub fn optional<T>(&self, name: &'static str, read: impl FnOnce(&Node) -> Option<T>) -> Option<Option<T>> {
        self.find(name).map_or(Some(None), |node| read(node).map(Some))
    }

    /// Where the field's value stands; the map itself if there is none.
    pub fn place_of(&self, name: &str) -> Place {
        self.entries.iter().find(|(key, _)| key.name == name).map_or(self.place, |(_, node)| node.place)
    }

    /// Where the map stands.
    pub fn place(&self) -> Place {
        self.place
    }

    fn report_unknown(&self, what: &str) {
        let known = self.asked.borrow();
        for (key, _) in self.entries.iter().filter(|(key, _)| !known.contains(&key.name.as_str())) {
            let message = format!("unknown field `{}` in {what}; expected {}", key.name, listed(&known));
            self.reader.report::<()>(key.place, message, meant(&key.name, &known));
        }
    }
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The known name that `name` was probably meant to be.
pub fn meant(name: &str, known: &[&str]) -> String {
    let near = known.iter().map(|known| (strsim::jaro_winkler(name, known), known));
    match near.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((likeness, known)) if likeness > 0.75 => format!("did you mean `{known}`?"),
        _ => String::new(),
    }
}

//! Mistakes in a scenario, each with its place, and all of them at once.

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use thiserror::Error;

/// A stretch of one of the texts of a scenario (the file, then each override), in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which text.
    pub source: usize,
    /// First byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
}

/// A mistake before it is tied to its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Problem {
    /// A mistake and what to do about it; an empty hint is none.
    pub fn new(place: Place, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { place, message: message.into(), hint: Some(hint.into()).filter(|hint| !hint.is_empty()) }
    }
}

/// A mistake in a scenario.
#[derive(Debug, Clone, Error)]
#[error("{message}")]
pub struct Mistake {
    message: String,
    hint: Option<String>,
    start: usize,
    length: usize,
    text: NamedSource<String>,
}

impl Diagnostic for Mistake {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.hint.as_ref().map(|hint| Box::new(hint) as Box<dyn std::fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.text)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(LabeledSpan::new(Some("here".to_owned()), self.start, self.length))))
    }
}

impl Mistake {
    /// `file:line:column: message`, lines and columns from 1.
    #[must_use]
    pub fn line(&self) -> String {
        let before = &self.text.inner()[..self.start.min(self.text.inner().len())];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        format!("{}:{line}:{column}: {}", self.text.name(), self.message)
    }
}

/// All mistakes of a scenario.
#[derive(Debug, Clone, Error, Diagnostic)]
#[error("`{name}` has {}", if mistakes.len() == 1 { "a mistake".to_owned() } else { format!("{} mistakes", mistakes.len()) })]
pub struct ScenarioErrors {
    name: String,
    /// In order of their places.
    #[related]
    pub mistakes: Vec<Mistake>,
}

impl ScenarioErrors {
    /// Ties `problems` to the texts `sources` of (name, text), the file first.
    pub(super) fn new(sources: &[(String, String)], mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (problem.place.source, problem.place.start));
        let mistakes = problems.into_iter().map(|problem| {
            let (name, text) = &sources[problem.place.source];
            let first_line = text[problem.place.start..problem.place.end.max(problem.place.start)].lines().next();
            Mistake {
                message: problem.message,
                hint: problem.hint,
                start: problem.place.start,
                length: first_line.map_or(0, str::len),
                text: NamedSource::new(name, text.clone()),
            }
        });
        Self { name: sources[0].0.clone(), mistakes: mistakes.collect() }
    }
}

/// A scenario file that cannot be read at all.
#[derive(Debug, Error, Diagnostic)]
pub enum ScenarioError {
    /// It has mistakes.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Mistakes(#[from] Box<ScenarioErrors>),
    /// It cannot be read.
    #[error("cannot read the scenario `{path}`: {error}")]
    #[diagnostic(help("the scenarios that come with the program are in `scenarios/`"))]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
}

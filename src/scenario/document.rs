//! YAML text to a tree in which every node knows where it stands.
//!
//! Anchors and aliases, tags and several documents are refused: a scenario is one plain tree.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::problem::{Place, Problem};

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub place: Place,
}

/// A YAML value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text, a number, a truth value: whoever reads it decides.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// Keys and values, in order.
    Map(Vec<(Key, Node)>),
}

/// A key and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// The key.
    pub name: String,
    /// Where it stands.
    pub place: Place,
}

impl Value {
    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Scalar(text) if text.is_empty() => "nothing",
            Self::Scalar(_) => "a value",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

impl Node {
    /// An empty map at `place`.
    pub fn empty_map(place: Place) -> Self {
        Self { value: Value::Map(Vec::new()), place }
    }
}

struct Builder<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    text: &'a str,
    source: usize,
}

/// Reads `text`, the `source`-th of a scenario's texts.
///
/// # Errors
/// The first mistake in the syntax.
pub fn parse(text: &str, source: usize) -> Result<Node, Problem> {
    let mut builder = Builder { parser: Parser::new_from_str(text), text, source };
    let mut root = None;
    loop {
        let (event, span) = builder.next()?;
        match event {
            Event::StreamEnd => break,
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            _ if root.is_some() => {
                return Err(Problem::new(builder.place(span), "a scenario is one document", "remove the second one"));
            }
            event => root = Some(builder.node(event, span)?),
        }
    }
    root.ok_or_else(|| Problem::new(Place { source, start: 0, end: 0 }, "the scenario is empty", "see `scenarios/`"))
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Problem> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let at = self.byte(error.marker().index());
                let place = Place { source: self.source, start: at, end: at };
                Err(Problem::new(
                    place,
                    format!("not YAML: {}", error.info()),
                    "check indentation, quotes and brackets",
                ))
            }
            None => unreachable!("because the stream's end was not passed"),
        }
    }

    /// The parser counts characters, labels count bytes.
    fn byte(&self, character: usize) -> usize {
        self.text.char_indices().nth(character).map_or(self.text.len(), |(byte, _)| byte)
    }

    fn place(&self, span: Span) -> Place {
        Place { source: self.source, start: self.byte(span.start.index()), end: self.byte(span.end.index()) }
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, Problem> {
        let place = self.place(span);
        let value = match event {
            Event::Scalar(text, style, ..) => {
                let null = style == ScalarStyle::Plain && matches!(&*text, "~" | "null");
                Value::Scalar(if null { String::new() } else { text.into_owned() })
            }
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    let (event, span) = self.next()?;
                    if event == Event::SequenceEnd {
                        break Value::List(items);
                    }
                    items.push(self.node(event, span)?);
                }
            }
            Event::MappingStart(..) => {
                let mut entries: Vec<(Key, Node)> = Vec::new();
                loop {
                    let (event, span) = self.next()?;
                    if event == Event::MappingEnd {
                        break Value::Map(entries);
                    }
                    let key = self.node(event, span)?;
                    let Value::Scalar(name) = key.value else {
                        return Err(Problem::new(key.place, "a key is a word", "write `key: value`"));
                    };
                    if entries.iter().any(|(known, _)| known.name == name) {
                        return Err(Problem::new(key.place, format!("`{name}` stands here twice"), "remove one"));
                    }
                    let (event, span) = self.next()?;
                    let node = self.node(event, span)?;
                    entries.push((Key { name, place: key.place }, node));
                }
            }
            Event::Alias(_) => return Err(Problem::new(place, "aliases are not read", "write the value out")),
            other => return Err(Problem::new(place, format!("unexpected {other:?}"), "see `scenarios/`")),
        };
        Ok(Node { value, place })
    }
}

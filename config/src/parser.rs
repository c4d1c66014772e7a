//! Turns the events of the YAML parser into a tree.
//!
//! JSON needs no parser of its own, because a JSON document is also a YAML document, except for one escape.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use telemark_sdk::config::{Data, Env, Item, Origin, Tree};
use telemark_sdk::{ConfigError, text};

use crate::substitution::Substitution;
use crate::{json, scalar};

/// The maximum nesting of mappings and lists. The schema needs about 20.
const MAX_DEPTH: usize = 64;
/// The maximum number of values, including those to which aliases expand.
const MAX_VALUES: usize = 100_000;
/// The number of bytes of a text that count as another value.
const BYTES_PER_VALUE: usize = 64;
/// The maximum number of problems that an error lists.
const MAX_LISTED: usize = 50;

/// Parses a file. `name` names it in errors. References to variables are looked up in `env`.
///
/// # Errors
/// Fails if the text is not a single YAML document, if a key occurs twice in a mapping, if a reference to a variable is malformed, and
/// if the text exceeds a bound. The error lists all malformed references.
pub fn parse(name: &str, text: &str, env: &Env) -> Result<Tree, ConfigError> {
    let mut reader = Reader {
        substitution: Substitution::new(env),
        stack: Vec::new(),
        anchors: HashMap::new(),
        values: 0,
        root: None,
        problems: Vec::new(),
    };
    let text = json::without_pairs(text.strip_prefix('\u{feff}').unwrap_or(text));
    if let Err(problem) = reader.read(&text) {
        reader.problems.push(problem);
    }
    if reader.problems.is_empty() {
        return Ok(Tree::new(name, reader.root.unwrap_or_else(|| Item::new(Data::Null))));
    }
    let listed = reader.problems.iter().take(MAX_LISTED).map(|problem| format!("\n  {problem}"));
    let count = reader.problems.len();
    let more = if count > MAX_LISTED { format!("\n  and {} more", count - MAX_LISTED) } else { String::new() };
    let count = if count == 1 { "one problem".to_owned() } else { format!("{count} problems") };
    let listed: String = listed.collect();
    Err(ConfigError::state("configuration", format!("{} cannot be used, {count}{listed}{more}", text::foreign(name))))
}

struct Reader<'e> {
    substitution: Substitution<'e>,
    stack: Vec<Frame>,
    /// The values with an anchor, each with the number of values that it counts as.
    anchors: HashMap<usize, (Item, usize)>,
    /// The number of values so far, to which long texts add more than one.
    values: usize,
    root: Option<Item>,
    /// Problems that do not prevent the rest of the file from being read.
    problems: Vec<String>,
}

/// A mapping or a list that is not complete.
struct Frame {
    content: Content,
    anchor: usize,
    origin: Origin,
    /// The number of values before this one.
    before: usize,
}

enum Content {
    List(Vec<Item>),
    Mapping {
        entries: Vec<(String, Item)>,
        seen: HashSet<String>,
        /// The key whose value comes next.
        key: Option<(String, Origin)>,
    },
}

impl Reader<'_> {
    fn read(&mut self, text: &str) -> Result<(), String> {
        let mut parser = Parser::new_from_str(text);
        let mut has_document = false;
        while let Some(next) = parser.next_event() {
            let (event, span) = next.map_err(|error| at(error.marker(), &syntax(error.info())))?;
            let mark = span.start;
            match event {
                Event::DocumentStart(_) if has_document => {
                    return Err(at(&mark, "a second document begins: expected only one"));
                }
                Event::DocumentStart(_) => has_document = true,
                Event::Scalar(value, style, anchor, tag) => {
                    self.scalar(&value, style, anchor, tag.as_deref(), &mark)?
                }
                Event::SequenceStart(anchor, tag) => {
                    collection_tag(tag.as_deref(), "seq", &mark)?;
                    self.open(Content::List(Vec::new()), anchor, &mark)?;
                }
                Event::MappingStart(anchor, tag) => {
                    collection_tag(tag.as_deref(), "map", &mark)?;
                    let content = Content::Mapping { entries: Vec::new(), seen: HashSet::new(), key: None };
                    self.open(content, anchor, &mark)?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.close(&mark)?,
                Event::Alias(anchor) => self.alias(anchor, &mark)?,
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            }
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        value: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        mark: &Marker,
    ) -> Result<(), String> {
        if let Some(Content::Mapping { key: None, .. }) = self.stack.last().map(|frame| &frame.content) {
            self.count(weight(value), mark)?;
        }
        if let Some(Content::Mapping { seen, key: key @ None, .. }) =
            self.stack.last_mut().map(|frame| &mut frame.content)
        {
            // spec: configuration/data-model.md#environment-variable-substitution — only in values
            if !seen.insert(value.to_owned()) {
                return Err(at(mark, &format!("the key {:?} is there already", text::foreign(value))));
            }
            *key = Some((value.to_owned(), origin(mark, Vec::new())));
            return Ok(());
        }
        let (substituted, is_reference) = (self.substitution.apply(value), Substitution::is_reference(value));
        let (value, variables) = match substituted {
            Ok(substituted) => substituted,
            Err(problem) => {
                self.problems.push(at(mark, &problem));
                (value.to_owned(), Vec::new())
            }
        };
        let weight = weight(&value);
        self.count(weight, mark)?;
        let data = match scalar::typed(value, style == ScalarStyle::Plain, tag) {
            Ok(data) => data,
            Err(problem) => return Err(at(mark, &problem)),
        };
        let (line, column) = place(mark);
        let origin = match (is_reference, variables.first()) {
            (true, Some(name)) => Origin::reference(line, column, name.clone()),
            _ => origin(mark, variables),
        };
        self.add(Item { data, origin }, anchor, weight, mark)
    }

    fn open(&mut self, content: Content, anchor: usize, mark: &Marker) -> Result<(), String> {
        self.count(1, mark)?;
        if let Some(Content::Mapping { key: None, .. }) = self.stack.last().map(|frame| &frame.content) {
            return Err(at(mark, "a key must be text"));
        }
        if self.stack.len() >= MAX_DEPTH {
            return Err(at(mark, &too_deep()));
        }
        self.stack.push(Frame { content, anchor, origin: origin(mark, Vec::new()), before: self.values - 1 });
        Ok(())
    }

    fn close(&mut self, mark: &Marker) -> Result<(), String> {
        let Some(Frame { content, anchor, origin, before }) = self.stack.pop() else { return Ok(()) };
        let data = match content {
            Content::List(items) => Data::List(items),
            Content::Mapping { entries, .. } => Data::Mapping(entries),
        };
        self.add(Item { data, origin }, anchor, self.values - before, mark)
    }

    fn alias(&mut self, anchor: usize, mark: &Marker) -> Result<(), String> {
        if let Some(Content::Mapping { key: None, .. }) = self.stack.last().map(|frame| &frame.content) {
            return Err(at(mark, "a key must be text"));
        }
        let Some((_, values)) = self.anchors.get(&anchor) else {
            return Err(at(mark, "an alias refers to a value that contains it"));
        };
        self.count(*values, mark)?;
        match self.anchors.get(&anchor).map(|(item, _)| item.clone()) {
            // Whoever visits the tree recurses into copies, too.
            Some(item) if self.stack.len() + height(&item) > MAX_DEPTH => Err(at(mark, &too_deep())),
            Some(item) => self.add(item, 0, 0, mark),
            None => Ok(()),
        }
    }

    /// Counts values before they are created.
    fn count(&mut self, values: usize, mark: &Marker) -> Result<(), String> {
        self.values += values;
        if self.values > MAX_VALUES {
            return Err(at(
                mark,
                &format!("the file has too many values: expected at most {MAX_VALUES}, aliases included"),
            ));
        }
        Ok(())
    }

    /// Adds a complete value to the mapping or list that contains it.
    fn add(&mut self, mut item: Item, anchor: usize, values: usize, mark: &Marker) -> Result<(), String> {
        if anchor != 0 {
            self.anchors.insert(anchor, (item.clone(), values));
            // The copy is another set of values.
            self.count(values, mark)?;
        }
        match self.stack.last_mut().map(|frame| &mut frame.content) {
            None => self.root = Some(item),
            Some(Content::List(items)) => items.push(item),
            Some(Content::Mapping { entries, key, .. }) => {
                let Some((key, place)) = key.take() else { return Err(at(mark, "a key must be text")) };
                // A block begins on a later line than its key, by which people look for it.
                if !matches!(item.data, Data::Boolean(_) | Data::Integer(_) | Data::Number(_) | Data::Text(_)) {
                    item.origin = match item.origin {
                        Origin::File { variables, .. } if !variables.is_empty() => {
                            Origin::at(line_of(&place).0, line_of(&place).1, variables)
                        }
                        _ => place,
                    };
                }
                entries.push((key, item));
            }
        }
        Ok(())
    }
}

/// Returns the number of values that a text counts as: a long text takes the memory of many short ones.
fn weight(text: &str) -> usize {
    1 + text.len() / BYTES_PER_VALUE
}

/// Returns the number of mappings and lists that contain each other.
fn height(item: &Item) -> usize {
    let entries = item.entries().iter().map(|(_, value)| value);
    match item.data {
        Data::List(_) | Data::Mapping(_) => 1 + item.items().iter().chain(entries).map(height).max().unwrap_or(0),
        _ => 0,
    }
}

/// Describes an error of the YAML parser, which has a limit of its own on the nesting.
fn syntax(info: &str) -> String {
    match info {
        "recursion limit exceeded" => too_deep(),
        info => text::foreign(info).to_string(),
    }
}

fn too_deep() -> String {
    format!("is nested too deeply: expected at most {MAX_DEPTH} levels")
}

fn line_of(origin: &Origin) -> (u32, u32) {
    match origin {
        Origin::File { line, column, .. } => (*line, *column),
        _ => (0, 0),
    }
}

fn collection_tag(tag: Option<&Tag>, expected: &str, mark: &Marker) -> Result<(), String> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == expected) => {
            Err(at(mark, "a tag of this kind is not supported"))
        }
        _ => Ok(()),
    }
}

fn place(mark: &Marker) -> (u32, u32) {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    (number(mark.line()), number(mark.col().saturating_add(1)))
}

fn origin(mark: &Marker, variables: Vec<String>) -> Origin {
    let (line, column) = place(mark);
    Origin::at(line, column, variables)
}

fn at(mark: &Marker, problem: &str) -> String {
    let (line, column) = place(mark);
    format!("line {line}, column {column}: {problem}")
}

//! The values of a configuration file, with their places.

use std::collections::{HashMap, HashSet};
use std::fmt;

/// A configuration file after parsing and substitution. Its `Debug` shows no value, since any of them may be a secret.
#[derive(Clone, PartialEq)]
pub struct Tree {
    name: String,
    root: Item,
}

impl Tree {
    /// Creates a tree. Errors name its source, such as a path, with `name`.
    pub fn new(name: impl Into<String>, root: Item) -> Self {
        Tree { name: name.into(), root }
    }

    /// Returns the name of the source.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the outermost value.
    pub fn root(&self) -> &Item {
        &self.root
    }

    /// Returns the names of all variables to which values refer.
    pub(crate) fn variables(&self) -> HashSet<&str> {
        fn add<'a>(item: &'a Item, names: &mut HashSet<&'a str>) {
            names.extend(item.origin.variables().iter().map(String::as_str));
            item.items().iter().for_each(|item| add(item, names));
            item.entries().iter().for_each(|(_, item)| add(item, names));
        }
        let mut names = HashSet::new();
        add(&self.root, &mut names);
        names
    }

    /// Returns the path of an item of this tree, such as `tracer_provider.processors[0].batch`, which identifies the item by its
    /// address.
    pub(super) fn path_of(&self, item: &Item) -> Option<String> {
        fn find(at: &Item, wanted: &Item, path: &mut String) -> bool {
            if std::ptr::eq(at, wanted) {
                return true;
            }
            let length = path.len();
            match &at.data {
                Data::Mapping(entries) => entries.iter().any(|(key, value)| {
                    path.truncate(length);
                    push_key(path, key);
                    find(value, wanted, path)
                }),
                Data::List(items) => items.iter().enumerate().any(|(index, value)| {
                    path.truncate(length);
                    path.push_str(&format!("[{index}]"));
                    find(value, wanted, path)
                }),
                _ => false,
            }
        }
        let mut path = String::new();
        find(&self.root, item, &mut path).then_some(path)
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Appends a key to a path.
pub(in crate::config) fn push_key(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

/// A value with its origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The value.
    pub data: Data,
    /// The origin of the value.
    pub origin: Origin,
}

/// A value. A key that is missing and a key whose value is null differ: only the second one is in the tree.
///
/// `Debug` shows the kind of a value but not the value, which may be a secret.
#[derive(Clone, PartialEq)]
pub enum Data {
    /// No value.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Number(f64),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Item>),
    /// A mapping, in the order of the file. Its keys are unique.
    Mapping(Vec<(String, Item)>),
}

/// The source of a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The value is a default.
    #[default]
    Default,
    /// Code sets the value.
    Code,
    /// Code has replaced another value while the program ran.
    CodeChange,
    /// An environment variable with this name sets the value.
    Variable(String),
    /// A file contains the value.
    #[non_exhaustive]
    File {
        /// The line, starting at 1.
        line: u32,
        /// The column in characters, starting at 1.
        column: u32,
        /// The names of the variables to which the value refers.
        variables: Box<[String]>,
        /// True if the value is nothing but a reference to one variable.
        is_reference: bool,
        /// True if the value has replaced another one while the program ran.
        is_change: bool,
    },
}

impl Origin {
    /// Creates the origin of a value in a file, which starts at this line and column and refers to these variables.
    pub fn at(line: u32, column: u32, variables: impl IntoIterator<Item = String>) -> Self {
        Origin::File { line, column, variables: variables.into_iter().collect(), is_reference: false, is_change: false }
    }

    /// Creates the origin of a value that is nothing but a reference to a variable, as in `key: ${NAME}`.
    pub fn reference(line: u32, column: u32, variable: String) -> Self {
        Origin::File { line, column, variables: Box::new([variable]), is_reference: true, is_change: false }
    }

    /// Returns the variable whose value this is.
    pub(super) fn variable(&self) -> Option<&str> {
        match self {
            Origin::Variable(name) => Some(name),
            Origin::File { variables, is_reference: true, .. } => variables.first().map(String::as_str),
            _ => None,
        }
    }

    /// Returns the names of the variables that the value contains.
    pub(super) fn variables(&self) -> &[String] {
        match self {
            Origin::Variable(name) => std::slice::from_ref(name),
            Origin::File { variables, .. } => variables,
            _ => &[],
        }
    }
}

/// Shows the origin as a comment does: `default`, `code`, `OTEL_SERVICE_NAME`, `line 7`, `line 7, API_KEY`,
/// `run-time change, line 7`, or `run-time change, code`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Code => f.write_str("code"),
            Origin::CodeChange => f.write_str("run-time change, code"),
            Origin::Variable(name) => f.write_str(name),
            Origin::File { line, variables, is_change, .. } => {
                write!(f, "{}line {line}", if *is_change { "run-time change, " } else { "" })?;
                variables.iter().try_for_each(|name| write!(f, ", {name}"))
            }
        }
    }
}

impl Item {
    /// Creates an item with the origin [`Origin::Default`].
    pub fn new(data: impl Into<Data>) -> Self {
        Item { data: data.into(), origin: Origin::Default }
    }

    /// Creates a mapping.
    pub fn mapping<K: Into<String>>(entries: impl IntoIterator<Item = (K, Item)>) -> Self {
        Item::new(Data::Mapping(entries.into_iter().map(|(key, item)| (key.into(), item)).collect()))
    }

    /// Sets the origin.
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// Declares the value, with everything in it, as one that has replaced another one while the program ran.
    pub(crate) fn changed(mut self) -> Self {
        if let Origin::File { is_change, .. } = &mut self.origin {
            *is_change = true;
        }
        self.data = match self.data {
            Data::List(items) => Data::List(items.into_iter().map(Item::changed).collect()),
            Data::Mapping(entries) => {
                Data::Mapping(entries.into_iter().map(|(key, item)| (key, item.changed())).collect())
            }
            scalar => scalar,
        };
        self
    }

    /// Returns true if the values are equal, wherever they come from.
    pub(crate) fn is_same(&self, other: &Item) -> bool {
        match (&self.data, &other.data) {
            (Data::List(one), Data::List(two)) => {
                one.len() == two.len() && one.iter().zip(two).all(|(one, two)| one.is_same(two))
            }
            (Data::Mapping(one), Data::Mapping(two)) if one.len() == two.len() => {
                // A search for each of many keys would take time that grows with their square.
                let others: HashMap<&str, &Item> = two.iter().map(|(key, value)| (key.as_str(), value)).collect();
                one.iter().all(|(key, value)| others.get(key.as_str()).is_some_and(|other| value.is_same(other)))
            }
            (one, two) => one == two,
        }
    }

    /// Returns the value of a key, or `None` if the key is missing or this is no mapping.
    pub fn get(&self, key: &str) -> Option<&Item> {
        match &self.data {
            Data::Mapping(entries) => entries.iter().find(|(known, _)| known == key).map(|(_, item)| item),
            _ => None,
        }
    }

    /// Returns the value of a key for a change, or `None` if the key is missing or this is no mapping.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Item> {
        match &mut self.data {
            Data::Mapping(entries) => entries.iter_mut().find(|(known, _)| known == key).map(|(_, item)| item),
            _ => None,
        }
    }

    /// Returns the value of a key for a change, and adds the key with null if it is missing. Anything but a mapping becomes one.
    pub(crate) fn value_mut(&mut self, key: &str) -> &mut Item {
        if self.get(key).is_none() {
            let mut entries = match std::mem::replace(&mut self.data, Data::Null) {
                Data::Mapping(entries) => entries,
                _ => Vec::new(),
            };
            entries.push((key.to_owned(), Item::new(Data::Null)));
            self.data = Data::Mapping(entries);
        }
        match self.get_mut(key) {
            Some(value) => value,
            None => unreachable!("the key has been added"),
        }
    }

    /// Removes a key.
    pub(crate) fn remove(&mut self, key: &str) {
        if let Data::Mapping(entries) = &mut self.data {
            entries.retain(|(known, _)| known != key);
        }
    }

    /// Returns the items of a list for a change.
    pub(crate) fn items_mut(&mut self) -> &mut [Item] {
        match &mut self.data {
            Data::List(items) => items,
            _ => &mut [],
        }
    }

    /// Returns the entries of a mapping. Null has none.
    pub fn entries(&self) -> &[(String, Item)] {
        match &self.data {
            Data::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// Returns the items of a list. Null has none.
    pub fn items(&self) -> &[Item] {
        match &self.data {
            Data::List(items) => items,
            _ => &[],
        }
    }

    /// Returns true if the value is null.
    pub fn is_null(&self) -> bool {
        matches!(self.data, Data::Null)
    }
}

impl From<bool> for Data {
    fn from(value: bool) -> Self {
        Data::Boolean(value)
    }
}

impl From<i64> for Data {
    fn from(value: i64) -> Self {
        Data::Integer(value)
    }
}

impl From<f64> for Data {
    fn from(value: f64) -> Self {
        Data::Number(value)
    }
}

impl From<String> for Data {
    fn from(value: String) -> Self {
        Data::Text(value)
    }
}

impl From<&str> for Data {
    fn from(value: &str) -> Self {
        Data::Text(value.to_owned())
    }
}

impl From<Vec<Item>> for Data {
    fn from(items: Vec<Item>) -> Self {
        Data::List(items)
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Data::Null => "Null",
            Data::Boolean(_) => "Boolean(…)",
            Data::Integer(_) => "Integer(…)",
            Data::Number(_) => "Number(…)",
            Data::Text(_) => "Text(…)",
            Data::List(_) => "List(…)",
            Data::Mapping(_) => "Mapping(…)",
        })
    }
}

/// Shows a scalar as it would be written, and the kind of any other value.
impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Data::Null => f.write_str("null"),
            Data::Boolean(value) => write!(f, "{value}"),
            Data::Integer(value) => write!(f, "{value}"),
            Data::Number(value) => write!(f, "{value}"),
            Data::Text(value) => f.write_str(value),
            Data::List(_) => f.write_str("a list"),
            Data::Mapping(_) => f.write_str("a mapping"),
        }
    }
}

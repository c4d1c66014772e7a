//! Writes a tree as YAML, with the origin of each value and without secrets.

use std::fmt;

use super::item::{Data, Item, Origin, Tree, push_key};
use super::report::secrecy;
use crate::text::Secrecy;

/// The maximum length in characters of a key that YAML finds by the colon behind it.
const MAX_SIMPLE_KEY: usize = 1000;

/// A tree as a valid configuration file. A comment after each value names its origin. A secret that comes from a variable appears as
/// a reference to that variable, and any other secret as `…`.
#[derive(Clone, Debug)]
pub struct Printed<'a> {
    tree: &'a Tree,
    has_origins: bool,
}

impl<'a> Printed<'a> {
    /// Writes this tree with the origins.
    pub fn new(tree: &'a Tree) -> Self {
        Printed { tree, has_origins: true }
    }

    /// Leaves the origins out.
    #[must_use]
    pub fn without_origins(mut self) -> Self {
        self.has_origins = false;
        self
    }

    /// Writes the entries of a mapping or a list, each on a line of its own.
    /// With `is_entry`, the first line continues that of a list's dash.
    fn block(
        &self,
        f: &mut fmt::Formatter<'_>,
        item: &Item,
        indent: usize,
        is_entry: bool,
        path: &mut String,
    ) -> fmt::Result {
        let length = path.len();
        match &item.data {
            Data::Mapping(entries) => entries.iter().enumerate().try_for_each(|(index, (key, value))| {
                push_key(path, key);
                let margin = if index == 0 && is_entry { 0 } else { indent };
                let key = quoted(key, "$");
                write!(f, "{:margin$}", "")?;
                match key.chars().count() {
                    ..=MAX_SIMPLE_KEY => write!(f, "{key}:")?,
                    _ => write!(f, "? {key}\n{:indent$}:", "")?,
                }
                self.value(f, value, indent, path)?;
                path.truncate(length);
                Ok(())
            }),
            Data::List(items) => items.iter().enumerate().try_for_each(|(index, value)| {
                path.push_str(&format!("[{index}]"));
                write!(f, "{:indent$}-", "")?;
                match &value.data {
                    Data::Mapping(entries) if !entries.is_empty() => {
                        f.write_str(" ")?;
                        self.block(f, value, indent + 2, true, path)?;
                    }
                    _ => self.value(f, value, indent, path)?,
                }
                path.truncate(length);
                Ok(())
            }),
            _ => Ok(()),
        }
    }

    /// Returns true for a list of which code has changed only parts, so that one comment cannot tell the origins.
    fn needs_lines(&self, list: &Item) -> bool {
        let is_change = |item: &Item| item.origin == Origin::CodeChange;
        self.has_origins && !is_change(list) && list.items().iter().any(is_change)
    }

    fn value(&self, f: &mut fmt::Formatter<'_>, item: &Item, indent: usize, path: &mut String) -> fmt::Result {
        // A reference without quotes cannot be in brackets.
        let is_short =
            |item: &Item| !matches!(item.data, Data::List(_) | Data::Mapping(_)) && !shown(item, path).starts_with('$');
        match &item.data {
            Data::Mapping(entries) if !entries.is_empty() => {
                f.write_str("\n")?;
                return self.block(f, item, indent + 2, false, path);
            }
            Data::List(items) if !items.iter().all(is_short) || self.needs_lines(item) => {
                f.write_str("\n")?;
                return self.block(f, item, indent + 2, false, path);
            }
            Data::List(items) => {
                let items: Vec<_> = items.iter().map(|item| shown(item, path)).collect();
                write!(f, " [{}]", items.join(", "))?;
            }
            Data::Mapping(_) => f.write_str(" {}")?,
            // An empty value is null, as it is usual for a component without settings.
            Data::Null => {}
            _ => write!(f, " {}", shown(item, path))?,
        }
        match self.has_origins {
            true => writeln!(f, " # {}", crate::text::display(&item.origin)),
            false => f.write_str("\n"),
        }
    }
}

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.block(f, self.tree.root(), 0, false, &mut String::new())
    }
}

/// Returns a value as it appears in the file, without secrets.
fn shown(item: &Item, path: &str) -> String {
    let hidden = match secrecy(path, &item.origin) {
        // Only text can be an address, whatever its key.
        Secrecy::Address if !matches!(item.data, Data::Text(_)) => Secrecy::Open,
        hidden => hidden,
    };
    match (&item.data, item.origin.variable()) {
        (data, variable) if hidden != Secrecy::Open && !matches!(data, Data::Null) => match (variable, data) {
            (Some(name), Data::Text(_)) if hidden == Secrecy::Hidden => format!("\"${{{name}}}\""),
            // Without quotes the reference has the type of the variable's value.
            (Some(name), _) if hidden == Secrecy::Hidden => format!("${{{name}}}"),
            _ => quoted(&hidden.apply(data.to_string()), "$$"),
        },
        (Data::Text(text), _) => quoted(text, "$$"),
        (Data::Number(number), _) if number.is_nan() => ".nan".to_owned(),
        (Data::Number(number), _) if number.is_infinite() => if *number > 0.0 { ".inf" } else { "-.inf" }.to_owned(),
        // A whole number keeps its point, without which it would be read as an integer.
        (Data::Number(number), _) => format!("{number:?}"),
        (other, _) => other.to_string(),
    }
}

/// Writes text so that it is read back unchanged: in quotes unless it is a plain word. `dollar` stands for `$`, which is doubled in
/// values and stays in keys.
fn quoted(text: &str, dollar: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '.' | '-');
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let is_other_type =
        ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&&*text.to_ascii_lowercase());
    if starts_well && text.chars().all(is_word) && !is_other_type {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            '$' => quoted.push_str(dollar),
            c if crate::text::is_harmful(c) => quoted.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

//! The attributes on the functions that rules chose, and the context of the tasks that they spawn.

use std::collections::{BTreeSet, HashMap};

use syn::visit::{self, Visit};
use syn::{Attribute, File, FnArg, ImplItemFn, ItemFn, Signature, TraitItemFn, Visibility};

use super::edits::{Edit, indent, line_break};
use crate::source::program::SourceFile;
use crate::source::routed::variable;
use crate::zero::rewrite::syntax::bytes;
use crate::zero::rewrite::{Edges, Role, Source, What, rewrite};
use crate::zero::rules::Rules;

/// The start of an attribute as it is inserted for one build.
const ATTRIBUTE: &str = "#[::telemark::";
/// The start of insertions that only one build needs.
const OF_BUILD: [&str; 2] = ["#![recursion_limit", " let _telemark = "];

/// Returns the edits of a file, and notes about functions that do not have what their rule names.
///
/// # Errors
/// Returns the reason for which the file is left alone.
pub(crate) fn edits(
    file: &SourceFile,
    tree: &File,
    start: usize,
    rules: &Rules,
    edges: &Edges<'_>,
) -> Result<(Vec<Edit>, Vec<String>), String> {
    let places = Places::of(tree, start);
    let none = BTreeSet::new();
    let source = Source {
        text: &file.text,
        file: &file.shown,
        krate: &file.krate,
        module: &file.module,
        role: if file.is_example { Role::Test } else { file.role },
        edges,
        left_out: &none,
    };
    let rewritten = rewrite(&source, rules)?;
    let spans: BTreeSet<_> = rewritten
        .changes
        .iter()
        .filter(|change| matches!(change.what, What::Span(..)))
        .map(|change| change.offset)
        .collect();
    let (mut edits, mut notes) = (Vec::new(), Vec::new());
    for insertion in rewritten.insertions {
        if OF_BUILD.iter().any(|start| insertion.text.starts_with(start)) {
            continue;
        }
        let text = insertion.text.replace("::telemark::", "telemark::");
        if insertion.text.starts_with(ATTRIBUTE) && spans.contains(&insertion.offset) {
            let place = places.found.get(&insertion.offset);
            let at = place.map_or(insertion.offset, |place| place.at);
            if let Some(field) = place.and_then(|place| place.lacks(&text)) {
                let (shown, line) = (&file.shown, file.text[..at].matches('\n').count() + 1);
                notes.push(format!(
                    "{shown}:{line}: the function has no parameter `{field}` for the field of its rule, and gets no span"
                ));
                continue;
            }
            edits.push(on_its_own_line(&file.text, at, text.trim_end()));
        } else {
            edits.push(Edit::insert(insertion.offset, text));
        }
    }
    Ok((edits, notes))
}

/// Returns the edit that puts an attribute on the line before an item, or before the item if other code is on its line.
fn on_its_own_line(text: &str, at: usize, attribute: &str) -> Edit {
    let after = match indent(text, at) {
        Some(indent) => format!("{}{indent}", line_break(text)),
        None => " ".to_owned(),
    };
    Edit::insert(at, format!("{attribute}{after}"))
}

/// The functions of a file, by their offset.
struct Places {
    start: usize,
    found: HashMap<usize, Place>,
}

/// The place for the attribute of a function, behind its documentation, and its parameters.
struct Place {
    at: usize,
    parameters: Vec<String>,
}

impl Places {
    fn of(tree: &File, start: usize) -> Places {
        let mut places = Places { start, found: HashMap::new() };
        places.visit_file(tree);
        places
    }

    fn add(&mut self, node: usize, attributes: &[Attribute], visibility: Option<&Visibility>, signature: &Signature) {
        let other = attributes.iter().find(|attribute| !attribute.path().is_ident("doc"));
        let visibility = visibility.filter(|visibility| !matches!(visibility, Visibility::Inherited));
        let at = other.map(bytes).or_else(|| visibility.map(bytes)).unwrap_or_else(|| bytes(signature)).start;
        let parameters = signature.inputs.iter().filter_map(|input| match input {
            FnArg::Receiver(_) => Some("self".to_owned()),
            FnArg::Typed(typed) => variable(&typed.pat),
        });
        let place = Place { at: self.start + at, parameters: parameters.collect() };
        self.found.insert(self.start + node, place);
    }
}

impl Place {
    /// Returns a field of an attribute that is no parameter, among those that are names.
    fn lacks<'t>(&self, attribute: &'t str) -> Option<&'t str> {
        let (_, fields) = attribute.split_once("fields(")?;
        let fields = fields.split([',', ')']).map(str::trim);
        let is_name =
            |field: &&str| !field.is_empty() && field.chars().all(|char| char.is_alphanumeric() || char == '_');
        let until_others = fields.take_while(is_name);
        until_others.into_iter().find(|field| !self.parameters.iter().any(|parameter| parameter == field))
    }
}

impl<'ast> Visit<'ast> for Places {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.add(bytes(function).start, &function.attrs, Some(&function.vis), &function.sig);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, method: &'ast ImplItemFn) {
        self.add(bytes(method).start, &method.attrs, Some(&method.vis), &method.sig);
        visit::visit_impl_item_fn(self, method);
    }

    fn visit_trait_item_fn(&mut self, method: &'ast TraitItemFn) {
        self.add(bytes(method).start, &method.attrs, None, &method.sig);
        visit::visit_trait_item_fn(self, method);
    }
}

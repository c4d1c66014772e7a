//! The functions that no rule instruments, and the reasons.

use syn::{Attribute, Block, Path, Signature};

use super::syntax::{is_test, last_name};

/// A function and its attributes.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) attributes: &'a [Attribute],
    pub(super) signature: &'a Signature,
    pub(super) body: &'a Block,
}

/// Attributes that instrument a function already.
pub(crate) const INSTRUMENTED: [&str; 4] = ["traced", "instrument", "autometrics", "trace"];
/// Attributes with which a function's symbol or calling convention is part of a contract.
const LINKED: [&str; 11] = [
    "no_mangle",
    "export_name",
    "unsafe",
    "naked",
    "link_section",
    "panic_handler",
    "proc_macro",
    "proc_macro_derive",
    "proc_macro_attribute",
    "wasm_bindgen",
    "pyfunction",
];
/// Attributes that a span would defeat.
const DEFEATED: [&str; 4] = ["inline", "track_caller", "target_feature", "kernel"];
/// Attributes of blocks that leave their methods as they are.
const HARMLESS: [&str; 16] = [
    "allow",
    "async_trait",
    "automatically_derived",
    "cfg",
    "cfg_attr",
    "deny",
    "deprecated",
    "doc",
    "expect",
    "forbid",
    "must_use",
    "on_unimplemented",
    "do_not_recommend",
    "rustfmt",
    "skip",
    "warn",
];
/// Traits for formatting and dropping, whose methods run behind the scenes.
const BEHIND_THE_SCENES: [&str; 11] =
    ["Binary", "Debug", "Display", "Drop", "LowerExp", "LowerHex", "Octal", "Pointer", "UpperExp", "UpperHex", "Write"];

/// Returns the reason for which this function is never instrumented.
pub(super) fn why(place: &Place<'_>) -> Option<&'static str> {
    let signature = place.signature;
    if is_test(place.attributes) {
        return Some("test");
    }
    if signature.constness.is_some() {
        return Some("const");
    }
    if signature.abi.is_some() || signature.variadic.is_some() {
        return Some("extern");
    }
    place.attributes.iter().find_map(|attribute| match &*last_name(attribute) {
        name if name.contains("test") || matches!(name, "bench" | "fixture" | "case") => Some("test"),
        name if INSTRUMENTED.contains(&name) => Some("instrumented already"),
        name if LINKED.contains(&name) => Some("its symbol is part of a contract"),
        name if DEFEATED.contains(&name) => Some("inline, track_caller or target_feature"),
        _ => None,
    })
}

/// Returns the reason for which the methods of a block are never instrumented.
pub(super) fn block(attributes: &[Attribute], of_trait: Option<&Path>) -> Option<&'static str> {
    if attributes.iter().any(|attribute| INSTRUMENTED.contains(&&*last_name(attribute))) {
        return Some("instrumented already");
    }
    if attributes.iter().any(|attribute| !HARMLESS.contains(&&*last_name(attribute))) {
        return Some("within the block of another macro");
    }
    let last = of_trait.and_then(|path| path.segments.last());
    let is_behind = last.is_some_and(|last| BEHIND_THE_SCENES.iter().any(|name| last.ident == *name));
    is_behind.then_some("formatting or dropping")
}

//! Reads the redaction of a variable or of a configuration file.

use telemark_sdk::ConfigError;
use telemark_sdk::config::Settings;
use telemark_sdk::install::Node;
use telemark_sdk::redaction::Redactor;

use crate::action::{Action, HashKey};
use crate::pattern::Pattern;
use crate::presets::{Preset, accepted};
use crate::redaction::Redaction;
use crate::rule::Rule;

const VARIABLE: &str = "OTEL_RUST_REDACTION";

/// Maximum number of rules in a file, and of their patterns together.
const MAX_RULES: usize = 64;

/// Creates the redactor that `OTEL_RUST_REDACTION` or `distribution.telemark.redaction` of a configuration file describes, for
/// [`Components::with_redaction`](telemark_sdk::install::Components::with_redaction). Problems of a file are reported at their places.
///
/// # Errors
/// Returns an error if the variable names a preset that does not exist.
pub fn from_config(node: Node<'_>) -> Result<Box<dyn Redactor>, ConfigError> {
    match node.settings() {
        Some(settings) => Ok(Box::new(from_file(settings))),
        None => {
            let list = node.env().string(VARIABLE).unwrap_or_default();
            Ok(Box::new(Redaction::new().with_presets(in_order(presets(&list)?))))
        }
    }
}

/// Reads the names of presets.
fn presets(list: &str) -> Result<Vec<Preset>, ConfigError> {
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| name.parse().map_err(|_| ConfigError::invalid(VARIABLE, name, accepted()))).collect()
}

/// Returns each preset once, in the order in which they are best applied.
fn in_order(named: Vec<Preset>) -> impl Iterator<Item = Preset> {
    Preset::ALL.into_iter().filter(move |preset| named.contains(preset))
}

/// Reads a file: its rules, then its presets, so that a rule may treat the values of a preset differently.
fn from_file(settings: Settings<'_>) -> Redaction {
    let key = hash_key(settings);
    let mut redaction = Redaction::new();
    let mut patterns = 0;
    for (index, settings) in settings.list("rules").enumerate() {
        if index == MAX_RULES {
            settings.problem(&format!("is too many: at most {MAX_RULES} rules are accepted"));
            break;
        }
        patterns += settings.list("values").count();
        if patterns > Pattern::MAX_COUNT {
            settings
                .problem(&format!("has too many patterns: at most {} in all rules are accepted", Pattern::MAX_COUNT));
            break;
        }
        if let Some(rule) = rule(settings, key.as_ref()) {
            redaction = redaction.with_rule(rule);
        }
    }
    if let Some(keys) = settings.texts("exempt_keys") {
        redaction = redaction.with_exempt_keys(keys);
    }
    let named = settings.list("presets").filter_map(preset).collect();
    redaction.with_presets(in_order(named))
}

fn hash_key(settings: Settings<'_>) -> Option<HashKey> {
    let key = HashKey::new(settings.text("hash_key")?);
    if key.is_err() {
        settings.problem_at("hash_key", &format!("must have at least {} characters", HashKey::MIN_BYTES));
    }
    key.ok()
}

fn preset(settings: Settings<'_>) -> Option<Preset> {
    let found = settings.as_text()?.parse();
    if found.is_err() {
        settings.reject(&accepted());
    }
    found.ok()
}

fn rule(settings: Settings<'_>, key: Option<&HashKey>) -> Option<Rule> {
    let keys = settings.texts("keys");
    let values = settings.texts("values");
    let preset = settings.get("preset").filter(|item| !item.item().is_null());
    let rule = match (preset, values) {
        (Some(_), Some(_)) => {
            settings
                .problem("has a preset and values, which are two ways to select parts of values; make it two rules");
            return None;
        }
        (Some(named), None) => Rule::for_preset(self::preset(named)?),
        (None, Some(_)) => Rule::for_values(settings.list("values").filter_map(pattern)).ok()?,
        (None, None) => match &keys {
            Some(keys) => Rule::for_keys(keys.iter().copied()),
            None => {
                settings.problem("selects nothing; it needs keys, values or a preset");
                return None;
            }
        },
    };
    let rule = match keys {
        Some(keys) => rule.in_keys(keys),
        None => rule,
    };
    Some(match action(settings, key)? {
        Some(action) => rule.with_action(action),
        None => rule,
    })
}

/// Returns the text of a pattern that can be used.
fn pattern<'a>(settings: Settings<'a>) -> Option<&'a str> {
    let text = settings.as_text()?;
    match Pattern::new(text) {
        Ok(_) => Some(text),
        Err(error) => {
            settings.problem(&error.to_string());
            None
        }
    }
}

/// Returns the action; `None` within it for that of the rule. Returns `None` after a problem.
fn action(settings: Settings<'_>, key: Option<&HashKey>) -> Option<Option<Action>> {
    let name = settings.text("action").unwrap_or("replace");
    let keep_last = settings.integer("keep_last", 0..=64);
    let replacement = settings.text("replacement");
    if keep_last.is_some_and(|count| count > 0) && name != "mask" {
        settings.problem_at("keep_last", "belongs to the action mask");
    }
    if replacement.is_some() && name != "replace" {
        settings.problem_at("replacement", "belongs to the action replace");
    }
    Some(match name {
        "delete" => Some(Action::Delete),
        "mask" => Some(Action::Mask { keep_last: keep_last.and_then(|count| count.try_into().ok()).unwrap_or(0) }),
        "hash" => match key {
            Some(key) => Some(Action::Hash(key.clone())),
            None => {
                settings.problem_at("action", "hash needs a hash_key beside the rules");
                return None;
            }
        },
        "replace" => replacement.map(|text| Action::Replace(text.to_owned().into())),
        _ => {
            settings.problem_at("action", "must be delete, mask, hash or replace");
            return None;
        }
    })
}

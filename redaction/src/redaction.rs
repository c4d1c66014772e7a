//! The redactor: rules in their order, applied to each kind of value.

use std::borrow::Cow;

use opentelemetry::logs::AnyValue;
use opentelemetry::{Array, StringValue, Value};
use telemark_sdk::redaction::Redactor;
use telemark_sdk::text::Patterns;

use crate::action::Action;
use crate::presets::Preset;
use crate::presets::classes::Classes;
use crate::rule::{Name, Rule};

/// Hides values by rules and presets in everything that a program exports; see the [crate](crate).
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    /// Rules that decide about a whole value by its key.
    whole: Vec<Rule>,
    /// Rules for parts of values.
    parts: Vec<Rule>,
    /// All rules, in the order in which they were added.
    counted: Vec<Rule>,
    exempt: Option<Patterns>,
    /// True if a rule or an exemption compares keys.
    compares_keys: bool,
    /// True if a rule may find something in an integer.
    reads_integers: bool,
}

/// The result of a look at a value.
#[derive(PartialEq)]
enum Edit {
    Keep,
    Remove,
    Replace(String),
}

/// Integers below have fewer digits than any payment card.
const MIN_CARD: u64 = 100_000_000_000;

impl Redaction {
    /// Hides nothing.
    pub fn new() -> Self {
        Redaction::default()
    }

    /// Adds a preset, whose values are replaced by [`Preset::replacement`].
    pub fn with_preset(self, preset: Preset) -> Self {
        self.with_rule(Rule::for_preset(preset))
    }

    /// Adds presets.
    pub fn with_presets(self, presets: impl IntoIterator<Item = Preset>) -> Self {
        presets.into_iter().fold(self, Redaction::with_preset)
    }

    /// Adds a rule. Rules apply in the order in which they were added, each to what the earlier ones left; those of
    /// [`Rule::for_keys`] go first, and the first that selects a value decides.
    ///
    /// The number of values in which each rule has hidden something is in `health().redaction`, by the [name](Rule::name) of the rule.
    /// Clones of a redaction share the counts.
    pub fn with_rule(mut self, rule: Rule) -> Self {
        let rule = rule.counted_anew();
        self.counted.push(rule.clone());
        self.compares_keys |= rule.is_for_keys() || rule.may_take_whole();
        self.reads_integers |= rule.may_be_integer();
        if rule.may_take_whole() {
            self.whole.push(rule.clone());
        }
        if rule.may_take_parts() {
            self.parts.push(rule);
        }
        self
    }

    /// Exempts attributes with these keys from presets and from rules for values, for instance `server.address` from
    /// [`Preset::IpAddress`]. `*` stands for any sequence of characters and `?` for a single one. Replaces earlier exemptions.
    pub fn with_exempt_keys<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        let none: [&str; 0] = [];
        self.exempt = Some(Patterns::new(Some(keys), none));
        self.compares_keys = true;
        self
    }

    /// Returns the action of the first rule that selects the whole value by its key.
    #[inline]
    fn action_for(&self, key: Name<'_>) -> Option<&Action> {
        if self.whole.is_empty() {
            return None;
        }
        self.action_unless(self.is_exempt(key), key)
    }

    /// The same for a key that is known to be exempt or not.
    #[inline]
    fn action_unless(&self, is_exempt: bool, key: Name<'_>) -> Option<&Action> {
        let rule = self.whole.iter().find(|rule| (rule.is_explicit() || !is_exempt) && rule.takes_whole(key))?;
        rule.count();
        Some(&rule.action)
    }

    #[inline]
    fn is_exempt(&self, key: Name<'_>) -> bool {
        self.exempt.as_ref().is_some_and(|keys| key.matches(keys))
    }

    /// Applies the rules for parts of values. Without a key, the text is no attribute and is never removed.
    fn parts_of(&self, key: Option<Name<'_>>, text: &str, is_integer: bool) -> Edit {
        if self.parts.is_empty() {
            return Edit::Keep;
        }
        let classes = Classes::in_text(text);
        let mut edited: Option<String> = None;
        for rule in &self.parts {
            if !rule.may_be_in(classes, text.len())
                || is_integer && !rule.may_be_integer()
                || rule.is_for_keys() && !key.is_some_and(|key| rule.covers(key))
            {
                continue;
            }
            if let Some(replaced) = rule.replaced(edited.as_deref().unwrap_or(text)) {
                rule.count();
                if key.is_some() && matches!(rule.action, Action::Delete) {
                    return Edit::Remove;
                }
                edited = Some(replaced);
            }
        }
        edited.map_or(Edit::Keep, Edit::Replace)
    }

    fn parts_of_integer(&self, key: Name<'_>, number: i64) -> Edit {
        if !self.reads_integers || number.unsigned_abs() < MIN_CARD && !self.has_patterns() {
            return Edit::Keep;
        }
        self.parts_of(Some(key), &number.to_string(), true)
    }

    fn has_patterns(&self) -> bool {
        self.parts.iter().any(Rule::has_patterns)
    }

    fn parts_of_array(&self, key: Name<'_>, array: &mut Array) -> bool {
        match array {
            Array::String(texts) => texts.retain_mut(|text| match self.parts_of(Some(key), text.as_str(), false) {
                Edit::Keep => true,
                Edit::Remove => false,
                Edit::Replace(edited) => {
                    *text = edited.into();
                    true
                }
            }),
            Array::I64(numbers) => {
                let edits: Vec<_> = numbers.iter().map(|number| self.parts_of_integer(key, *number)).collect();
                if edits.iter().any(|edit| *edit != Edit::Keep) {
                    // The elements of an array have one type.
                    let texts = numbers.iter().zip(edits).filter_map(|(number, edit)| match edit {
                        Edit::Keep => Some(number.to_string().into()),
                        Edit::Remove => None,
                        Edit::Replace(text) => Some(text.into()),
                    });
                    *array = Array::String(texts.collect());
                }
            }
            _ => {}
        }
        true
    }

    /// Edits a value, of which a list or a map around it may already be exempt. Rules that name the key of a value within it still apply.
    fn edit_log_value(&self, key: Name<'_>, value: &mut AnyValue, is_exempt: bool) -> bool {
        let is_exempt = is_exempt || self.is_exempt(key);
        match self.action_unless(is_exempt, key) {
            Some(Action::Delete) => return false,
            Some(action) => {
                whole_log_value(action, value);
                return true;
            }
            None if is_exempt && !matches!(value, AnyValue::ListAny(_) | AnyValue::Map(_)) => return true,
            None => {}
        }
        let edit = match value {
            AnyValue::String(text) => self.parts_of(Some(key), text.as_str(), false),
            AnyValue::Int(number) => self.parts_of_integer(key, *number),
            AnyValue::Bytes(bytes) => {
                let edit = text_of(bytes).map_or(Edit::Keep, |text| self.parts_of(Some(key), text, false));
                if let Edit::Replace(text) = edit {
                    **bytes = text.into_bytes();
                    return true;
                }
                edit
            }
            AnyValue::ListAny(list) => {
                list.retain_mut(|value| self.edit_log_value(key, value, is_exempt));
                Edit::Keep
            }
            AnyValue::Map(map) => {
                map.retain(|own, value| {
                    let own = own.as_str();
                    let path = match self.compares_keys && !key.path.is_empty() {
                        true => Cow::Owned(path_to(key.path, own)),
                        false => Cow::Borrowed(own),
                    };
                    self.edit_log_value(Name { own, path: &path }, value, is_exempt)
                });
                Edit::Keep
            }
            _ => Edit::Keep,
        };
        match edit {
            Edit::Keep => true,
            Edit::Remove => false,
            Edit::Replace(text) => {
                *value = AnyValue::String(text.into());
                true
            }
        }
    }
}

/// Maximum number of bytes of the path of a map that are compared. Each value in the map repeats its path, so that long keys would take
/// time in proportion to the product of their length and the number of values.
const MAX_PATH: usize = 1024;

/// Returns the path of the value `own` in the map with this path. The middle of a path that is too long is left out.
fn path_to(path: &str, own: &str) -> String {
    if path.len() <= MAX_PATH {
        return format!("{path}.{own}");
    }
    let (mut head, mut tail) = (MAX_PATH / 2, path.len() - MAX_PATH / 2);
    while !path.is_char_boundary(head) {
        head -= 1;
    }
    while !path.is_char_boundary(tail) {
        tail += 1;
    }
    format!("{}…{}.{own}", &path[..head], &path[tail..])
}

/// Returns the text that these bytes are, without the part of a character at their end, which a limit of their length may have cut.
fn text_of(bytes: &[u8]) -> Option<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&bytes[..error.valid_up_to()]).ok(),
        Err(_) => None,
    }
}

impl Redactor for Redaction {
    #[inline]
    fn attribute(&self, key: &str, value: &mut Value) -> bool {
        let key = Name::new(key);
        if self.compares_keys {
            match self.action_for(key) {
                Some(Action::Delete) => return false,
                Some(action) => {
                    whole_value(action, value);
                    return true;
                }
                None if self.is_exempt(key) => return true,
                None => {}
            }
        }
        let edit = match value {
            Value::String(text) => self.parts_of(Some(key), text.as_str(), false),
            Value::I64(number) => self.parts_of_integer(key, *number),
            Value::Array(array) => return self.parts_of_array(key, array),
            _ => Edit::Keep,
        };
        match edit {
            Edit::Keep => true,
            Edit::Remove => false,
            Edit::Replace(text) => {
                *value = text.into();
                true
            }
        }
    }

    fn log_value(&self, key: &str, value: &mut AnyValue) -> bool {
        self.edit_log_value(Name::new(key), value, false)
    }

    fn text(&self, text: &str) -> Option<String> {
        match self.parts_of(None, text, false) {
            Edit::Replace(text) => Some(text),
            Edit::Keep | Edit::Remove => None,
        }
    }

    fn hidden(&self) -> Vec<(Cow<'static, str>, u64)> {
        let mut counts: Vec<(Cow<'static, str>, u64)> = Vec::new();
        for rule in &self.counted {
            match counts.iter_mut().find(|(name, _)| name == rule.name()) {
                Some((_, count)) => *count += rule.hidden(),
                None => counts.push((rule.name().to_owned().into(), rule.hidden())),
            }
        }
        counts
    }
}

fn replaced(action: &Action, text: &str) -> String {
    let mut edited = String::new();
    action.write(text, &mut edited);
    edited
}

/// Applies an action other than a deletion to a whole value. Each element of an array is masked or hashed by itself.
fn whole_value(action: &Action, value: &mut Value) {
    fn each<T: ToString>(action: &Action, list: &[T]) -> Array {
        Array::String(list.iter().map(|one| StringValue::from(replaced(action, &one.to_string()))).collect())
    }
    *value = match (action, &*value) {
        (Action::Replace(_), _) => replaced(action, "").into(),
        (_, Value::Array(Array::String(list))) => Value::Array(each(action, list)),
        (_, Value::Array(Array::I64(list))) => Value::Array(each(action, list)),
        (_, Value::Array(Array::F64(list))) => Value::Array(each(action, list)),
        (_, Value::Array(Array::Bool(list))) => Value::Array(each(action, list)),
        (_, one) => replaced(action, &one.as_str()).into(),
    };
}

/// Applies an action other than a deletion to a whole value. Each element of a list or a map is masked or hashed by itself.
fn whole_log_value(action: &Action, value: &mut AnyValue) {
    if matches!(action, Action::Replace(_)) {
        *value = AnyValue::String(replaced(action, "").into());
        return;
    }
    let text = match value {
        AnyValue::ListAny(list) => return list.iter_mut().for_each(|value| whole_log_value(action, value)),
        AnyValue::Map(map) => return map.values_mut().for_each(|value| whole_log_value(action, value)),
        AnyValue::String(text) => replaced(action, text.as_str()),
        AnyValue::Int(number) => replaced(action, &number.to_string()),
        AnyValue::Double(number) => replaced(action, &number.to_string()),
        AnyValue::Boolean(flag) => replaced(action, &flag.to_string()),
        AnyValue::Bytes(bytes) => replaced(action, &String::from_utf8_lossy(bytes)),
        _ => replaced(action, ""),
    };
    *value = AnyValue::String(text.into());
}

//! A rule: what it selects, and what it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use telemark_sdk::ConfigError;
use telemark_sdk::text::Patterns;

use crate::action::Action;
use crate::pattern::Pattern;
use crate::presets::Preset;
use crate::presets::classes::Classes;

/// Selects values and says what happens to them. By default, a value is replaced by `[redacted]`, or by the text of its preset.
///
/// ```
/// use telemark_redaction::{Action, Preset, Rule};
///
/// // The whole value of every attribute with such a key:
/// let whole = Rule::for_keys(["user.name", "enduser.*"]).with_action(Action::Delete);
/// // What matches a pattern, in every text:
/// let parts = Rule::for_values([r"\bACME-\d{6}\b"])?;
/// // The same, only in attributes with such keys:
/// let parts_of_some = Rule::for_values([r"\d{6}"])?.in_keys(["app.code", "app.codes.*"]);
/// // Another action for a preset:
/// let preset = Rule::for_preset(Preset::PaymentCard).with_action(Action::Mask { keep_last: 4 });
/// # let _ = (whole, parts, parts_of_some, preset);
/// # Ok::<(), telemark_sdk::ConfigError>(())
/// ```
///
/// In keys, `*` stands for any sequence of characters and `?` for a single one. The key of a value within a map is its own key; its path,
/// such as `user.name` for the key `name` in the body's map `user`, is compared as well.
#[derive(Clone, Debug)]
pub struct Rule {
    /// `None` for every key, and for texts that have no key.
    keys: Option<Patterns>,
    what: What,
    pub(crate) action: Action,
    /// The first thing that the rule selects, for the name of the rule.
    selects: String,
    /// The number of values in which the rule has hidden something. Shared by all clones.
    hidden: Arc<AtomicU64>,
}

/// Characters of a key or of a pattern in the name of a rule.
const MAX_NAME: usize = 64;

#[derive(Clone, Debug)]
enum What {
    /// The whole value.
    Whole,
    Preset(Preset),
    Patterns(Vec<Pattern>),
}

impl Rule {
    /// Selects the whole value of each attribute with one of these keys, of any type. Goes before all rules for parts of values.
    pub fn for_keys<K: Into<String>>(keys: impl IntoIterator<Item = K>) -> Self {
        let keys: Vec<String> = keys.into_iter().map(Into::into).collect();
        let selects = selection("keys", &keys);
        Rule::new(What::Whole, selects).in_keys(keys)
    }

    /// Selects what matches one of these regular expressions, in every text and in integers. Their syntax is that of the crate `regex`,
    /// which has no backreferences and no lookaround, so that a search takes time in proportion to the length of the text. `\d`, `\w` and
    /// `\s` follow Unicode.
    ///
    /// # Errors
    /// Returns an error if a pattern is no regular expression, matches the empty text, is longer than 1,024 bytes or takes more than
    /// 256 KiB, and if there are none or more than 64.
    pub fn for_values<P: AsRef<str>>(patterns: impl IntoIterator<Item = P>) -> Result<Self, ConfigError> {
        let texts: Vec<_> = patterns.into_iter().collect();
        let patterns = texts.iter().map(|pattern| Pattern::new(pattern.as_ref())).collect::<Result<Vec<_>, _>>()?;
        match patterns.len() {
            1..=Pattern::MAX_COUNT => Ok(Rule::new(What::Patterns(patterns), selection("values", &texts))),
            count => {
                let accepted = format!("1 to {} patterns", Pattern::MAX_COUNT);
                Err(ConfigError::invalid("values", count.to_string(), accepted))
            }
        }
    }

    /// Selects what a preset finds, in every text.
    pub fn for_preset(preset: Preset) -> Self {
        let action = Action::Replace(preset.replacement().into());
        Rule { action, ..Rule::new(What::Preset(preset), preset.name().to_owned()) }
    }

    fn new(what: What, selects: String) -> Self {
        let hidden = Arc::default();
        Rule { keys: None, what, action: Action::Replace("[redacted]".into()), selects, hidden }
    }

    /// Returns the name under which [`Redaction`](crate::Redaction) counts what this rule hides: that of its preset, or `keys` or `values`
    /// with the first key or pattern.
    pub fn name(&self) -> &str {
        &self.selects
    }

    /// Counts a value in which this rule has hidden something.
    pub(crate) fn count(&self) {
        self.hidden.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn hidden(&self) -> u64 {
        self.hidden.load(Ordering::Relaxed)
    }

    /// Returns the same rule with a count of its own.
    pub(crate) fn counted_anew(self) -> Self {
        Rule { hidden: Arc::default(), ..self }
    }

    /// Restricts the rule to attributes with these keys.
    pub fn in_keys<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        let none: [&str; 0] = [];
        self.keys = Some(Patterns::new(Some(keys), none));
        self
    }

    /// Sets the action.
    pub fn with_action(mut self, action: Action) -> Self {
        self.action = action;
        self
    }

    /// Returns true if the rule may decide about a value by its key alone.
    pub(crate) fn may_take_whole(&self) -> bool {
        match &self.what {
            What::Whole => true,
            What::Preset(preset) => preset.reads_keys(),
            What::Patterns(_) => false,
        }
    }

    /// Returns true if the rule applies to parts of values.
    pub(crate) fn may_take_parts(&self) -> bool {
        !matches!(self.what, What::Whole)
    }

    pub(crate) fn is_for_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// Returns true if the program has named the keys, so that no exemption applies.
    pub(crate) fn is_explicit(&self) -> bool {
        matches!(self.what, What::Whole)
    }

    /// Returns true if the rule selects the whole value of the attribute with this key.
    pub(crate) fn takes_whole(&self, key: Name<'_>) -> bool {
        self.covers(key)
            && match &self.what {
                What::Whole => true,
                What::Preset(preset) => preset.takes_key(key.own),
                What::Patterns(_) => false,
            }
    }

    /// Returns true if the rule applies to the attribute with this key. A text that is no attribute has none.
    pub(crate) fn covers(&self, key: Name<'_>) -> bool {
        self.keys.as_ref().is_none_or(|keys| key.matches(keys))
    }

    /// Returns true if a text with these classes may contain a match.
    #[inline]
    pub(crate) fn may_be_in(&self, classes: Classes, length: usize) -> bool {
        match &self.what {
            What::Whole => false,
            What::Preset(preset) => preset.may_be_in(classes, length),
            What::Patterns(_) => true,
        }
    }

    pub(crate) fn has_patterns(&self) -> bool {
        matches!(self.what, What::Patterns(_))
    }

    pub(crate) fn may_be_integer(&self) -> bool {
        match &self.what {
            What::Whole => false,
            What::Preset(preset) => preset.may_be_integer(),
            What::Patterns(_) => true,
        }
    }

    /// Returns the text with its matches replaced, or `None` if there is no match.
    pub(crate) fn replaced(&self, text: &str) -> Option<String> {
        match &self.what {
            What::Whole => None,
            What::Preset(preset) => {
                let mut edit = Edit::new(text, &self.action);
                let mut from = 0;
                while let Some(found) = preset.find(text, from) {
                    from = found.end;
                    edit.replace(found);
                }
                edit.finish()
            }
            What::Patterns(patterns) => patterns.iter().fold(None, |edited: Option<String>, pattern| {
                let text = edited.as_deref().unwrap_or(text);
                let mut edit = Edit::new(text, &self.action);
                pattern.each(text, |found| edit.replace(found));
                edit.finish().or(edited)
            }),
        }
    }
}

/// Describes what a rule selects by its first key or pattern.
fn selection(kind: &str, of: &[impl AsRef<str>]) -> String {
    let first: String = of.first().map_or("", AsRef::as_ref).chars().take(MAX_NAME).collect();
    format!("{kind} {first}")
}

/// The key of a value.
#[derive(Clone, Copy)]
pub(crate) struct Name<'a> {
    /// The key itself; empty for the body of a log record.
    pub(crate) own: &'a str,
    /// The keys of the maps around the value and its own, with dots in between.
    pub(crate) path: &'a str,
}

impl<'a> Name<'a> {
    pub(crate) fn new(key: &'a str) -> Self {
        Name { own: key, path: key }
    }

    pub(crate) fn matches(self, keys: &Patterns) -> bool {
        keys.matches(self.own) || self.own.len() != self.path.len() && keys.matches(self.path)
    }
}

/// Bytes by which a text may grow. What is found beyond that is removed.
const MAX_GROWTH: usize = 4096;

/// A text of which parts are replaced from left to right.
struct Edit<'a> {
    text: &'a str,
    action: &'a Action,
    /// The end of what has been copied or replaced.
    done: usize,
    edited: String,
}

impl<'a> Edit<'a> {
    fn new(text: &'a str, action: &'a Action) -> Self {
        Edit { text, action, done: 0, edited: String::new() }
    }

    fn replace(&mut self, found: std::ops::Range<usize>) {
        self.edited.push_str(&self.text[self.done..found.start]);
        if self.edited.len() <= found.start + MAX_GROWTH {
            self.action.write(&self.text[found.clone()], &mut self.edited);
        }
        self.done = found.end;
    }

    fn finish(mut self) -> Option<String> {
        if self.done == 0 {
            return None;
        }
        self.edited.push_str(&self.text[self.done..]);
        Some(self.edited)
    }
}

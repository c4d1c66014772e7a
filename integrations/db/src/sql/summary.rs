//! Summaries of statements: their operations and targets, such as `SELECT orders customers`.
//!
//! spec: db/database-spans.md#generating-a-summary-of-the-query

use super::dialect::Dialect;
use super::keywords::Keyword;
use super::lexer::{Kind, Token, tail};

/// The maximum length of a summary, in characters.
pub const MAX_SUMMARY_CHARACTERS: usize = 255;

/// Parentheses within more than these share the state of one level.
const MAX_DEPTH: usize = 31;

/// The statement at one level of parentheses.
#[derive(Clone, Copy, Debug)]
struct Level {
    verb: Verb,
    place: Place,
    /// True before the first token.
    is_first: bool,
    /// True after `UNION`, whose `SELECT` belongs to the same operation.
    is_union: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    /// No statement yet.
    Awaited,
    Select,
    Insert,
    Update,
    Delete,
    Merge,
    /// `CREATE` and similar verbs, before the kind of the object.
    Define,
    /// A verb before one name.
    Name,
    /// A verb before a list of names.
    Names,
    /// `START`, before `TRANSACTION`.
    Start,
    /// Nothing that follows belongs to the summary.
    Done,
}

/// The place within a statement with regard to its targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Elsewhere,
    /// The next name is a target.
    BeforeName,
    /// A comma leads to the next target.
    AfterName,
}

const TOP: Level = Level { verb: Verb::Awaited, place: Place::Elsewhere, is_first: true, is_union: false };

/// Builds the summary of a statement from its tokens.
pub(super) struct Summarizer<'a> {
    text: &'a str,
    dialect: Dialect,
    summary: Words,
    level: Level,
    /// The levels of the open parentheses around it, the outermost first.
    outer: [Level; MAX_DEPTH],
    depth: usize,
    /// The target that is being read, which may have further parts: its start, its end, and the end of a dot behind it.
    name: Option<(usize, usize, usize)>,
    previous: Keyword,
    is_query: bool,
    /// True within `CREATE` and `ALTER`.
    is_definition: bool,
    /// True once the rest of the text does not matter.
    is_over: bool,
}

impl<'a> Summarizer<'a> {
    pub(super) fn new(text: &'a str, dialect: Dialect) -> Self {
        let summary = Words { text: String::with_capacity(48), characters: 0, is_full: false };
        Summarizer {
            text,
            dialect,
            summary,
            level: TOP,
            outer: [TOP; MAX_DEPTH],
            depth: 0,
            name: None,
            previous: Keyword::None,
            is_query: false,
            is_definition: false,
            is_over: false,
        }
    }

    /// Returns true if the next token may be the name of a target.
    #[inline]
    pub(super) fn wants_name(&self) -> bool {
        self.level.place == Place::BeforeName
    }

    /// Returns the summary, and true if the statement asks for rows.
    pub(super) fn finish(mut self) -> (String, bool) {
        self.end_name();
        (self.summary.text, self.is_query)
    }

    /// Takes a word. `next` returns the byte that follows it.
    #[inline]
    pub(super) fn word(&mut self, token: &Token, keyword: Keyword, next: impl Fn() -> u8) {
        if self.is_over || (self.name.is_some() && self.continues_name(token)) {
            return;
        }
        self.follow_word(token, keyword, next);
        self.previous = keyword;
    }

    /// Takes a symbol.
    #[inline]
    pub(super) fn symbol(&mut self, token: &Token, symbol: u8) {
        if self.is_over || (self.name.is_some() && self.continues_name(token)) {
            return;
        }
        self.follow_symbol(symbol);
        self.previous = Keyword::None;
    }

    /// Takes a quoted name, a literal or a placeholder.
    #[inline]
    pub(super) fn operand(&mut self, token: &Token) {
        if self.is_over || (self.name.is_some() && self.continues_name(token)) {
            return;
        }
        let is_string = || self.text.as_bytes().get(token.start) == Some(&b'\'');
        match token.kind {
            Kind::Quoted => self.quoted(token),
            Kind::Literal if self.dialect.has_string_names() && is_string() => self.quoted(token),
            _ => self.value(),
        }
        self.previous = Keyword::None;
    }

    /// Extends a name such as `shop.orders`, or ends it.
    fn continues_name(&mut self, token: &Token) -> bool {
        let Some((start, end, dot)) = self.name else { return false };
        let part = matches!(token.kind, Kind::Word | Kind::Quoted) && dot == token.start && dot > end;
        if part {
            self.name = Some((start, token.end, token.end));
        } else if token.is_symbol(b'.') && dot == end && token.start == end {
            self.name = Some((start, end, token.end));
        } else {
            self.end_name();
            return false;
        }
        true
    }

    fn end_name(&mut self) {
        if let Some((start, end, _)) = self.name.take() {
            self.summary.add(self.text.get(start..end).unwrap_or_default());
        }
    }

    fn begin_name(&mut self, token: &Token) {
        self.name = Some((token.start, token.end, token.end));
        let level = &mut self.level;
        level.place = match level.verb {
            Verb::Select | Verb::Update | Verb::Delete | Verb::Merge | Verb::Names => Place::AfterName,
            // `FROM (a JOIN b)`
            Verb::Awaited => {
                level.verb = Verb::Select;
                Place::AfterName
            }
            Verb::Insert => Place::Elsewhere,
            Verb::Define | Verb::Name | Verb::Start | Verb::Done => {
                level.verb = Verb::Done;
                Place::Elsewhere
            }
        };
        level.is_first = false;
    }

    fn quoted(&mut self, token: &Token) {
        if self.level.place == Place::BeforeName {
            self.begin_name(token);
        } else {
            self.level.is_first = false;
        }
    }

    fn value(&mut self) {
        // `{? = call name}` begins with a value.
        let is_top = self.depth == 0;
        let level = &mut self.level;
        level.is_first &= is_top;
        if level.place == Place::BeforeName {
            level.place = Place::AfterName;
        }
    }

    #[inline]
    fn follow_symbol(&mut self, symbol: u8) {
        match symbol {
            b'(' => self.open(),
            b')' => self.close(),
            b',' if self.level.place == Place::AfterName => self.level.place = Place::BeforeName,
            // A value follows, which no dialect may take for a name in quotes.
            b'=' if self.level.place == Place::BeforeName => self.level.place = Place::Elsewhere,
            b';' => {
                self.depth = 0;
                self.level = TOP;
            }
            _ => {}
        }
    }

    fn open(&mut self) {
        let outer = &mut self.level;
        let mut inner = TOP;
        inner.is_union = outer.is_union;
        match outer.verb {
            Verb::Define | Verb::Done | Verb::Names | Verb::Start => inner.verb = Verb::Done,
            _ if outer.place == Place::BeforeName => {
                inner.place = Place::BeforeName;
                outer.place = Place::AfterName;
            }
            _ => {}
        }
        outer.is_union = false;
        outer.is_first = false;
        if let Some(kept) = self.outer.get_mut(self.depth) {
            *kept = *outer;
        }
        self.depth = self.depth.saturating_add(1);
        self.level = inner;
    }

    fn close(&mut self) {
        let Some(depth) = self.depth.checked_sub(1) else { return };
        self.depth = depth;
        if let Some(outer) = self.outer.get(depth) {
            self.level = *outer;
        }
    }

    #[inline]
    fn follow_word(&mut self, token: &Token, keyword: Keyword, next: impl Fn() -> u8) {
        let Level { verb, place, .. } = self.level;
        if verb == Verb::Done {
            // The body of a trigger or a procedure has statements of its own.
            self.is_over |= self.is_definition && token.tail == tail("begin");
            return;
        }
        match keyword {
            Keyword::Select => self.select(token),
            // `CREATE INDEX ON` lets the database choose the name.
            Keyword::On if verb == Verb::Name => self.level.verb = Verb::Done,
            _ if place == Place::BeforeName => self.word_before_name(token, keyword),
            Keyword::SetOperation => {
                let is_union = matches!(verb, Verb::Select | Verb::Awaited);
                (self.level.place, self.level.is_union) = (Place::Elsewhere, is_union);
            }
            _ => match verb {
                Verb::Awaited => self.first_word(token, keyword, next),
                Verb::Define => self.kind_of_object(token, keyword),
                Verb::Start => {
                    if keyword == Keyword::Transaction {
                        self.summary.add(self.text(token));
                    }
                    self.level.verb = Verb::Done;
                }
                _ => self.clause(keyword),
            },
        }
    }

    /// Takes a word where a target is expected: its name, or a word in front of it.
    fn word_before_name(&mut self, token: &Token, keyword: Keyword) {
        match keyword {
            Keyword::Values | Keyword::With => self.level.place = Place::Elsewhere,
            // `TABLE` may also be the name of a table.
            Keyword::Table if self.level.verb == Verb::Names => self.summary.add(self.text(token)),
            Keyword::Modifier | Keyword::Or => {}
            // `INSERT OR REPLACE`
            _ if self.previous == Keyword::Or => {}
            _ => self.begin_name(token),
        }
    }

    fn select(&mut self, token: &Token) {
        let level = &mut self.level;
        let is_union = std::mem::take(&mut level.is_union);
        (level.verb, level.place, level.is_first) = (Verb::Select, Place::Elsewhere, false);
        if !is_union {
            self.is_query |= self.summary.text.is_empty();
            self.summary.add(self.text(token));
        }
    }

    /// Takes a word before the verb of a statement, or the verb itself.
    fn first_word(&mut self, token: &Token, keyword: Keyword, next: impl Fn() -> u8) {
        let is_top = self.depth == 0;
        let is_first = std::mem::replace(&mut self.level.is_first, false);
        // Within parentheses, only the first word can be a verb, and `REPLACE(` is a function.
        let is_verb = (is_top || is_first) && next() != b'(';
        let (verb, place) = match keyword {
            Keyword::Insert | Keyword::Replace if is_verb => (Verb::Insert, Place::BeforeName),
            Keyword::Update if is_verb => (Verb::Update, Place::BeforeName),
            Keyword::Merge if is_verb => (Verb::Merge, Place::BeforeName),
            Keyword::Delete if is_verb => (Verb::Delete, Place::Elsewhere),
            Keyword::With => return,
            Keyword::Values if !is_top => return self.level.verb = Verb::Insert,
            _ if !is_top => return,
            Keyword::Before => {
                return if is_first {
                    self.summary.add(self.text(token))
                };
            }
            // After `EXPLAIN` or `WITH`, other words may come first.
            _ if !is_first => return,
            Keyword::Define => (Verb::Define, Place::Elsewhere),
            Keyword::Names => (Verb::Names, Place::BeforeName),
            Keyword::Name | Keyword::Table => (Verb::Name, Place::BeforeName),
            Keyword::Start => (Verb::Start, Place::Elsewhere),
            Keyword::Plain | Keyword::Set | Keyword::Values => (Verb::Done, Place::Elsewhere),
            // The summary must not contain words that may be values.
            _ => return self.level.verb = Verb::Done,
        };
        self.is_definition = keyword == Keyword::Define;
        self.is_query |= keyword == Keyword::Values && self.summary.text.is_empty();
        let level = &mut self.level;
        (level.verb, level.place) = (verb, place);
        self.summary.add(self.text(token));
    }

    fn kind_of_object(&mut self, token: &Token, keyword: Keyword) {
        if !matches!(keyword, Keyword::Object | Keyword::Table) {
            return;
        }
        let is_list = self.summary.text.len() >= 4 && self.summary.text.as_bytes()[..4].eq_ignore_ascii_case(b"drop");
        self.summary.add(self.text(token));
        let level = &mut self.level;
        level.verb = if is_list { Verb::Names } else { Verb::Name };
        level.place = Place::BeforeName;
    }

    /// Takes a word within a statement.
    fn clause(&mut self, keyword: Keyword) {
        let previous = self.previous;
        let level = &mut self.level;
        let verb = level.verb;
        let reads = matches!(verb, Verb::Select | Verb::Delete | Verb::Update);
        match keyword {
            // `IS DISTINCT FROM` compares.
            Keyword::From if reads && previous != Keyword::Distinct => level.place = Place::BeforeName,
            // `SELECT STRAIGHT_JOIN a` and `FORCE INDEX FOR JOIN` are hints.
            Keyword::Join if reads && !matches!(previous, Keyword::Select | Keyword::End) => {
                level.place = Place::BeforeName
            }
            Keyword::Using if matches!(verb, Verb::Delete | Verb::Merge) => level.place = Place::BeforeName,
            Keyword::End | Keyword::Set | Keyword::Values => level.place = Place::Elsewhere,
            Keyword::On if verb == Verb::Merge => level.place = Place::Elsewhere,
            _ => {}
        }
    }

    fn text(&self, token: &Token) -> &'a str {
        self.text.get(token.start..token.end).unwrap_or_default()
    }
}

/// Words with a space between them, up to the maximum length.
struct Words {
    text: String,
    characters: usize,
    /// True once a word did not fit; later ones would then follow a gap.
    is_full: bool,
}

impl Words {
    fn add(&mut self, word: &str) {
        if self.is_full || word.is_empty() {
            return;
        }
        let space = usize::from(!self.text.is_empty());
        let characters = if word.is_ascii() { word.len() } else { word.chars().count() };
        if self.characters + space + characters > MAX_SUMMARY_CHARACTERS {
            self.is_full = true;
            return;
        }
        if space == 1 {
            self.text.push(' ');
        }
        self.text.push_str(word);
        self.characters += space + characters;
    }
}

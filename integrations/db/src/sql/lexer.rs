//! Splits a statement into tokens, in one pass over its bytes.
//!
//! The lexer accepts any text. It never fails: an unterminated string or comment extends to the end, and any other byte is a
//! symbol.

use super::dialect::Dialect;

/// The kinds of tokens. White space separates tokens and is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword or an unquoted name.
    Word,
    /// A quoted name.
    Quoted,
    /// A string, a number or a blob.
    Literal,
    /// A parameter or a variable.
    Placeholder,
    /// Any other byte.
    Symbol(u8),
    Comment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The last eight bytes of a word in lower case, the last one lowest. Zero for anything else.
    pub(crate) tail: u64,
}

impl Token {
    pub(crate) fn is_symbol(&self, symbol: u8) -> bool {
        self.kind == Kind::Symbol(symbol)
    }
}

/// Returns the end of a word as in [`Token::tail`].
pub(crate) const fn tail(word: &str) -> u64 {
    let bytes = word.as_bytes();
    let (mut tail, mut at) = (0, 0);
    while at < bytes.len() {
        tail = tail << 8 | (bytes[at] | CASE) as u64;
        at += 1;
    }
    tail
}

/// The bit that makes a letter lower case. It is set in digits and in `$`.
const CASE: u8 = 0x20;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Starts something that depends on the bytes that follow.
    Other,
    Space,
    /// Is a symbol in every place and in every dialect.
    Symbol,
    /// Starts and continues a word.
    Letter,
    /// Continues a word.
    Digit,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => Class::Space,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..=0xff => Class::Letter,
            b'0'..=b'9' => Class::Digit,
            b'(' | b')' | b',' | b';' | b'=' | b'*' | b'<' | b'>' | b'|' | b'%' | b'!' => Class::Symbol,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
};

fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

fn is_space(byte: u8) -> bool {
    class(byte) == Class::Space
}

/// Returns true for a byte that belongs to a word or a number.
fn is_word(byte: u8) -> bool {
    matches!(class(byte), Class::Letter | Class::Digit)
}

/// Returns true for a name that needs no quotes, unless it is a keyword.
pub(crate) fn is_plain_name(name: &[u8]) -> bool {
    let continues = |byte: &u8| is_word(*byte) || *byte == b'$';
    name.first().is_some_and(|first| class(*first) == Class::Letter) && name.iter().all(continues)
}

/// The bytes that continue a word, in lower case; zero for any other byte.
const WORD: [u8; 256] = {
    let mut lower = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let continues = matches!(CLASSES[byte], Class::Letter | Class::Digit) || byte == b'$' as usize;
        lower[byte] = if continues { byte as u8 | CASE } else { 0 };
        byte += 1;
    }
    lower
};

pub(crate) struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    dialect: Dialect,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str, dialect: Dialect) -> Self {
        Lexer { bytes: text.as_bytes(), at: 0, dialect }
    }

    /// Returns the byte at a position, and zero behind the end.
    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// Returns the next byte that is not white space, without consuming it; zero at the end.
    pub(crate) fn peek(&self) -> u8 {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        rest.iter().copied().find(|byte| !is_space(*byte)).unwrap_or(0)
    }

    /// Returns the next token. With `wants_name`, MySQL's `"…"` is a quoted name, as no string can stand there.
    #[inline(always)]
    pub(crate) fn next(&mut self, wants_name: bool) -> Option<Token> {
        while self.at < self.bytes.len() && is_space(self.bytes[self.at]) {
            self.at += 1;
        }
        let start = self.at;
        let first = *self.bytes.get(start)?;
        if class(first) == Class::Letter {
            return Some(self.word(start));
        }
        let kind = if class(first) == Class::Symbol {
            self.at += 1;
            Kind::Symbol(first)
        } else {
            self.other(first, wants_name)
        };
        Some(Token { kind, start, end: self.at, tail: 0 })
    }

    #[inline(always)]
    fn word(&mut self, start: usize) -> Token {
        let (mut at, mut tail) = (start, 0);
        while let Some(&byte) = self.bytes.get(at) {
            let lower = WORD[usize::from(byte)];
            if lower == 0 {
                break;
            }
            tail = tail << 8 | u64::from(lower);
            at += 1;
        }
        self.at = at;
        if self.byte(at) == b'\'' && at - start == 1 && self.dialect.has_prefix(self.bytes[start]) {
            let has_escapes = self.bytes[start] | CASE == b'e' || self.dialect.has_escapes();
            self.at = self.string_end(at, b'\'', has_escapes);
        } else if self.byte(at) == b'&' && tail == u64::from(b'u') && self.byte(at + 1) == b'\'' {
            self.at = self.string_end(at + 1, b'\'', self.dialect.has_escapes());
        } else {
            return Token { kind: Kind::Word, start, end: at, tail };
        }
        Token { kind: Kind::Literal, start, end: self.at, tail: 0 }
    }

    fn other(&mut self, first: u8, wants_name: bool) -> Kind {
        let (start, dialect) = (self.at, self.dialect);
        let second = self.byte(start + 1);
        let (kind, end) = match first {
            b'0'..=b'9' => (Kind::Literal, self.number_end(start)),
            b'.' if second.is_ascii_digit() => (Kind::Literal, self.number_end(start)),
            b'-' if second == b'-' && self.is_line_comment(start) => (Kind::Comment, self.line_end(start)),
            b'-' | b'+' if self.is_number(start + 1) => (Kind::Literal, self.number_end(start + 1)),
            b'/' if second == b'*' => (Kind::Comment, self.comment_end(start)),
            b'#' if dialect == Dialect::MySql => (Kind::Comment, self.line_end(start)),
            b'\'' => (Kind::Literal, self.string_end(start, b'\'', dialect.has_escapes())),
            b'"' if dialect == Dialect::MySql && !wants_name => (Kind::Literal, self.string_end(start, b'"', true)),
            b'"' => self.quoted(start, b'"'),
            b'`' if dialect.has_backticks() => self.quoted(start, b'`'),
            b'[' => match self.bracket_end(start) {
                Some(end) => (Kind::Quoted, end),
                None => (Kind::Symbol(first), start + 1),
            },
            b'?' if second.is_ascii_digit() && matches!(dialect, Dialect::Sqlite | Dialect::Generic) => {
                (Kind::Placeholder, self.words_end(start + 1))
            }
            b'?' => (Kind::Placeholder, start + 1),
            b'$' => self.dollar(start, second),
            // A cast, and not a placeholder.
            b':' if second == b':' => (Kind::Symbol(first), start + 2),
            b':' if dialect != Dialect::PostgreSql && dialect != Dialect::MySql && is_word(second) => {
                (Kind::Placeholder, self.words_end(start + 1))
            }
            b'@' if is_word(second) && dialect != Dialect::PostgreSql => (Kind::Placeholder, self.words_end(start + 1)),
            _ => (Kind::Symbol(first), start + 1),
        };
        self.at = end;
        kind
    }

    /// In MySQL, `--` before an operand is two signs, as in `5--1`.
    fn is_line_comment(&self, start: usize) -> bool {
        let third = self.byte(start + 2);
        let is_operand = is_word(third) || matches!(third, b'\'' | b'"' | b'`' | b'(' | b'@' | b'?' | b'.');
        self.dialect != Dialect::MySql || !is_operand
    }

    fn line_end(&self, start: usize) -> usize {
        self.find(start, b'\n').unwrap_or(self.bytes.len())
    }

    fn comment_end(&self, start: usize) -> usize {
        let mut at = start + 2;
        let mut depth = 1_usize;
        while at < self.bytes.len() {
            match (self.bytes[at], self.byte(at + 1)) {
                (b'*', b'/') if depth == 1 => return at + 2,
                (b'*', b'/') => (at, depth) = (at + 2, depth - 1),
                (b'/', b'*') if self.dialect.nests_comments() => (at, depth) = (at + 2, depth + 1),
                _ => at += 1,
            }
        }
        self.bytes.len()
    }

    /// Returns the end of a string that starts with `quote`; a doubled quote does not end it.
    fn string_end(&self, start: usize, quote: u8, has_escapes: bool) -> usize {
        self.closing_quote(start, quote, has_escapes).map_or(self.bytes.len(), |at| at + 1)
    }

    /// Returns the position of the quote that ends a string or a quoted name. `None` if it is missing, or if the dialect leaves
    /// open which one it is.
    fn closing_quote(&self, start: usize, quote: u8, has_escapes: bool) -> Option<usize> {
        let is_unsure = !has_escapes && self.dialect.is_unsure_of_escapes();
        let mut at = start + 1;
        while let Some(&byte) = self.bytes.get(at) {
            if byte == quote {
                if self.byte(at + 1) != quote {
                    return Some(at);
                }
                at += 2;
            } else if byte == b'\\' && is_unsure && self.byte(at + 1) == quote {
                return None;
            } else if byte == b'\\' && (has_escapes || (is_unsure && self.byte(at + 1) == b'\\')) {
                at += 2;
            } else {
                at += 1;
            }
        }
        None
    }

    /// Reads a quoted name. Without an end, it may contain literals and counts as one.
    fn quoted(&self, start: usize, quote: u8) -> (Kind, usize) {
        match self.closing_quote(start, quote, false) {
            Some(at) => (Kind::Quoted, at + 1),
            None => (Kind::Literal, self.bytes.len()),
        }
    }

    /// Returns the end of a name in brackets. `None` if the bracket is an operator, as in `a[1]`.
    fn bracket_end(&self, start: usize) -> Option<usize> {
        if !matches!(self.dialect, Dialect::Sqlite | Dialect::Generic) {
            return None;
        }
        let end = self.find(start, b']')?;
        let name = self.bytes.get(start + 1..end)?;
        let is_plain = || name.iter().all(|byte| is_word(*byte) || matches!(byte, b' ' | b'$' | b'#'));
        // A list of values must not pass for a name, neither before nor after its values were replaced.
        let first = *name.first()?;
        let is_name = match self.dialect {
            Dialect::Sqlite => {
                !first.is_ascii_digit() && !name.iter().any(|byte| matches!(byte, b'\'' | b'"' | b'`' | b'?'))
            }
            _ => class(first) == Class::Letter && is_plain(),
        };
        is_name.then_some(end + 1)
    }

    /// Tells dollar quotes, numbered placeholders and named ones apart.
    fn dollar(&self, start: usize, second: u8) -> (Kind, usize) {
        if self.dialect.has_dollar_quotes() && !second.is_ascii_digit() {
            let tag_end = self.words_end(start + 1);
            if self.byte(tag_end) == b'$' {
                let tag = self.bytes.get(start..=tag_end).unwrap_or_default();
                return (Kind::Literal, self.dollar_quote_end(tag_end + 1, tag));
            }
        }
        match is_word(second) {
            true => (Kind::Placeholder, self.words_end(start + 1)),
            false => (Kind::Symbol(b'$'), start + 1),
        }
    }

    fn dollar_quote_end(&self, mut at: usize, tag: &[u8]) -> usize {
        while let Some(dollar) = self.find(at, b'$') {
            if self.bytes.get(dollar..dollar + tag.len()) == Some(tag) {
                return dollar + tag.len();
            }
            at = dollar + 1;
        }
        self.bytes.len()
    }

    fn is_number(&self, at: usize) -> bool {
        let first = self.byte(at);
        first.is_ascii_digit() || (first == b'.' && self.byte(at + 1).is_ascii_digit())
    }

    /// Returns the end of a number, together with any letters that follow it, so that no part of a literal remains.
    fn number_end(&self, start: usize) -> usize {
        let is_hex = self.byte(start) == b'0' && self.byte(start + 1) | 0x20 == b'x';
        let mut at = start;
        while let Some(&byte) = self.bytes.get(at) {
            let is_exponent = byte | 0x20 == b'e' && !is_hex && matches!(self.byte(at + 1), b'+' | b'-');
            if is_exponent && self.byte(at + 2).is_ascii_digit() {
                at += 2;
            } else if !is_word(byte) && byte != b'.' {
                break;
            }
            at += 1;
        }
        at
    }

    fn words_end(&self, mut at: usize) -> usize {
        while at < self.bytes.len() && is_word(self.bytes[at]) {
            at += 1;
        }
        at
    }

    fn find(&self, start: usize, byte: u8) -> Option<usize> {
        let rest = self.bytes.get(start..)?;
        rest.iter().position(|candidate| *candidate == byte).map(|at| start + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the tokens, each with a letter for its kind.
    fn tokens(dialect: Dialect, sql: &str) -> String {
        let mut lexer = Lexer::new(sql, dialect);
        let mut shown = Vec::new();
        while let Some(token) = lexer.next(false) {
            let kind = match token.kind {
                Kind::Word => 'w',
                Kind::Quoted => 'q',
                Kind::Literal => 'l',
                Kind::Placeholder => 'p',
                Kind::Symbol(_) => 's',
                Kind::Comment => 'c',
            };
            shown.push(format!("{kind}<{}>", &sql[token.start..token.end]));
        }
        shown.join(" ")
    }

    #[test]
    fn each_dialect_has_its_own_tokens() {
        use Dialect::{Generic, MySql, PostgreSql, Sqlite};
        let check = |dialect, sql: &str, expected: &str| assert_eq!(tokens(dialect, sql), expected, "{dialect:?}");
        check(PostgreSql, r"E'a\'b' 'a\' x", r"l<E'a\'b'> l<'a\'> w<x>");
        check(MySql, r#"'a\'b' "a\"b""c" `d``e`"#, r#"l<'a\'b'> l<"a\"b""c"> q<`d``e`>"#);
        check(Sqlite, r#"'a\' "b""c" [d e] x'0a' n'b'"#, r#"l<'a\'> q<"b""c"> q<[d e]> l<x'0a'> w<n> l<'b'>"#);
        check(PostgreSql, "$$a$b$ $$ $t$ $$ $t$ $1 a$1", "l<$$a$b$ $$> l<$t$ $$ $t$> p<$1> w<a$1>");
        check(PostgreSql, "U&'d' N'n' B'1' a[1:2]", "l<U&'d'> l<N'n'> l<B'1'> w<a> s<[> l<1> s<:> l<2> s<]>");
        check(PostgreSql, "a::int /* /* */ */ b", "w<a> s<::> w<int> c</* /* */ */> w<b>");
        check(Sqlite, "/* /* */ b", "c</* /* */> w<b>");
        check(MySql, "5--1 -- c\n#d", "l<5> s<-> l<-1> c<-- c> c<#d>");
        check(Sqlite, "5--1", "l<5> c<--1>");
        check(Sqlite, "?12 :a @b $c ?", "p<?12> p<:a> p<@b> p<$c> p<?>");
        check(PostgreSql, "a->>0 @> ?| -.5e-3", "w<a> s<-> s<>> s<>> l<0> s<@> s<>> p<?> s<|> l<-.5e-3>");
        check(Generic, "[a b] [1] ARRAY['x'] :name", "q<[a b]> s<[> l<1> s<]> w<ARRAY> s<[> l<'x'> s<]> p<:name>");
        check(Generic, "0xFE+1 1_000.5e+7abc 'open", "l<0xFE> l<+1> l<1_000.5e+7abc> l<'open>");
        check(Generic, r"'a\\' b", r"l<'a\\'> w<b>");
        check(Generic, r"'a\' b' c", r"l<'a\' b' c>");
        check(Generic, r#""a\" b" c"#, r#"l<"a\" b" c>"#);
        check(Sqlite, "a1234567 b12345678'c' _éü$12345.x", "w<a1234567> w<b12345678> l<'c'> w<_éü$12345> s<.> w<x>");
        check(Generic, "é.ü \u{0} $", "w<é> s<.> w<ü> s<\u{0}> s<$>");
    }

    #[test]
    fn a_tail_is_the_end_of_a_word_in_lower_case() {
        for word in ["a", "Select", "DATABASE", "savepoint", "straight_JOIN", "a_word_of_many_bytes_$1"] {
            for text in [word.to_owned(), format!("{word} and more text"), format!("{word};")] {
                let token = Lexer::new(&text, Dialect::Generic).next(false).unwrap();
                assert_eq!((token.kind, token.end, token.tail), (Kind::Word, word.len(), tail(word)), "{text}");
            }
        }
    }
}

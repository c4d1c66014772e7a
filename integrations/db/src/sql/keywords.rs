//! The keywords that matter for a summary.

use super::lexer::tail;

/// The part that a word plays in a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    /// Any other word.
    None,
    Select,
    Insert,
    Replace,
    Update,
    Delete,
    Merge,
    /// Verbs that are followed by the kind of an object: `CREATE`.
    Define,
    /// Verbs that are followed by a list of names, and optionally by the word `TABLE`.
    Names,
    /// Verbs that are followed by one name.
    Name,
    /// Verbs without a target.
    Plain,
    Set,
    Start,
    Transaction,
    /// Verbs that stand before a whole statement: `EXPLAIN`.
    Before,
    With,
    Values,
    From,
    Join,
    Using,
    /// Ends a list of tables.
    End,
    SetOperation,
    On,
    Distinct,
    Table,
    /// The kind of an object.
    Object,
    /// Stands before a name and is not part of it.
    Modifier,
    Or,
    Boolean,
    In,
}

/// Defines the list of words.
macro_rules! keywords {
    ($($keyword:ident: $($word:ident)*;)*) => {
        const WORDS: &[(&str, Keyword)] = &[$($((stringify!($word), Keyword::$keyword),)*)*];
    };
}

keywords! {
    Select: SELECT;
    Insert: INSERT;
    Replace: REPLACE;
    Update: UPDATE;
    Delete: DELETE;
    Merge: MERGE;
    Define: CREATE ALTER DROP REFRESH REINDEX;
    Names: TRUNCATE LOCK OPTIMIZE RENAME VACUUM ANALYZE;
    Name: CALL EXEC EXECUTE PRAGMA USE DESCRIBE DESC COPY;
    Plain: SHOW RESET BEGIN COMMIT ROLLBACK RELEASE END ABORT GRANT REVOKE LISTEN NOTIFY UNLISTEN CLOSE MOVE DISCARD DO
        KILL FLUSH ATTACH DETACH COMMENT LOAD SAVEPOINT DEALLOCATE CHECKPOINT;
    Set: SET;
    Start: START;
    Transaction: TRANSACTION;
    Before: EXPLAIN PREPARE DECLARE;
    With: WITH;
    Values: VALUES;
    From: FROM;
    Join: JOIN STRAIGHT_JOIN;
    Using: USING;
    End: WHERE GROUP ORDER HAVING LIMIT WINDOW OFFSET FETCH FOR QUALIFY RETURNING;
    SetOperation: UNION EXCEPT MINUS INTERSECT;
    On: ON;
    Distinct: DISTINCT;
    Table: TABLE TABLES;
    Object: VIEW INDEX DATABASE SCHEMA FUNCTION TRIGGER SEQUENCE TYPE DOMAIN USER ROLE LOGIN EVENT SERVER POLICY RULE
        LANGUAGE OPERATOR CAST PROC PROCEDURE EXTENSION TABLESPACE PUBLICATION SUBSCRIPTION;
    Or: OR;
    Modifier: IF NOT EXISTS ONLY IGNORE INTO LATERAL DELAYED QUICK FULL VERBOSE FREEZE FAIL
        CONCURRENTLY LOW_PRIORITY HIGH_PRIORITY;
    Boolean: TRUE FALSE;
    In: IN;
}

/// The number of places for keywords, several times that of the keywords: most other words find an empty place.
const PLACES: usize = 512;

/// The keywords, each in the place to which its tail is hashed, or in the next free one. A `match` would compare every word
/// about seven times, each time with a branch that the processor cannot predict.
struct Table {
    tails: [u64; PLACES],
    words: [(&'static str, Keyword); PLACES],
}

static TABLE: Table = {
    let mut table = Table { tails: [0; PLACES], words: [("", Keyword::None); PLACES] };
    let mut next = 0;
    while next < WORDS.len() {
        let tail = tail(WORDS[next].0);
        let mut place = place(tail);
        while table.tails[place] != 0 {
            place = (place + 1) % PLACES;
        }
        table.tails[place] = tail;
        table.words[place] = WORDS[next];
        next += 1;
    }
    table
};

const fn place(tail: u64) -> usize {
    const SHIFT: u32 = u64::BITS - PLACES.ilog2();
    (tail.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> SHIFT) as usize
}

impl Keyword {
    /// Finds the keyword for a word and its [`Token::tail`](super::lexer::Token::tail).
    #[inline]
    pub(super) fn find(tail: u64, word: &[u8]) -> Self {
        let mut place = place(tail);
        while TABLE.tails[place] != 0 {
            let (found, keyword) = TABLE.words[place];
            // The tail of a short word is the whole word.
            let is_same = TABLE.tails[place] == tail && found.len() == word.len();
            if is_same && (word.len() <= 8 || word.eq_ignore_ascii_case(found.as_bytes())) {
                return keyword;
            }
            place = (place + 1) % PLACES;
        }
        Keyword::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_found_in_any_case() {
        let check = |word: &str, expected| {
            assert_eq!(Keyword::find(tail(word), word.as_bytes()), expected, "{word}");
        };
        check("SELECT", Keyword::Select);
        check("sElEcT", Keyword::Select);
        check("selects", Keyword::None);
        check("Intersect", Keyword::SetOperation);
        check("intersecting", Keyword::None);
        check("xntersect", Keyword::None);
        check("mydatabase", Keyword::None);
        check("HIGH_priority", Keyword::Modifier);
        check("é", Keyword::None);
    }

    #[test]
    fn every_keyword_is_found_and_most_places_are_empty() {
        for (word, keyword) in WORDS {
            assert_eq!(Keyword::find(tail(word), word.as_bytes()), *keyword, "{word}");
        }
        assert!(WORDS.len() * 3 < PLACES, "{}", WORDS.len());
    }
}

//! The keywords that matter for a summary.

use super::lexer::packed;

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

/// Defines the lookup of words of at most eight bytes: a constant for each word, and a `match` over all of them.
macro_rules! keywords {
    ($($keyword:ident: $($word:ident)*;)*) => {
        fn short(word: u64) -> Keyword {
            $($(const $word: u64 = packed(stringify!($word));)*)*
            match word {
                $($($word)|* => Keyword::$keyword,)*
                _ => Keyword::None,
            }
        }
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
        KILL FLUSH ATTACH DETACH COMMENT LOAD;
    Set: SET;
    Start: START;
    Before: EXPLAIN PREPARE DECLARE;
    With: WITH;
    Values: VALUES;
    From: FROM;
    Join: JOIN;
    Using: USING;
    End: WHERE GROUP ORDER HAVING LIMIT WINDOW OFFSET FETCH FOR QUALIFY;
    SetOperation: UNION EXCEPT MINUS;
    On: ON;
    Distinct: DISTINCT;
    Table: TABLE TABLES;
    Object: VIEW INDEX DATABASE SCHEMA FUNCTION TRIGGER SEQUENCE TYPE DOMAIN USER ROLE LOGIN EVENT SERVER POLICY RULE
        LANGUAGE OPERATOR CAST PROC;
    Or: OR;
    Modifier: IF NOT EXISTS ONLY IGNORE INTO LATERAL DELAYED QUICK FULL VERBOSE FREEZE FAIL;
    Boolean: TRUE FALSE;
    In: IN;
}

fn long(text: &[u8]) -> Keyword {
    const LONG: [(&str, Keyword); 15] = [
        ("intersect", Keyword::SetOperation),
        ("returning", Keyword::End),
        ("savepoint", Keyword::Plain),
        ("deallocate", Keyword::Plain),
        ("checkpoint", Keyword::Plain),
        ("transaction", Keyword::Transaction),
        ("straight_join", Keyword::Join),
        ("procedure", Keyword::Object),
        ("extension", Keyword::Object),
        ("tablespace", Keyword::Object),
        ("publication", Keyword::Object),
        ("subscription", Keyword::Object),
        ("concurrently", Keyword::Modifier),
        ("low_priority", Keyword::Modifier),
        ("high_priority", Keyword::Modifier),
    ];
    let is = |word: &str| word.len() == text.len() && text.eq_ignore_ascii_case(word.as_bytes());
    LONG.iter().find(|(word, _)| is(word)).map_or(Keyword::None, |(_, keyword)| *keyword)
}

impl Keyword {
    /// Finds the keyword for a token's packed bytes, or for the text of a longer word.
    #[inline]
    pub(super) fn find(packed: u64, text: &[u8]) -> Self {
        if packed == 0 { long(text) } else { short(packed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_found_in_any_case() {
        let check = |word: &str, expected| {
            let short = if word.len() <= 8 { packed(word) } else { 0 };
            assert_eq!(Keyword::find(short, word.as_bytes()), expected, "{word}");
        };
        check("SELECT", Keyword::Select);
        check("sElEcT", Keyword::Select);
        check("selects", Keyword::None);
        check("Intersect", Keyword::SetOperation);
        check("intersecting", Keyword::None);
        check("é", Keyword::None);
    }
}

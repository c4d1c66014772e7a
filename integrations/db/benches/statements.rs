//! The speed of reading statements: `cargo bench -p telemark-db --bench statements`.
//!
//! The input are the statements of `tests/data/statements.txt`. Each row is the best of several rounds, which disturbs other
//! programs least.
#![allow(missing_docs, clippy::disallowed_methods, reason = "measures time")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use telemark_db::sql::{Dialect, Statement, Statements, count_tokens, sanitize, summary};

const ROUNDS: usize = 1000;

fn statements() -> Vec<(Dialect, String)> {
    let mut dialect = Dialect::Generic;
    let mut statements = Vec::new();
    let mut lines = include_str!("../tests/data/statements.txt").lines().filter(|line| !line.is_empty());
    while let Some(line) = lines.next() {
        match line {
            "[generic]" => dialect = Dialect::Generic,
            "[postgresql]" => dialect = Dialect::PostgreSql,
            "[mysql]" => dialect = Dialect::MySql,
            "[sqlite]" => dialect = Dialect::Sqlite,
            sql => {
                statements.push((dialect, sql.replace("\\n", "\n")));
                let _ = (lines.next(), lines.next());
            }
        }
    }
    statements
}

fn measure(name: &str, statements: &[(Dialect, String)], mut read: impl FnMut(&str, Dialect)) {
    let bytes: usize = statements.iter().map(|(_, sql)| sql.len()).sum();
    let repetitions = 100_000 / bytes.max(1) + 1;
    let mut best = Duration::MAX;
    // A round of many bytes needs no repetition to be exact.
    for _ in 0..ROUNDS.min(200_000_000 / bytes.max(1) / repetitions) {
        let started = Instant::now();
        for _ in 0..repetitions {
            for (dialect, sql) in statements {
                read(black_box(sql), *dialect);
            }
        }
        best = best.min(started.elapsed());
    }
    let seconds = best.as_secs_f64() / repetitions as f64;
    println!(
        "{name:<34} {:>6.0} MB/s {:>6.0} ns per statement of {:.0} bytes",
        bytes as f64 / seconds / 1e6,
        seconds * 1e9 / statements.len() as f64,
        bytes as f64 / statements.len() as f64,
    );
}

fn main() {
    let statements = statements();
    measure("tokens", &statements, |sql, dialect| {
        black_box(count_tokens(sql, dialect));
    });
    measure("summary", &statements, |sql, dialect| drop(black_box(summary(sql, dialect))));
    measure("summary and text", &statements, |sql, dialect| drop(black_box(sanitize(sql, dialect))));
    let cache = Statements::new();
    measure("both, from the cache", &statements, |sql, dialect| drop(black_box(cache.get(sql, dialect, false))));
    let long: Vec<_> = statements.iter().map(|(dialect, sql)| (*dialect, format!("{sql}; ").repeat(20))).collect();
    measure("summary and text, long statements", &long, |sql, dialect| drop(black_box(sanitize(sql, dialect))));
    measure("a new entry of the cache", &statements, |sql, dialect| {
        drop(black_box(Statement::sanitized(sql, dialect)))
    });
    for bytes in [60, 600] {
        let columns = "column_name, ".repeat(bytes / 13);
        let sql = format!("SELECT {columns}id FROM t WHERE id = $1{}", " ".repeat(bytes));
        let sql = vec![(Dialect::PostgreSql, sql[..bytes].to_owned())];
        measure("from the cache", &sql, |sql, dialect| drop(black_box(cache.get(sql, dialect, true))));
    }
    let list = |length: usize| format!("SELECT * FROM t WHERE id IN ($1{})", ", $2".repeat(length));
    let flood: Vec<_> =
        (0..5000).map(|length| (Dialect::PostgreSql, list(length % 1000) + &length.to_string())).collect();
    measure("a flood of unique statements", &flood, |sql, dialect| drop(black_box(cache.get(sql, dialect, true))));
}

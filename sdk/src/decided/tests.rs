//! Tests of the table: what it knows, forgets and counts.
#![allow(clippy::unwrap_used, reason = "a failing test")]

use super::*;

fn trace(number: u128) -> TraceId {
    TraceId::from(number)
}

#[test]
fn a_trace_is_complete_once_each_of_its_local_roots_has_ended() {
    let decided = Decided::new(100);
    decided.open(trace(1), 0b01);
    decided.open(trace(1), 0b10);
    let open = |standing: Option<Standing>| standing.map(|standing| (standing.open, standing.asked));
    assert_eq!(open(decided.close(trace(1))), Some((1, 0b11)));
    assert_eq!(open(decided.close(trace(1))), Some((0, 0b11)));
    assert_eq!(open(decided.close(trace(1))), Some((0, 0b11)));
    assert_eq!(decided.close(trace(2)), None);
}

#[test]
fn decisions_are_remembered_and_may_change() {
    let decided = Decided::new(100);
    assert_eq!(decided.fate(trace(1)), None);
    decided.open(trace(1), 0);
    assert_eq!(decided.fate(trace(1)), Some(Fate::Pending));
    for fate in [Fate::Dropped, Fate::Kept(u64::MAX), Fate::Kept(7)] {
        decided.decide(trace(1), fate);
        assert_eq!(decided.fate(trace(1)), Some(fate));
    }
    decided.decide(trace(2), Fate::Dropped);
    assert_eq!(decided.fate(trace(2)), Some(Fate::Dropped));
}

#[test]
fn the_oldest_traces_are_forgotten_first() {
    let decided = Decided::new(SHARDS * MIN_TRACES);
    for number in 0..100_000 {
        decided.open(trace(number), 0);
        decided.note_error(trace(number));
        decided.close(trace(number));
    }
    assert_eq!(decided.len(), SHARDS * MIN_TRACES);
    assert!(decided.fate(trace(99_999)).is_some() && decided.fate(trace(0)).is_none());
    assert_eq!(decided.failed.load(Ordering::Relaxed), SHARDS * MIN_TRACES);
}

#[test]
fn decisions_of_the_past_are_remembered_in_bounded_memory() {
    let decided = Decided::new(SHARDS * MIN_TRACES);
    for number in 0..100_000 {
        decided.open_first(trace(number), 0);
        decided.close(trace(number));
        decided.decide(trace(number), if number % 7 == 0 { Fate::Kept(3) } else { Fate::Dropped });
    }
    assert_eq!(decided.len(), 0, "nothing is running or undecided");
    let is_known = |number: &u128| {
        let expected = if number % 7 == 0 { Fate::Kept(3) } else { Fate::Dropped };
        decided.standing(trace(*number)) == Some(Standing { fate: expected, open: 0, asked: 0 })
    };
    let known = (100_000 - (SHARDS * MIN_TRACES / 2) as u128..100_000).filter(is_known).count();
    assert!(known >= SHARDS * MIN_TRACES * 49 / 100, "{known}");
    assert!(decided.fate(trace(0)).is_none());
}

#[test]
fn a_trace_that_has_ended_is_undecided_until_the_decision() {
    let decided = Decided::new(100);
    let standing = |open, asked| Some(Standing { fate: Fate::Pending, open, asked });
    (1..=3).for_each(|number| decided.open_first(trace(number), u16::from(number == 2)));
    decided.note_error(trace(3));
    assert_eq!([1, 2, 3].map(|number| decided.close(trace(number))), [standing(0, 0), standing(0, 1), standing(0, 0)]);
    assert_eq!(
        [1, 2, 3].map(|number| decided.standing(trace(number))),
        [standing(0, 0), standing(0, 1), standing(0, 0)]
    );
    assert!(decided.has_failed(trace(3)) && decided.len() == 3, "spans that end late may still tell of the error");
    decided.open(trace(1), 4);
    assert_eq!(decided.standing(trace(1)), standing(1, 4));
}

#[test]
fn a_trace_that_starts_again_is_known_by_its_decision() {
    let decided = Decided::new(100);
    decided.decide(trace(1), Fate::Kept(5));
    (0..2).for_each(|_| decided.open(trace(1), 1));
    assert_eq!(decided.standing(trace(1)), Some(Standing { fate: Fate::Kept(5), open: 2, asked: 1 }));
    decided.decide(trace(1), Fate::Dropped);
    assert_eq!(decided.close(trace(1)), Some(Standing { fate: Fate::Dropped, open: 1, asked: 1 }));
    // The list by age stays as short as the table, however often a trace comes back.
    for _ in 0..10_000 {
        decided.open(trace(2), 0);
        decided.close(trace(2));
        decided.decide(trace(2), Fate::Dropped);
    }
    let listed: usize = decided.shards.iter().map(|shard| shard.lock().unwrap().listed()).sum();
    assert!(listed <= 2 * shard::MAX_GONE, "{listed}");
}

#[test]
fn a_small_table_knows_the_traces_that_run() {
    let decided = Decided::new(1);
    (0..1000).for_each(|number| decided.open(trace(number), 1));
    assert!((0..1000).all(|number| decided.standing(trace(number)).is_some()));
}

#[test]
fn traces_that_run_outlast_those_that_are_over() {
    let decided = Decided::new(SHARDS * MIN_TRACES);
    // A quarter of the table runs for long, as connections do.
    (0..500).for_each(|number| decided.open(trace(number), 0));
    for number in 500..100_000 {
        decided.open(trace(number), 0);
        decided.close(trace(number));
    }
    let known = (0..500).filter(|number| decided.standing(trace(*number)).is_some()).count();
    assert_eq!(known, 500);
    assert!(decided.len() <= SHARDS * MIN_TRACES * 5 / 4);
}

#[test]
fn memory_is_bounded_if_all_traces_run_without_end() {
    let decided = Decided::new(SHARDS * MIN_TRACES);
    for number in 0..100_000 {
        decided.open(trace(number), 0);
        decided.note_error(trace(number));
    }
    assert_eq!(decided.len(), SHARDS * MIN_TRACES * 5 / 4);
    assert_eq!(decided.failed.load(Ordering::Relaxed), decided.len());
    assert!(decided.fate(trace(99_999)).is_some());
    // Once they end, others take their places.
    for number in 0..100_000 {
        decided.close(trace(number));
    }
    for number in 100_000..200_000 {
        decided.open(trace(number), 0);
        decided.close(trace(number));
    }
    assert_eq!((decided.len(), decided.failed.load(Ordering::Relaxed)), (SHARDS * MIN_TRACES, 0));
}

#[test]
fn a_trace_is_reported_once_its_last_local_root_was_lost() {
    let decided = Decided::new(100);
    decided.lose(trace(9));
    assert_eq!(decided.take_lost(), [], "it has not started");
    (0..2).for_each(|_| decided.open(trace(1), 0));
    decided.lose(trace(1));
    assert_eq!(decided.take_lost(), []);
    decided.lose(trace(1));
    decided.lose(trace(1));
    assert_eq!((decided.take_lost(), decided.take_lost()), (vec![trace(1)], vec![]));
    decided.open(trace(1), 0);
    decided.lose(trace(1));
    assert_eq!(decided.take_lost(), [trace(1)]);
    // Even if nothing takes them, they are bounded.
    for number in 0..100_000 {
        decided.open(trace(number), 0);
        decided.lose(trace(number));
    }
    assert!(decided.take_lost().len() <= SHARDS * MIN_TRACES);
}

#[test]
fn an_error_is_over_with_the_decision() {
    let decided = Decided::new(100);
    (0..2).for_each(|_| decided.open(trace(1), 0));
    decided.note_error(trace(1));
    decided.close(trace(1));
    decided.decide(trace(1), Fate::Kept(1));
    assert!(decided.has_failed(trace(1)), "a local root is still running");
    decided.close(trace(1));
    decided.decide(trace(1), Fate::Kept(1));
    assert!(!decided.has_failed(trace(1)));
    decided.note_error(trace(1));
    assert!(!decided.has_failed(trace(1)));
    // From now on, no span costs more than a load again.
    assert_eq!(decided.failed.load(Ordering::Relaxed), 0);
}

#[test]
fn an_error_is_known_for_its_trace_alone() {
    let decided = Decided::new(100);
    decided.note_error(trace(1));
    decided.open(trace(1), 0);
    assert!(!decided.has_failed(trace(1)), "an error before the start of the trace says nothing about it");
    decided.note_error(trace(1));
    decided.note_error(trace(1));
    assert!(decided.has_failed(trace(1)) && !decided.has_failed(trace(2)));
    assert_eq!(decided.failed.load(Ordering::Relaxed), 1);
}

#[test]
fn ids_that_count_up_spread_over_shards_and_places() {
    let keys = Keys::new();
    for step in [1_u128, 1 << 56, 1 << 64, 1 << 100] {
        let hashes: Vec<u64> = (0..4096).map(|number| keys.hash_one(number * step)).collect();
        let distinct = |part: &dyn Fn(u64) -> u64| {
            let mut parts: Vec<_> = hashes.iter().map(|hash| part(*hash)).collect();
            parts.sort_unstable();
            parts.dedup();
            parts.len()
        };
        // Of 4096 random numbers, about 2589 of 4096 places are taken.
        assert!(distinct(&|hash| hash & 4095) > 2000, "{step}");
        assert!(distinct(&|hash| hash >> 52) > 2000, "{step}");
    }
}

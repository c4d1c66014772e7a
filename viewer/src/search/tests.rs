//! Tests of searches that remember their matches.

use std::sync::Arc;

use proptest::prelude::*;
use telemark_sdk::testing::ManualClock;

use super::*;
use crate::model::{Dropped, Kind, Record, Resource, Scope, Span, SpanId, Status, TraceId, Value};
use crate::store::Limits;

fn store(bytes: usize) -> Arc<Store> {
    Store::new(Limits::default().with_bytes(bytes).with_clock(ManualClock::new().clock()))
}

fn origin(store: &Store) -> (Arc<Resource>, Arc<Scope>) {
    let names = store.interner();
    let resource = names.resource(Resource { service: names.text("shop"), attributes: Box::default() });
    let scope = names.scope(Scope { name: names.text(""), version: names.text(""), attributes: Box::default() });
    (resource, scope)
}

fn span(store: &Store, trace: u8, start: u64, is_error: bool) -> Span {
    let (resource, scope) = origin(store);
    Span {
        trace_id: TraceId(u128::from(trace) + 1),
        span_id: SpanId(start + 1),
        parent: SpanId(0),
        name: store.interner().text("work"),
        kind: Kind::Internal,
        start,
        end: start + 1,
        status: if is_error { Status::Error(store.interner().text("failed")) } else { Status::Unset },
        trace_state: store.interner().text(""),
        attributes: Box::default(),
        events: Box::default(),
        links: Box::default(),
        dropped: Dropped::default(),
        resource,
        scope,
    }
}

fn record(store: &Store, time: u64, severity: u8) -> Record {
    let (resource, scope) = origin(store);
    Record {
        time,
        severity,
        severity_text: store.interner().text(""),
        body: Value::String("done".into()),
        event_name: store.interner().text(""),
        trace_id: TraceId(0),
        span_id: SpanId(0),
        attributes: Box::default(),
        dropped_attributes: 0,
        resource,
        scope,
    }
}

/// The matches of a search that has read nothing before.
fn fresh(store: &Store, query: &str) -> Vec<TraceMatch> {
    Searches::default().traces(store, query).unwrap().between(0, u64::MAX).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A search that is updated step by step finds the same as one that reads everything at once, while traces grow, fail
    /// and leave the store.
    #[test]
    fn an_updated_search_equals_a_fresh_one(
        batches in prop::collection::vec(prop::collection::vec((any::<u8>(), 0u64..100, any::<bool>()), 0..30), 0..12),
        bytes in 4_000usize..60_000,
    ) {
        let store = store(bytes);
        let mut searches = Searches::default();
        for batch in batches {
            store.add_spans(batch.into_iter().map(|(trace, start, is_error)| span(&store, trace, start, is_error)).collect());
            for query in ["", "status:error", "status:ok"] {
                let found = searches.traces(&store, query).unwrap().between(0, u64::MAX).to_vec();
                prop_assert_eq!(&found, &fresh(&store, query));
                for found in found {
                    let trace = store.read(|held| held.traces.by_arrival(found.arrival).cloned());
                    prop_assert!(trace.is_some_and(|trace| trace.start == found.start && (trace.errors > 0) == found.has_errors));
                }
            }
        }
    }

    #[test]
    fn an_updated_record_search_equals_a_fresh_one(
        batches in prop::collection::vec(prop::collection::vec((0u64..100, 0u8..=24), 0..30), 0..12),
        bytes in 4_000usize..60_000,
    ) {
        let store = store(bytes);
        let mut searches = Searches::default();
        for batch in batches {
            store.add_records(batch.into_iter().map(|(time, severity)| record(&store, time, severity)).collect());
            for query in ["", ">=warn"] {
                let found: Vec<RecordMatch> = searches.records(&store, query).unwrap().matches().copied().collect();
                let fresh: Vec<RecordMatch> = Searches::default().records(&store, query).unwrap().matches().copied().collect();
                prop_assert_eq!(found, fresh);
            }
        }
    }
}

#[test]
fn searches_count_as_memory_of_the_store_and_are_few() {
    let store = store(1 << 20);
    store.add_spans((0..100).map(|trace| span(&store, trace, 1, false)).collect());
    let before = store.usage().0;
    let mut searches = Searches::default();
    searches.traces(&store, "").unwrap();
    let one = store.usage().0 - before;
    assert!(one >= 100 * size_of::<TraceMatch>(), "{one}");
    for number in 0..2 * MAX_SEARCHES {
        searches.traces(&store, &format!("<{}s", number + 1)).unwrap();
        searches.records(&store, &format!("{number}")).unwrap();
    }
    let all = bytes(&searches.traces) + bytes(&searches.records);
    assert_eq!(searches.traces.len() + searches.records.len(), MAX_SEARCHES);
    assert_eq!(store.usage().0 - before, all);
}

#[test]
fn the_searches_that_were_not_used_for_the_longest_time_make_room() {
    let store = store(1 << 20);
    store.add_spans((0..200).map(|trace| span(&store, trace, 1, false)).collect());
    store.add_records((0..200).map(|time| record(&store, time, 9)).collect());
    let mut searches = Searches::default();
    let queries = |searches: &Searches| {
        let traces = searches.traces.iter().map(|found| found.query.clone());
        traces.chain(searches.records.iter().map(|found| found.query.clone())).collect::<Vec<_>>()
    };
    searches.traces(&store, "").unwrap();
    searches.records(&store, "").unwrap();
    let one = bytes(&searches.traces).max(bytes(&searches.records));
    let fitting = (1 << 20) / SHARE / one;
    assert!((4..MAX_SEARCHES - 2).contains(&fitting), "{fitting}");
    for number in 0..MAX_SEARCHES {
        searches.traces(&store, &format!("<{}s", number + 1)).unwrap();
        searches.traces(&store, "").unwrap();
        assert!(bytes(&searches.traces) + bytes(&searches.records) <= (1 << 20) / SHARE);
    }
    let left = queries(&searches);
    assert!(left.len() >= fitting - 1 && left.len() < MAX_SEARCHES, "{left:?}");
    assert_eq!(left[left.len() - 2..], [format!("<{MAX_SEARCHES}s"), String::new()]);
    assert!(searches.records.is_empty(), "it was not used for the longest time");
    assert_eq!(queries(&searches).iter().filter(|query| query.is_empty()).count(), 1);
}

#[test]
fn the_two_searches_that_a_list_repeats_stay_whatever_they_take() {
    let store = store(40_000);
    store.add_spans((0..200).map(|trace| span(&store, trace, 1, false)).collect());
    let mut searches = Searches::default();
    for query in ["", "<1s", "", "<1s"] {
        searches.traces(&store, query).unwrap();
    }
    assert!(bytes(&searches.traces) > 40_000 / SHARE);
    assert_eq!(searches.traces.iter().map(|found| &*found.query).collect::<Vec<_>>(), ["", "<1s"]);
}

#[test]
fn a_query_with_an_error_is_not_remembered() {
    let store = store(1 << 20);
    let mut searches = Searches::default();
    assert!(searches.traces(&store, "status:").is_err());
    assert!(searches.traces.is_empty());
}

//! The memory of a whole program whose receiver accepts the first request and never responds. It stays within the queue's
//! budget in bytes, plus a fixed amount for the request and the transport, whatever the spans look like.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

mod program;

use program::check;

fn check_memory(scenario: &str) {
    check(scenario, "exit 0\nthe budget was used: yes\nwithin the budget: yes\n");
}

#[test]
fn large_attributes_stay_within_the_budget() {
    check_memory("128 attributes of 8 KB, http/protobuf");
    check_memory("128 attributes of 8 KB, grpc");
}

#[test]
fn large_events_stay_within_the_budget() {
    check_memory("128 events of 8 KB, http/protobuf");
    check_memory("128 events of 8 KB, grpc");
}

#[test]
fn one_large_attribute_stays_within_the_budget() {
    check_memory("one attribute of 1 MB, http/protobuf");
    check_memory("one attribute of 1 MB, grpc");
}

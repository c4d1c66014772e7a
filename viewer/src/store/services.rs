//! The services, with their hues and the numbers of their spans.

use std::collections::HashMap;

use crate::model::{Span, Text};

use super::trace::is_error;

/// The number of hues.
pub(crate) const HUES: u64 = 10;
/// The maximum number of services that keep a hue of their own choice.
const MAX_SERVICES: usize = 1_000;

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) hue: u8,
    /// The number of spans that are held.
    pub(crate) spans: u64,
    /// The number of those with an error.
    pub(crate) errors: u64,
}

/// All services that have sent spans. Their hues stay the same for the life of the store, unless there are too many.
#[derive(Debug, Default)]
pub(crate) struct Services {
    by_name: HashMap<Text, Service>,
    taken: [bool; HUES as usize],
    /// The number of services without spans.
    empty: usize,
}

impl Services {
    pub(super) fn add(&mut self, span: &Span) {
        let name = &span.resource.service;
        if !self.by_name.contains_key(name) {
            if self.by_name.len() >= MAX_SERVICES && self.empty > 0 {
                self.by_name.retain(|_, service| service.spans > 0);
                self.empty = 0;
            }
            if self.by_name.len() >= MAX_SERVICES {
                return;
            }
            let hue = self.free_hue(name);
            self.by_name.insert(name.clone(), Service { hue, spans: 0, errors: 0 });
            self.empty += 1;
        }
        if let Some(service) = self.by_name.get_mut(name) {
            if service.spans == 0 {
                self.empty = self.empty.saturating_sub(1);
            }
            service.spans += 1;
            service.errors += u64::from(is_error(span));
        }
    }

    pub(super) fn remove(&mut self, span: &Span) {
        if let Some(service) = self.by_name.get_mut(&span.resource.service) {
            // Spans that came before their service was known are not counted.
            self.empty += usize::from(service.spans == 1);
            service.spans = service.spans.saturating_sub(1);
            service.errors = service.errors.saturating_sub(u64::from(is_error(span)));
        }
    }

    /// Returns the hue of a service.
    pub(crate) fn hue(&self, name: &str) -> u8 {
        self.by_name.get(name).map_or_else(|| hue(name), |service| service.hue)
    }

    /// Returns the services that have spans, those with the most spans first.
    pub(crate) fn list(&self) -> Vec<(Text, Service)> {
        let held = self.by_name.iter().filter(|(_, service)| service.spans > 0);
        let mut list: Vec<_> = held.map(|(name, service)| (name.clone(), service.clone())).collect();
        list.sort_by(|(a, one), (b, other)| other.spans.cmp(&one.spans).then_with(|| a.cmp(b)));
        list
    }

    /// Chooses the hue of a new service: its own, or the next one that no other service has.
    fn free_hue(&mut self, name: &str) -> u8 {
        let own = hue(name);
        let free = (0..HUES as u8).map(|step| (own + step) % HUES as u8).find(|&hue| !self.is_taken(hue));
        let hue = free.unwrap_or(own);
        if let Some(taken) = self.taken.get_mut(usize::from(hue)) {
            *taken = true;
        }
        hue
    }

    fn is_taken(&self, hue: u8) -> bool {
        self.taken.get(usize::from(hue)).is_some_and(|&taken| taken)
    }
}

fn hue(name: &str) -> u8 {
    (fnv1a(name.bytes()) % HUES) as u8
}

/// Returns the FNV-1a hash, which is the same in every run and in the page's script.
pub(crate) fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_have_their_own_hues_while_there_are_enough() {
        let mut services = Services::default();
        let names: Vec<String> = (0..HUES).map(|number| format!("service-{number}")).collect();
        let hues: Vec<u8> = names.iter().map(|name| services.free_hue(name)).collect();
        let mut sorted = hues.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..HUES as u8).collect::<Vec<_>>());
        assert_eq!(services.free_hue("one more"), hue("one more"));
    }

    #[test]
    fn the_hash_is_that_of_its_definition() {
        // From the test vectors of draft-eastlake-fnv.
        assert_eq!(fnv1a(b"".iter().copied()), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar".iter().copied()), 0x8594_4171_f739_67e8);
    }
}

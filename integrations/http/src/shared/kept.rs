//! Caches text that peers send repeatedly: a server has few kinds of clients, and often only a few peers. The first texts are
//! kept for the life of the program, so that a span does not copy them or free them on another thread.

use std::cell::Cell;
use std::fmt::Write as _;
use std::net::IpAddr;

use telemark_kit::Interner;

static AGENTS: Interner<()> = Interner::new(128, 256);
static ADDRESSES: Interner<()> = Interner::new(256, 48);

thread_local! {
    static RECENT_AGENTS: Recent<()> = const { Recent::new() };
    static RECENT_ADDRESSES: Recent<Option<IpAddr>> = const { Recent::new() };
}

/// Returns the cached text of a `User-Agent`, or `None` if it is not cached.
#[inline]
pub(crate) fn agent(bytes: &[u8]) -> Option<&'static str> {
    let (middle, last) = (*bytes.get(bytes.len() / 2)?, *bytes.last()?);
    let place = bytes.len() + 7 * usize::from(middle) + 31 * usize::from(last);
    let is_it = |(_, text): (_, &'static str)| text.as_bytes() == bytes;
    let keep = || Some(((), AGENTS.get(std::str::from_utf8(bytes).ok()?, |_| ())?.0));
    // The thread-local is not available while the thread is ending.
    RECENT_AGENTS.try_with(|recent| recent.find(place, is_it, keep)).ok().flatten()
}

/// Returns the cached text of an address, or `None` if it is not cached.
#[inline]
pub fn address(ip: IpAddr) -> Option<&'static str> {
    let number = match ip {
        IpAddr::V4(ip) => u64::from(ip.to_bits()),
        IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64 ^ ip.to_bits() as u64,
    };
    let place = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) as usize;
    let keep = || {
        let mut text = String::new();
        write!(text, "{ip}").ok()?;
        Some((Some(ip), ADDRESSES.get(&text, |_| ())?.0))
    };
    RECENT_ADDRESSES.try_with(|recent| recent.find(place, |(of, _)| of == Some(ip), keep)).ok().flatten()
}

const PLACES: usize = 16;
/// After this many consecutive texts that are not cached, only one text in this many is looked up in the table shared by all
/// threads.
const PATIENCE: u32 = 64;

/// The cached texts that a thread used most recently, with their keys.
struct Recent<K> {
    places: [Cell<Option<(K, &'static str)>>; PLACES],
    /// The number of texts that were not cached since one was last found in the table.
    strangers: Cell<u32>,
}

impl<K: Copy> Recent<K> {
    const fn new() -> Self {
        Recent { places: [const { Cell::new(None) }; PLACES], strangers: Cell::new(0) }
    }

    /// Returns the text at this place if `is_it` accepts it, or else the text that `keep` finds in the table or adds to it.
    #[inline]
    fn find(
        &self,
        place: usize,
        is_it: impl Fn((K, &'static str)) -> bool,
        keep: impl FnOnce() -> Option<(K, &'static str)>,
    ) -> Option<&'static str> {
        let place = self.places.get(place % PLACES)?;
        match place.get() {
            Some(known) if is_it(known) => Some(known.1),
            _ => self.keep(place, keep),
        }
    }

    fn keep(
        &self,
        place: &Cell<Option<(K, &'static str)>>,
        keep: impl FnOnce() -> Option<(K, &'static str)>,
    ) -> Option<&'static str> {
        let strangers = self.strangers.get();
        let kept = if strangers < PATIENCE || strangers % PATIENCE == 0 { keep() } else { None };
        self.strangers.set(if kept.is_some() { 0 } else { strangers.wrapping_add(1) });
        if kept.is_some() {
            place.set(kept);
        }
        kept.map(|(_, text)| text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_is_the_same_text() {
        for text in ["curl/8.9.1", "shop/1.0", "curl/8.9.2"] {
            let first = agent(text.as_bytes()).unwrap();
            assert!(first == text && std::ptr::eq(first, agent(text.as_bytes()).unwrap()), "{text}");
        }
        for text in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
            let ip = text.parse().unwrap();
            let first = address(ip).unwrap();
            assert!(first == text && std::ptr::eq(first, address(ip).unwrap()), "{text}");
        }
        for text in [&b""[..], b"\xff", &[b'x'; 257]] {
            assert_eq!(agent(text), None);
        }
    }

    #[test]
    fn strangers_do_not_ask_the_table_each_time() {
        let (recent, asked) = (Recent::new(), Cell::new(0));
        let find = |place, text: &'static str, is_kept: bool| {
            let keep = || {
                asked.set(asked.get() + 1);
                is_kept.then_some(((), text))
            };
            recent.find(place, |(_, known)| known == text, keep)
        };
        assert_eq!((find(0, "known", true), find(0, "known", true), asked.take()), (Some("known"), Some("known"), 1));
        for _ in 0..10 * PATIENCE {
            assert_eq!(find(0, "stranger", false), None);
        }
        assert_eq!(asked.take(), PATIENCE + 9);
        // Known texts stay known, and a text that can be cached is eventually found again.
        assert_eq!((find(0, "known", false), asked.take()), (Some("known"), 0));
        let found = (0..=PATIENCE).find_map(|_| find(1, "late", true));
        assert_eq!((found, asked.take()), (Some("late"), 1));
        assert_eq!((find(2, "stranger", false), asked.take()), (None, 1));
    }
}

//! Trace and span ids: the generator trait, and the random generator that is used by default.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::fmt::Debug;
use std::hash::BuildHasher;

use opentelemetry::trace::{SpanId, TraceId};

use crate::process::after_fork;
use crate::time::Clock;

/// Generates the ids of new traces and spans.
///
/// Called on the thread that starts the span, once per span and once more per trace. A zero id is invalid and is replaced
/// with a random one.
///
/// spec: trace/sdk.md#id-generators
pub trait IdGenerator: Debug + Send + Sync + 'static {
    /// Returns the id of a new trace.
    fn trace_id(&self) -> TraceId;

    /// Returns the id of a new span.
    fn span_id(&self) -> SpanId;

    /// Returns true if the rightmost seven bytes of the trace ids are uniformly random, which causes the W3C random
    /// flag to be set.
    ///
    /// spec: W3C trace context level 2, random trace id flag
    fn is_random(&self) -> bool {
        false
    }
}

/// Generates random ids with one generator per thread, seeded by the operating system and reseeded in a forked child. A child
/// created by the raw `clone` system call, bypassing libc, repeats its parent's ids.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomIds;

impl IdGenerator for RandomIds {
    #[inline]
    fn trace_id(&self) -> TraceId {
        with_generator(|generator| {
            loop {
                let id = u128::from(generator.next()) << 64 | u128::from(generator.next());
                if id != 0 {
                    return TraceId::from(id);
                }
            }
        })
    }

    #[inline]
    fn span_id(&self) -> SpanId {
        with_generator(|generator| {
            loop {
                let id = generator.next();
                if id != 0 {
                    return SpanId::from(id);
                }
            }
        })
    }

    fn is_random(&self) -> bool {
        true
    }
}

/// Returns a random number for jitter and sampling. Not suitable for secrets.
pub fn random() -> u64 {
    with_generator(Xoshiro256::next)
}

const UNSEEDED: [u64; 4] = [0; 4];

thread_local! {
    // Has no destructor, so that the destructors of other thread-locals can still start spans.
    static STATE: Cell<[u64; 4]> = const { Cell::new(UNSEEDED) };
}

#[inline]
fn with_generator<T>(f: impl Fn(&mut Xoshiro256) -> T) -> T {
    STATE.with(|state| {
        let mut generator = match state.get() {
            UNSEEDED => Xoshiro256::from_entropy(),
            seeded => Xoshiro256(seeded),
        };
        let result = f(&mut generator);
        state.set(generator.0);
        result
    })
}

/// xoshiro256++ by Blackman and Vigna. With 256 bits of state, no two threads share a sequence, even in a large fleet.
struct Xoshiro256([u64; 4]);

impl Xoshiro256 {
    /// Hashes a counter with the operating system's keys in a `RandomState`, which stretches the keys to 256 bits. A forked
    /// child inherits its parent's keys, so the process id and the time are hashed as well.
    #[cold]
    fn from_entropy() -> Self {
        after_fork(|| STATE.set(UNSEEDED));
        let state = RandomState::new();
        let here = (std::process::id(), Clock::system().now());
        Xoshiro256([0u64, 1, 2, 3].map(|word| state.hash_one((word, here))))
    }

    #[inline]
    fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_generator_is_xoshiro256_plus_plus() {
        // First outputs of the reference implementation for the state 1, 2, 3, 4.
        let mut generator = Xoshiro256([1, 2, 3, 4]);
        let outputs: Vec<u64> = (0..4).map(|_| generator.next()).collect();
        assert_eq!(outputs, [41943041, 58720359, 3588806011781223, 3591011842654386]);
    }

    #[test]
    fn ids_are_distinct_across_threads_and_never_zero() {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                #[allow(clippy::disallowed_methods, reason = "a test of several threads")]
                std::thread::spawn(|| (0..1000).map(|_| RandomIds.trace_id()).collect::<Vec<_>>())
            })
            .collect();
        let mut seen = HashSet::new();
        for thread in threads {
            for id in thread.join().unwrap() {
                assert_ne!(id, TraceId::INVALID);
                assert!(seen.insert(id));
            }
        }
    }

    #[test]
    fn every_bit_of_a_trace_id_is_random() {
        let n: u32 = 20_000;
        let mut ones = [0u32; 128];
        for _ in 0..n {
            let id = u128::from_be_bytes(RandomIds.trace_id().to_bytes());
            for (bit, count) in ones.iter_mut().enumerate() {
                *count += u32::from(id >> bit & 1 == 1);
            }
        }
        // Six standard deviations of the number of heads in n fair coin tosses, each of which is sqrt(n) / 2.
        let tolerance = (f64::from(n).sqrt() * 3.0) as u32;
        assert!(ones.iter().all(|&count| count.abs_diff(n / 2) < tolerance), "{ones:?}");
    }
}

//! The hash of trace ids.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// Hashes trace ids with secrets of the process, because a remote parent may choose them. Much faster than the default for 16 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys([u64; 2]);

impl Keys {
    pub(crate) fn new() -> Self {
        let state = RandomState::new();
        Keys([0_u64, 1].map(|word| state.hash_one(word)))
    }
}

impl BuildHasher for Keys {
    type Hasher = KeyHasher;

    #[inline]
    fn build_hasher(&self) -> KeyHasher {
        KeyHasher { keys: self.0, hash: 0 }
    }
}

/// The hasher of [`Keys`].
#[derive(Debug)]
pub(crate) struct KeyHasher {
    keys: [u64; 2],
    hash: u64,
}

impl KeyHasher {
    #[inline]
    fn fold(&mut self, high: u64, low: u64) {
        let product = u128::from(high ^ self.keys[0]) * u128::from(low ^ self.keys[1] ^ self.hash.rotate_left(32));
        // A second multiplication spreads every bit over the whole word.
        let folded = (product as u64) ^ (product >> 64) as u64;
        self.hash = folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (folded >> 32);
    }
}

impl Hasher for KeyHasher {
    #[inline]
    fn write_u128(&mut self, value: u128) {
        self.fold((value >> 64) as u64, value as u64);
    }

    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            self.fold(u64::from_le_bytes(word), part.len() as u64);
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.hash
    }
}

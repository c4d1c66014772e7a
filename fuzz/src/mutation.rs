//! Mutations without a fuzzer: small random edits of a corpus, identical in every run.

/// Derives inputs from a corpus. The same corpus and seed always produce the same inputs.
#[derive(Debug)]
pub struct Mutator {
    corpus: Vec<Vec<u8>>,
    random: u64,
}

/// Strings that often cause parser bugs.
const TOKENS: &[&[u8]] = &[
    b"",
    b"\0",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b",",
    b";",
    b"=",
    b":",
    b"\"",
    b"\\",
    b"%",
    b"%00",
    b"%zz",
    b"%2",
    b"[",
    b"]",
    b"{",
    b"}",
    b"-",
    b"_",
    b"00",
    b"ff",
    b"0",
    b"-1",
    b"18446744073709551616",
    b"1e999",
    b"NaN",
    b"\xff",
    b"\xc3\x28",
    b"\xf0\x9f\x92\xa9",
    "\u{202e}".as_bytes(),
    "\u{0085}".as_bytes(),
    "\u{0130}".as_bytes(),
    b"\x1b[2J",
    b"q=",
    b"*",
    b"https://",
    b"[::1]:80",
    b"@",
    b": ",
    b"- ",
    b"${",
    b"&a ",
    b"*a",
    b"!!str ",
    b"\n  ",
];

impl Mutator {
    /// Creates a mutator for a corpus. An empty corpus is replaced by one empty input.
    pub fn new(mut corpus: Vec<Vec<u8>>, seed: u64) -> Self {
        if corpus.is_empty() {
            corpus.push(Vec::new());
        }
        Mutator { corpus, random: seed | 1 }
    }

    /// Returns the next input, which is an input from the corpus after one to eight edits.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.pick();
        for _ in 0..=self.below(7) {
            self.edit(&mut input);
        }
        input
    }

    fn edit(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        match self.below(7) {
            0 => insert(input, at, TOKENS[self.below(TOKENS.len())]),
            1 => insert(input, at, &[self.next() as u8]),
            2 if at < input.len() => drop(input.remove(at)),
            3 if at < input.len() => input[at] ^= 1 << self.below(8),
            4 => input.truncate(at),
            5 => {
                // Joins the start of one input to the end of another.
                let other = self.pick();
                input.truncate(at);
                input.extend_from_slice(&other[self.below(other.len() + 1)..]);
            }
            _ => {
                let end = at + self.below(input.len() + 1 - at);
                let piece = input[at..end].to_vec();
                for _ in 0..self.below(20) {
                    insert(input, at, &piece);
                }
            }
        }
        // Long inputs are slow and rarely find more.
        input.truncate(16 * 1024);
    }

    fn pick(&mut self) -> Vec<u8> {
        let index = self.below(self.corpus.len());
        self.corpus[index].clone()
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Returns the next number from an xorshift generator, which is repeatable and random enough to choose edits.
    fn next(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

fn insert(input: &mut Vec<u8>, at: usize, piece: &[u8]) {
    input.splice(at..at, piece.iter().copied());
}

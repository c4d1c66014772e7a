//! Recorded numbers, and their representation as bits in atomics.

/// A recorded number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Recorded by a signed instrument.
    I64(i64),
    /// Recorded by an unsigned instrument.
    U64(u64),
    /// Recorded by a floating-point instrument.
    F64(f64),
}

impl Number {
    /// Returns the number as a float. Exact up to a magnitude of 2⁵³.
    pub fn as_f64(self) -> f64 {
        match self {
            Number::I64(value) => value as f64,
            Number::U64(value) => value as f64,
            Number::F64(value) => value,
        }
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Number::I64(value)
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Number::U64(value)
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Number::F64(value)
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Number::I64(value) => value.fmt(f),
            Number::U64(value) => value.fmt(f),
            Number::F64(value) => value.fmt(f),
        }
    }
}

/// A number type that the API's instruments accept.
pub(crate) trait Measured: Copy + Into<Number> + Send + Sync + 'static {
    const TYPE: NumberType;

    fn bits(self) -> u64;

    fn from_bits(bits: u64) -> Self;

    /// Adds two numbers. Integers saturate.
    fn plus(self, other: Self) -> Self;

    /// Like `plus`, but returns `None` if an integer would overflow.
    fn checked_plus(self, other: Self) -> Option<Self>;

    fn as_f64(self) -> f64;

    fn is_finite(self) -> bool {
        true
    }

    fn is_negative(self) -> bool;
}

/// A number type, needed to interpret the bits of an aggregation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum NumberType {
    I64,
    U64,
    F64,
}

impl NumberType {
    pub(crate) fn number(self, bits: u64) -> Number {
        match self {
            NumberType::I64 => Number::I64(i64::from_bits(bits)),
            NumberType::U64 => Number::U64(bits),
            NumberType::F64 => Number::F64(f64::from_bits(bits)),
        }
    }

    pub(crate) fn add(self, a: u64, b: u64) -> u64 {
        match self {
            NumberType::I64 => i64::from_bits(a).saturating_add(i64::from_bits(b)).bits(),
            NumberType::U64 => a.saturating_add(b),
            NumberType::F64 => (f64::from_bits(a) + f64::from_bits(b)).to_bits(),
        }
    }

    pub(crate) fn subtract(self, a: u64, b: u64) -> u64 {
        match self {
            NumberType::I64 => i64::from_bits(a).saturating_sub(i64::from_bits(b)).bits(),
            NumberType::U64 => a.saturating_sub(b),
            NumberType::F64 => (f64::from_bits(a) - f64::from_bits(b)).to_bits(),
        }
    }

    /// Clamps a sum to the finite range. Also returns true if the sum has reached a limit of its type.
    pub(crate) fn limited(self, bits: u64) -> (u64, bool) {
        match self {
            NumberType::I64 => (bits, matches!(i64::from_bits(bits), i64::MIN | i64::MAX)),
            NumberType::U64 => (bits, bits == u64::MAX),
            NumberType::F64 => {
                let (sum, is_at_limit) = limited(f64::from_bits(bits));
                (sum.to_bits(), is_at_limit)
            }
        }
    }

    /// Returns true if the bits represent zero.
    pub(crate) fn is_zero(self, bits: u64) -> bool {
        match self {
            NumberType::I64 | NumberType::U64 => bits == 0,
            NumberType::F64 => f64::from_bits(bits) == 0.0,
        }
    }
}

/// Clamps a sum to the finite range. Also returns true if the sum was not finite. NaN, which results from adding
/// opposite infinities, becomes zero.
pub(crate) fn limited(sum: f64) -> (f64, bool) {
    match sum {
        _ if sum.is_finite() => (sum, false),
        _ if sum.is_nan() => (0.0, true),
        _ => (sum.clamp(f64::MIN, f64::MAX), true),
    }
}

impl Measured for u64 {
    const TYPE: NumberType = NumberType::U64;

    #[inline]
    fn bits(self) -> u64 {
        self
    }

    #[inline]
    fn from_bits(bits: u64) -> Self {
        bits
    }

    #[inline]
    fn plus(self, other: Self) -> Self {
        self.saturating_add(other)
    }

    #[inline]
    fn checked_plus(self, other: Self) -> Option<Self> {
        self.checked_add(other)
    }

    #[inline]
    fn as_f64(self) -> f64 {
        self as f64
    }

    #[inline]
    fn is_negative(self) -> bool {
        false
    }
}

impl Measured for i64 {
    const TYPE: NumberType = NumberType::I64;

    #[inline]
    fn bits(self) -> u64 {
        self as u64
    }

    #[inline]
    fn from_bits(bits: u64) -> Self {
        bits as i64
    }

    #[inline]
    fn plus(self, other: Self) -> Self {
        self.saturating_add(other)
    }

    #[inline]
    fn checked_plus(self, other: Self) -> Option<Self> {
        self.checked_add(other)
    }

    #[inline]
    fn as_f64(self) -> f64 {
        self as f64
    }

    #[inline]
    fn is_negative(self) -> bool {
        self < 0
    }
}

impl Measured for f64 {
    const TYPE: NumberType = NumberType::F64;

    #[inline]
    fn bits(self) -> u64 {
        self.to_bits()
    }

    #[inline]
    fn from_bits(bits: u64) -> Self {
        f64::from_bits(bits)
    }

    #[inline]
    fn plus(self, other: Self) -> Self {
        self + other
    }

    #[inline]
    fn checked_plus(self, other: Self) -> Option<Self> {
        Some(self + other)
    }

    #[inline]
    fn as_f64(self) -> f64 {
        self
    }

    #[inline]
    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }

    #[inline]
    fn is_negative(self) -> bool {
        self < 0.0
    }
}

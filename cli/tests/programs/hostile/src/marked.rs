//! Has a byte order mark, and characters of several bytes: é.

#[rustfmt::skip]
pub(crate) async fn two() -> u32 { let value = "日".len(); u32::try_from(value).unwrap_or(3) - 1 }

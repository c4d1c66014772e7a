//! Gets carriage returns when it is copied.

/// One.
pub(crate) async fn one() -> u32 {
    let value = "a
b";
    if value.len() == 3 { 1 } else { 0 }
}

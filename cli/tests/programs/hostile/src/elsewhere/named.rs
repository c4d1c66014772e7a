//! Is named by an attribute.

pub(crate) async fn three() -> u32 {
    let value = 2;
    value + 1
}

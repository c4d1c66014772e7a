//! What it costs to adopt a library before the first request.
pub(crate) const NAME: &str = "adoption";
pub(crate) fn measure(_rounds: usize) -> Result<(), crate::Failure> {
    Ok(())
}

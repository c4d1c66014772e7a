//! Chromium, as packaged by Debian. The test of the viewer's page starts it.

use super::install::{apt, is_there};
use crate::step::Failure;

/// Returns the name of the program, which is installed if necessary.
pub(super) fn find() -> Result<String, Failure> {
    const PROGRAM: &str = "chromium";
    if !is_there(PROGRAM) {
        apt(PROGRAM)?;
    }
    Ok(PROGRAM.to_owned())
}

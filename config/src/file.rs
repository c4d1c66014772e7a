//! Reads a file within bounds.

use std::io::Read;
use std::path::Path;

use telemark_sdk::config::{Env, Tree};
use telemark_sdk::runtime::open_regular_file;
use telemark_sdk::{ConfigError, text};

/// The maximum size of a file in bytes: 1 MiB.
pub const MAX_SIZE: u64 = 1 << 20;

const SETTING: &str = "OTEL_CONFIG_FILE";

/// Reads and parses a file. References to variables are looked up in `env`.
///
/// # Errors
/// Fails if `path` is not a readable regular file of at most [`MAX_SIZE`] in UTF-8, and in the cases of [`parse`](crate::parse).
pub fn read(path: &Path, env: &Env) -> Result<Tree, ConfigError> {
    let shown = path.to_string_lossy();
    let invalid = |accepted: String| ConfigError::invalid(SETTING, shown.clone(), accepted);
    let unreadable = |error| invalid("a file that can be read".to_owned()).with_source(error);
    // Reading anything else, such as a pipe without a writer, could block.
    let file = open_regular_file(path).map_err(unreadable)?;
    let Some(file) = file else { return Err(invalid("a regular file".to_owned())) };
    let too_large = || invalid(format!("a file of at most {MAX_SIZE} bytes"));
    if file.metadata().map_err(unreadable)?.len() > MAX_SIZE {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(too_large());
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes().iter().take(valid).filter(|byte| **byte == b'\n').count();
        let name = text::foreign(&*shown).to_string();
        ConfigError::state(SETTING, format!("{name}, line {line}: is not text in UTF-8"))
    })?;
    crate::parse(&shown, &text, env)
}

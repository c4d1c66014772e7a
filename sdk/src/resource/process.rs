//! The detector `process`: this process and its executable.

use opentelemetry::KeyValue;

use super::creation_time;

pub(super) fn process() -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("process.pid", i64::from(std::process::id())),
        KeyValue::new("process.runtime.name", "rustc"),
    ];
    attributes.extend(executable().map(|name| KeyValue::new("process.executable.name", name)));
    attributes.extend(creation_time::creation_time().map(|time| KeyValue::new("process.creation.time", time)));
    let path = std::env::current_exe().ok();
    attributes.extend(path.map(|path| KeyValue::new("process.executable.path", path.to_string_lossy().into_owned())));
    attributes
}

pub(super) fn executable() -> Option<String> {
    let path = std::env::current_exe().ok()?;
    Some(path.file_name()?.to_string_lossy().into_owned())
}

//! The JSON API and the page, over HTTP.
//!
//! | path | file |
//! |---|---|
//! | `/status.json` | `status` |
//! | `/traces.json`, `/trace/{id}.json`, `/trace/{id}/span/{id}.json` | `traces`, `trace`, `span` |
//! | `/records.json` | `records` |
//! | `/instruments.json`, `/instrument/{id}.json` | `metrics` |
//! | `/map.json`, `/findings.json`, `/compare.json` | `insight` |
//! | `/complete.json` | `complete` |
//! | `POST /mcp` | the module `mcp` |
//!
//! Lists have times in microseconds since the Unix epoch. Durations are nanoseconds. Errors are
//! `{"error": "..."}`, with the position in the query as `at`.

mod complete;
mod guard;
mod insight;
mod json;
mod metrics;
mod params;
mod records;
mod routes;
mod span;
mod status;
mod trace;
mod traces;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use guard::Token;
use insight::Results;
pub(crate) use params::{Params, Refused};

use serde_json::Value as Json;

use crate::model::TraceId;
use crate::search::Searches;
use crate::store::Store;

/// Responds to the requests of pages and tools.
pub(crate) struct Api {
    pub(crate) store: Arc<Store>,
    searches: Mutex<Searches>,
    results: Mutex<Results>,
    token: Option<Token>,
    address: SocketAddr,
    in_process: bool,
    receivers: Vec<(&'static str, String)>,
}

impl Api {
    /// Returns `None` if the token is too short or contains other characters than those of a link.
    pub(crate) fn new(
        store: Arc<Store>,
        address: SocketAddr,
        receivers: Vec<(&'static str, String)>,
        in_process: bool,
        token: Option<String>,
    ) -> Option<Api> {
        let token = match token {
            Some(token) => Some(Token::new(token, address.port())?),
            None => None,
        };
        let (searches, results) = (Mutex::default(), Mutex::default());
        Some(Api { store, searches, results, token, address, in_process, receivers })
    }

    /// Returns a trace as `/trace/{id}.json` has it.
    pub(crate) fn trace_json(&self, id: TraceId) -> Result<Json, Refused> {
        let view = self.trace(id)?;
        serde_json::to_value(view).map_err(|_| Refused::new(500, "the trace cannot be written as JSON"))
    }

    fn searches(&self) -> MutexGuard<'_, Searches> {
        lock(&self.searches)
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("address", &self.address).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Returns the calls that render while the store is locked.
    fn rendered(source: &str) -> Vec<&str> {
        let mut found = Vec::new();
        for (at, call) in source.match_indices(".read(|held|") {
            let mut depth = 0;
            let end = source[at..].find(|character| {
                depth += i32::from(character == '(') - i32::from(character == ')');
                character == ')' && depth == 0
            });
            let locked = &source[at..at + end.unwrap_or(call.len())];
            let words = ["json!", "format!", "to_value", "to_string", "to_owned", "row(", "attributes(", "micros("];
            found.extend(words.into_iter().filter(|word| locked.contains(word)));
        }
        found
    }

    fn check(folder: &Path) -> usize {
        let mut locks = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                locks += check(&path);
            } else {
                let source = std::fs::read_to_string(&path).unwrap();
                let code = source.split("#[cfg(test)]").next().unwrap();
                assert_eq!(rendered(code), [""; 0], "{}", path.display());
                locks += code.matches(".read(|held|").count();
            }
        }
        locks
    }

    #[test]
    fn nothing_is_rendered_while_the_store_is_locked() {
        let planted = "store.read(|held| { (held.a(), held.b()); json!({ \"a\": held.a() }) }); format!(\"{a}\")";
        assert_eq!(rendered(planted), ["json!"]);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        assert!(check(&source) > 10);
    }
}

//! The expansion of `#[traced]`, with implausible and incomplete source code.

use std::panic::resume_unwind;
use std::str::FromStr;
use std::thread;

use proc_macro2::TokenStream;
use telemark_macros_expand::expand;

/// Longer inputs only add nesting.
const MAX_LENGTH: usize = 4 * 1024;

/// The parser is recursive and relies on its caller for enough stack. Unused stack takes no memory.
const STACK: usize = 512 * 1024 * 1024;

/// The default item, for inputs that consist only of options.
const ITEM: &str =
    "impl Cart { fn total(&self, a: u32, b: &'static str) -> Result<u32, E> { Ok(a) } async fn buy(b: u8) {} }";

/// Takes the first line as options and the rest as the item. The macro must expand them, or return an error that has a
/// message and keeps the item.
#[allow(clippy::panic, reason = "a fuzz target reports by panicking")]
pub(crate) fn expansion(input: &[u8]) {
    if input.len() > MAX_LENGTH {
        return;
    }
    let text = String::from_utf8_lossy(input);
    let (options, item) = text.split_once('\n').unwrap_or((&text, ITEM));
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK);
        #[allow(clippy::disallowed_methods, reason = "for its stack")]
        let checked = thread.spawn_scoped(scope, || check(options, item));
        match checked.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(())) => {}
            Ok(Err(panic)) => resume_unwind(panic),
            Err(error) => panic!("no thread for the parser: {error}"),
        }
    });
}

fn check(options: &str, item: &str) {
    let Ok(options) = TokenStream::from_str(options) else { return };
    // If a mutation broke the brackets of the item, the options are tested with the default item.
    let Ok(item) = TokenStream::from_str(item).or_else(|_| ITEM.parse()) else { return };
    match expand(options, item.clone()) {
        Ok(expanded) => assert!(!expanded.is_empty(), "nothing is left of {item}"),
        Err(error) => {
            assert!(!error.to_string().is_empty(), "an error without a message");
            let kept = count(error.item().clone());
            assert!(kept <= count(item), "the item has grown: {}", error.item());
            assert!(count(error.into_compile_error()) > kept, "an error that the compiler does not see");
        }
    }
}

/// Counts the top-level tokens.
fn count(tokens: TokenStream) -> usize {
    tokens.into_iter().count()
}

//! The expansion triggers no warning, regardless of which lints are denied.

#![deny(warnings)]
#![forbid(clippy::all, unreachable_code, unused_variables)]
#![forbid(unsafe_code)]
#![deny(missing_docs, unused, unreachable_pub, rust_2018_idioms, single_use_lifetimes, unused_qualifications)]
#![deny(elided_lifetimes_in_paths, unused_results, trivial_casts, let_underscore_drop, non_ascii_idents)]
#![deny(clippy::all, clippy::pedantic)]

use std::future::Future;
use std::pin::Pin;

use telemark::traced;

/// Documented.
#[derive(Debug)]
pub struct Cart<'a, T>(&'a [T]);

/// Methods.
#[traced(kind = producer, metrics)]
impl<'a, T> Cart<'a, T>
where
    T: Clone + Send + Sync + 'a,
{
    /// Borrowed from self.
    #[must_use]
    pub fn first(&self) -> Option<&'a T> {
        self.0.first()
    }

    /// Elided.
    ///
    /// # Errors
    /// When empty.
    pub fn last(&self) -> Result<&T, &'static str> {
        self.0.last().ok_or("empty")
    }

    /// Asynchronous.
    ///
    /// # Errors
    /// Never.
    pub async fn each<F>(&self, mut visit: F) -> Result<(), std::fmt::Error>
    where
        F: FnMut(&T) + Send,
    {
        for item in self.0 {
            visit(item);
            std::future::ready(()).await;
        }
        Ok(())
    }

    /// A future.
    pub fn count(&self, _unused: u8) -> Pin<Box<dyn Future<Output = usize> + Send + '_>> {
        Box::pin(async { self.0.len() })
    }
}

#[traced(fields(n, half = n / 2, text = %n, "quoted" = ?n), ret, metrics)]
fn numbers(n: u64) -> u64 {
    if n > 3 {
        return 3;
    }
    n
}

#[traced(metrics)]
fn never() -> ! {
    std::process::exit(0)
}

#[traced(metrics)]
async fn forever() -> ! {
    loop {
        std::future::pending::<()>().await;
    }
}

#[traced(root, err = off, code = off)]
fn empty() {}

#[traced(metrics)]
fn measured() {}

#[traced(metrics)]
fn opaque(n: &u8) -> impl Future<Output = Result<u8, String>> + '_ {
    async move { Ok(*n) }
}

#[traced]
fn constant<const N: usize>(mut list: [u8; N]) -> Result<[u8; N], Box<dyn std::error::Error>> {
    if let Some(first) = list.first_mut() {
        *first = "1".parse()?;
    }
    Ok(list)
}

fn main() {
    let cart = Cart(&[1, 2]);
    assert_eq!(cart.first(), Some(&1));
    assert_eq!(cart.last(), Ok(&2));
    drop(cart.each(|_| ()));
    drop(cart.count(1));
    assert_eq!(numbers(9), 3);
    assert!(constant([0]).is_ok());
    drop(forever());
    empty();
    measured();
    drop(opaque(&1));
    never()
}

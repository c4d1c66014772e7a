//! The expansion needs no prelude.

#![no_implicit_prelude]

use ::std::boxed::Box;
use ::std::future::Future;
use ::std::iter::Iterator;
use ::std::marker::Send;
use ::std::pin::Pin;
use ::std::result::Result::{self, Ok};
use ::telemark::traced;

type Answer = Result<u8, ::std::fmt::Error>;

#[traced(fields(n, twice = n * 2, text = %n), ret, metrics)]
fn plain(n: u8) -> u8 {
    n
}

#[traced(ret(Debug), metrics)]
fn fails(n: u8) -> Answer {
    Ok(n)
}

#[traced(err_if = |_| true, metrics)]
async fn later(n: u8) -> Result<u8, ::std::fmt::Error> {
    Ok(n)
}

#[traced(future)]
fn boxed(n: u8) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
    Box::pin(later(n))
}

#[traced(iterator)]
fn items(n: u8) -> impl Iterator<Item = Answer> {
    (0..n).map(Ok)
}

fn main() {
    ::std::assert_eq!(plain(1), 1);
    ::std::assert_eq!(fails(1), Ok(1));
    ::std::assert_eq!(items(2).count(), 2);
    ::std::mem::drop(boxed(1));
}

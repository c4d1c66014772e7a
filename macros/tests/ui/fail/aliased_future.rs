use std::future::Future;
use std::pin::Pin;

use telemark::traced;

type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

#[traced]
fn later() -> Later<u32> {
    Box::pin(async { 1 })
}

fn main() {
    drop(later());
}

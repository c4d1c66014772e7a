use telemark::traced;

#[traced(future)]
async fn asynchronous() {}

#[traced(stream)]
fn nothing() {}

#[traced(stream, iterator)]
fn both() -> impl Iterator<Item = u32> {
    0..1
}

#[traced(future = on)]
fn on() -> u32 {
    1
}

#[traced(iterator, ret)]
fn returns() -> impl Iterator<Item = u32> {
    0..1
}

struct Cart;

#[traced(stream)]
impl Cart {
    fn rows(&self) {}
}

fn main() {}

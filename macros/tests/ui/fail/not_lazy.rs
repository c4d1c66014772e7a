use telemark::traced;

#[traced(future)]
fn no_future() -> u32 {
    1
}

#[traced(stream)]
fn no_stream() -> impl Iterator<Item = u32> {
    0..1
}

#[traced(iterator)]
fn no_iterator() -> impl Send {
    1
}

fn main() {
    no_future();
    drop(no_stream());
    no_iterator();
}

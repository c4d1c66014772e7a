use telemark::traced;

#[traced(err, metrics)]
fn f() -> u32 {
    7
}

#[traced(err, metrics)]
async fn g() -> u32 {
    7
}

fn main() {
    f();
    drop(g());
}

use telemark::traced;

#[traced(err)]
fn f() -> u32 {
    7
}

fn main() {
    f();
}

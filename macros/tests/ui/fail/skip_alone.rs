use telemark::traced;

#[traced(skip)]
fn f() {}

fn main() {
    f();
}

use telemark::traced;

#[traced(parent = 7)]
fn f() {}

fn main() {
    f();
}

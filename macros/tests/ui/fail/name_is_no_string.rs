use telemark::traced;

#[traced(name = 7)]
fn f() {}

fn main() {
    f();
}

use telemark::traced;

#[traced("checkout")]
fn f() {}

fn main() {
    f();
}

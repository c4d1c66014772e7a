use telemark::traced;

#[traced]
const fn f() {}

fn main() {
    f();
}

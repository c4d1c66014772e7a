use telemark::traced;

#[traced(nam = "x")]
fn f() {}

fn main() {
    f();
}

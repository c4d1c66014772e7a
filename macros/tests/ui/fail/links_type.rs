use telemark::traced;

#[traced(links = [7])]
fn f() {}

fn main() {
    f();
}

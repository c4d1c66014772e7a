use telemark::traced;

#[traced(root, root)]
fn f() {}

fn main() {
    f();
}

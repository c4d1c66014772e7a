use telemark::traced;

#[traced(kind = sever)]
fn f() {}

fn main() {
    f();
}

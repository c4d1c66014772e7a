use telemark::traced;

#[traced(below, root)]
fn f() {}

#[traced(parent = &opentelemetry::Context::new(), below)]
fn g() {}

#[traced(below = true)]
fn h() {}

fn main() {
    f();
    g();
    h();
}

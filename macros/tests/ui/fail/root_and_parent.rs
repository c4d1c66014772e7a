use telemark::traced;

#[traced(root, parent = &opentelemetry::Context::new())]
fn f() {}

fn main() {
    f();
}

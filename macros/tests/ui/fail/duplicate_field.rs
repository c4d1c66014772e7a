use telemark::traced;

#[traced(fields(a, "a" = 2))]
fn f(a: u32) {
    let _ = a;
}

fn main() {
    f(1);
}

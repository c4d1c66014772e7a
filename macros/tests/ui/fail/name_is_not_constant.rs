use telemark::traced;

#[traced(name = text)]
fn f(text: &str) {
    let _ = text;
}

fn main() {
    f("");
}

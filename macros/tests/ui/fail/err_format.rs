use telemark::traced;

#[traced(err(Pretty))]
fn f() -> Result<(), ()> {
    Ok(())
}

fn main() {
    let _ = f();
}

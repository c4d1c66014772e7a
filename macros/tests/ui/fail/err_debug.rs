use telemark::traced;

pub struct Silent;

#[traced(err(Debug))]
fn f() -> Result<(), Silent> {
    Ok(())
}

fn main() {
    let _ = f();
}

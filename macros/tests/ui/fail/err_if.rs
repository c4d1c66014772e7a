use telemark::traced;

#[traced(err_if)]
fn no_condition() -> Result<(), u32> {
    Ok(())
}

#[traced(err_if = |_| true, err = off)]
fn off() -> Result<(), u32> {
    Ok(())
}

struct Cart;

#[traced(err_if = |_| true)]
impl Cart {
    fn total(&self) {}
}

fn main() {}

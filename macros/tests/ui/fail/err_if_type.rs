use telemark::traced;

#[traced(err_if = |_| true)]
fn no_result() -> u32 {
    1
}

#[traced(err_if = |error| error.len())]
fn no_bool() -> Result<(), String> {
    Ok(())
}

#[traced(err_if = |error: &u32| *error > 1)]
fn another_error() -> Result<(), String> {
    Ok(())
}

fn main() {
    no_result();
    _ = no_bool();
    _ = another_error();
}

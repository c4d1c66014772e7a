use telemark::traced;

#[traced]
fn f() -> Result<u32, String> {
    let number: u32 = "1";
    Ok(number)
}

#[traced]
async fn g() -> Result<u32, String> {
    Ok("2")
}

fn main() {
    let _ = f();
    drop(g());
}

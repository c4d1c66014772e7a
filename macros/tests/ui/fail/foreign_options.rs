use telemark::traced;

#[traced(skip(secret))]
fn skip(secret: &str) {}

#[traced(skip_all)]
fn skip_all(secret: &str) {}

#[traced(level = "loud")]
fn level() {}

#[traced(level = Level::DEBUG)]
fn level_path() {}

#[traced(target = some_variable)]
fn target() {}

#[traced(follows_from = causes)]
fn follows_from() {}

#[traced(err(level = "warn"))]
fn err_level() -> Result<(), String> {
    Ok(())
}

#[traced(ret(Debug, level = "warn"))]
fn ret_level() -> u32 {
    1
}

#[traced(err = true)]
fn err_true() -> Result<(), String> {
    Ok(())
}

#[traced(root = true)]
fn root_true() {}

#[traced(fields(late = tracing::field::Empty))]
fn empty_field() {}

#[traced(short_name = true)]
fn short_name() {}

#[traced(enter_on_poll = true)]
async fn enter_on_poll() {}

#[traced(properties = { "key": "value" })]
fn properties() {}

#[traced(kind = "server")]
fn kind() {}

#[traced(skip = true)]
fn skip_true() {}

fn main() {}

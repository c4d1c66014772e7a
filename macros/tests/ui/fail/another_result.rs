use telemark::traced;

mod own {
    pub struct Result(pub u32);
}

#[traced]
fn f() -> own::Result {
    own::Result(1)
}

fn main() {
    f();
}

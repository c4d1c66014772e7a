use telemark::traced;

mod not_the_program {
    #[telemark::traced]
    pub fn main() {}
}

#[traced]
fn main() {
    not_the_program::main();
}

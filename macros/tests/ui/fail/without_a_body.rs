use telemark::traced;

trait Shop {
    #[traced]
    fn f(&self);
}

fn main() {
}

use telemark::traced;

struct Cart;

#[traced]
impl Cart {
    #[traced(kind = browser)]
    fn f() {}

    #[traced(skip)]
    fn g() {}
}

fn main() {
    Cart::f();
    Cart::g();
}

use telemark::traced;

struct Cart;

#[traced(owner = "Cart")]
impl Cart {
    fn f() {}
}

impl Cart {
    #[traced(owner = Cart)]
    fn g() {}

    #[traced(owner = " ")]
    fn h() {}
}

fn main() {
    Cart::f();
    Cart::g();
    Cart::h();
}

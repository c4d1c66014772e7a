use telemark::traced;

struct Cart;

#[traced(name = "x")]
impl Cart {
    #[traced(root)]
    fn f() {}
}

fn main() {
    Cart::f();
}

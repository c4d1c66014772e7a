use telemark::traced;

pub struct Cart;

#[traced(ret)]
fn f() -> Cart {
    Cart
}

fn main() {
    f();
}

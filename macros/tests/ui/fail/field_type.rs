use telemark::traced;

pub struct Cart;

#[traced(fields(cart, fine = 1))]
fn f(cart: Cart) {
    drop(cart);
}

fn main() {
    f(Cart);
}

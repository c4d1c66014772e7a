use telemark::traced;

pub struct Cart;

#[traced(fields(%cart))]
fn f(cart: Cart) {
    drop(cart);
}

fn main() {
    f(Cart);
}

use telemark::traced;

#[traced(fields(cart_id))]
fn f(cart: u32) {
    let _ = cart;
}

fn main() {
    f(1);
}

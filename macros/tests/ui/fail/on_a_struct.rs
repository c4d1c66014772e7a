use telemark::traced;

#[traced]
struct Cart;

fn main() {
    let _ = Cart;
}

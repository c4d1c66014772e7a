use telemark::Counter;

static ORDERS: Counter<u64> = Counter::new("orders");

fn order(kind: &str) {
    ORDERS.add(1, ("kind", kind));
}

fn main() {
    ORDERS.add(1, "web");
    ORDERS.add(1, ("kind", vec![1]));
    order("web");
}

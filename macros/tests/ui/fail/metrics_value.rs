use telemark::traced;

#[traced(metrics = "calls")]
fn named() {}

#[traced(metrics(buckets = [1.0]))]
fn with_options() {}

#[traced(metrics, name = "twice", metrics)]
fn twice() {}

fn main() {
    named();
    with_options();
    twice();
}

//! The names of spans in blocks, and the functions that a block leaves out by default.

mod support;

use std::fmt;

use support::check;
use telemark::traced;

#[traced(kind = client)]
mod shop {
    use std::fmt;

    #[derive(PartialEq)]
    pub(super) struct Cart<T>(pub(super) T);

    impl<T> Cart<T> {
        pub(super) fn new(of: T) -> Self {
            Cart(of)
        }

        pub(super) fn wrap(of: T) -> Cart<T> {
            Cart(of)
        }

        #[traced]
        pub(super) fn asked(of: T) -> Self {
            Cart(of)
        }

        pub(super) fn get(&self) -> &T {
            &self.0
        }

        pub(super) fn open(of: T) -> Option<Self> {
            Some(Cart(of))
        }
    }

    impl<T> Drop for Cart<T> {
        fn drop(&mut self) {}
    }

    impl<T: Copy> Clone for Cart<T> {
        fn clone(&self) -> Self {
            Cart(self.0)
        }
    }

    impl<T: fmt::Display> fmt::Display for Cart<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}", self.0)
        }
    }

    pub(super) struct Cache;

    impl Cache {
        pub(super) fn get(&self) -> u32 {
            free()
        }
    }

    fn free() -> u32 {
        7
    }
}

#[test]
fn methods_of_a_block_are_named_after_their_type() {
    check(
        || assert_eq!((shop::Cache.get(), *shop::Cart(1).get()), (7, 1)),
        "
        Cache::get (client)
          free (client)
        Cart::get (client)
        ",
    );
}

#[test]
fn a_block_leaves_out_constructors_and_methods_that_run_unseen() {
    check(|| drop((shop::Cart::new(1), shop::Cart::wrap(2))), "");
    check(|| drop(shop::Cart(1).clone().to_string()), "");
    check(|| drop(shop::Cart::asked(1)), "Cart::asked (client)");
    check(|| drop(shop::Cart::open(1)), "Cart::open (client)");
}

struct Asked(&'static str);

#[traced]
impl Drop for Asked {
    fn drop(&mut self) {}
}

#[traced]
impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[traced]
impl Default for Asked {
    fn default() -> Self {
        Asked("by default")
    }
}

#[test]
fn an_attribute_on_the_inner_block_includes_it() {
    check(|| drop(Asked::default().to_string()), "Asked::default\nAsked::fmt\nAsked::drop");
}

trait Named {
    fn call(&self) -> u32;
}

#[traced]
impl Named for (u32, u32) {
    fn call(&self) -> u32 {
        self.0
    }
}

#[traced]
impl Named for &Asked {
    #[traced(name = "by name")]
    fn call(&self) -> u32 {
        0
    }
}

#[traced]
trait Provided {
    fn provided(&self) -> u32 {
        1
    }
}

impl Provided for Asked {}

trait Blanket {
    fn of_all(&self) -> u32;
}

#[traced]
impl<T> Blanket for &T {
    fn of_all(&self) -> u32 {
        3
    }
}

struct Raw;

impl Raw {
    #[traced]
    fn alone(&self) -> u32 {
        2
    }
}

#[traced]
impl Raw {
    fn r#match(&self) -> u32 {
        4
    }
}

#[test]
fn a_type_without_a_name_takes_that_of_the_trait() {
    check(|| assert_eq!((1, 2).call(), 1), "Named::call");
    check(
        || assert_eq!(Provided::provided(&std::mem::ManuallyDrop::new(Asked("x")) as &Asked), 1),
        "Provided::provided",
    );
    check(|| assert_eq!((&&*std::mem::ManuallyDrop::new(Asked("x"))).call(), 0), "by name");
    check(|| assert_eq!((&Raw).of_all(), 3), "Blanket::of_all");
}

#[test]
fn a_method_alone_has_no_type_in_its_name() {
    check(|| assert_eq!(Raw.alone(), 2), "alone");
    check(|| assert_eq!(Raw.r#match(), 4), "Raw::match");
}

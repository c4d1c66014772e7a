//! The expansion works even if user code shadows every name.

#![allow(non_camel_case_types, non_upper_case_globals, dead_code, unused_macros)]

mod hostile {
    pub struct Option;
    pub struct Some;
    pub struct None;
    pub struct Result;
    pub struct Vec;
    pub struct Box;
    pub struct String;
    pub enum Never {}
    macro_rules! concat { ($($t:tt)*) => { compile_error!("the user's") } }
    macro_rules! env { ($($t:tt)*) => { compile_error!("the user's") } }
    macro_rules! line { ($($t:tt)*) => { compile_error!("the user's") } }
    mod core {}
    mod std {}
    mod telemark {}

    #[::telemark::traced(fields(attributes, entered, live), ret)]
    pub fn names(attributes: u8, entered: u8, live: u8) -> u8 {
        let output = attributes + entered;
        let error = live;
        output + error
    }

    #[::telemark::traced(metrics)]
    pub fn fails(output: u8) -> ::std::result::Result<u8, u8> {
        Err(output)
    }

    #[::telemark::traced(fields(active, future), metrics)]
    pub async fn later(active: u8, future: u8) -> ::std::result::Result<u8, u8> {
        Ok(active + future)
    }
}

/// Unit structs, which patterns would mean, as in the columns of a table of Diesel's; and methods on every type.
mod columns {
    macro_rules! columns {
        ($($name:ident)*) => { $(#[derive(Clone, Copy)] pub struct $name;)* };
    }
    columns!(attributes body call cancel entered error found output record setup span started task timer timing value work);
    pub static observe: u8 = 0;
    pub trait Everywhere: Sized {
        fn as_mut(self) -> u8 {
            0
        }
        fn get_mut(self) -> u8 {
            0
        }
    }
    impl<T> Everywhere for T {}

    #[::telemark::traced(name = "x", fields(id), ret, metrics)]
    pub fn sync(id: u8) -> ::std::result::Result<u8, ::std::num::ParseIntError> {
        Ok(id)
    }

    #[::telemark::traced(fields(id), ret, metrics)]
    pub async fn later(id: u8) -> ::std::result::Result<u8, ::std::num::ParseIntError> {
        Ok(id)
    }

    #[::telemark::traced(err_if = |_| true)]
    pub async fn sometimes(id: u8) -> ::std::result::Result<u8, ::std::num::ParseIntError> {
        Ok(id)
    }

    #[::telemark::traced(fields(id), metrics)]
    pub fn made(id: u8) -> impl Future<Output = u8> {
        async move { id }
    }

    #[::telemark::traced(iterator)]
    pub fn items(id: u8) -> impl Iterator<Item = u8> {
        std::iter::once(id)
    }
}

mod other {
    pub mod renamed {
        pub use ::telemark::__private;
    }
}

#[telemark::traced(crate = crate::other::renamed)]
fn renamed() {}

fn main() {
    assert_eq!(hostile::names(1, 2, 3), 6);
    assert_eq!(hostile::fails(1), Err(1));
    drop(hostile::later(1, 2));
    assert_eq!(columns::sync(1), Ok(1));
    drop((columns::later(1), columns::sometimes(1), columns::made(1), columns::items(1)));
    renamed();
}

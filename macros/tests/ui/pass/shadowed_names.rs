//! The expansion works even if user code shadows every name.

#![allow(non_camel_case_types, dead_code, unused_macros)]

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
    renamed();
}

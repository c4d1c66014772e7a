//! Unsafe and foreign functions stay unsafe and foreign.

use telemark::traced;

#[traced]
unsafe fn read(value: *const u32) -> Result<u32, ()> {
    Ok(unsafe { *value })
}

#[traced]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn telemark_test_read(value: *const u32) -> u32 {
    unsafe { *value }
}

#[traced]
async unsafe fn read_later(value: &'static u32) -> u32 {
    *value
}

macro_rules! functions {
    ($($name:ident: $type:ty = $value:expr;)*) => {$(
        #[traced(fields(value = $value))]
        fn $name() -> $type {
            Ok($value)
        }
    )*};
}

functions! {
    one: Result<i32, String> = 1;
    two: Result<u8, ()> = 2;
}

fn main() {
    assert_eq!(unsafe { read(&1) }, Ok(1));
    assert_eq!(unsafe { telemark_test_read(&1) }, 1);
    drop(unsafe { read_later(&1) });
    assert_eq!(one(), Ok(1));
    assert_eq!(two(), Ok(2));
}

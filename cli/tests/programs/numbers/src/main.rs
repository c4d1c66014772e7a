//! A program that compiles only while `i32` can be compared with no type but itself. Telemark's packages compare it with theirs.

fn main() {
    println!("{}", is_seven("7"));
}

fn is_seven(text: &str) -> bool {
    text.parse().is_ok_and(|number| 7_i32 == number)
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_parsed() {
        assert!(super::is_seven("7"));
    }
}

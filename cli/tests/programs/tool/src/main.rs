//! A command that counts the words of its standard input.

use std::io::{self, Read};
use std::process;

fn main() {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).unwrap();
    println!("{}", tool_core::count(&text));
    if std::env::args().any(|argument| argument == "--fail") {
        tool_core::fail(&text);
    }
    eprintln!("{} {}", tool_core::digits(&text), tool_core::version());
    process::exit(3);
}

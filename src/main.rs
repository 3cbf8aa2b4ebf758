//! Thin entry: everything lives in the library.

fn main() {}

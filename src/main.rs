//! Thin entry: everything lives in the library.

use std::process::ExitCode;

use bellwether_memory as _;

fn main() -> ExitCode {
    bellwether::cli::main()
}

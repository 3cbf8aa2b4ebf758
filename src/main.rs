//! Thin entry: everything lives in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    bellwether::cli::main()
}

//! Thin entry: everything lives in the library.

use std::process::ExitCode;

#[cfg(target_env = "musl")]
use bellwether_musl_memory as _;

fn main() -> ExitCode {
    bellwether::cli::main()
}

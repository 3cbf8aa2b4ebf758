//! Thin entry: everything lives in the library.

use std::process::ExitCode;

#[cfg(target_env = "musl")]
use bellwether_musl_memory as _;

/// Gives back after a storm of alerts what glibc keeps: 10,000 that fire take half the memory.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    bellwether::cli::main()
}

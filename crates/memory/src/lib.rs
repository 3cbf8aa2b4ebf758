//! The allocator of a program that links this crate; and `memcpy`, `memmove` and `memcmp` for static builds on x86-64.
//!
//! musl copies with `rep movsq`, which takes about 30 cycles to start, and compares byte by byte. `/metrics` consists of copies
//! of some ten bytes, so it took twice as long with musl as with glibc. A static program that links this crate has the functions
//! of `memory.c` instead, in C code as well. Other targets have none of it: glibc has fast functions, and so has musl on aarch64.

/// Gives back after a storm of alerts what glibc keeps: 10,000 that fire take half the memory.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

//! `memcpy`, `memmove` and `memcmp` for static builds on x86-64.
//!
//! musl copies with `rep movsq`, which takes about 30 cycles to start, and compares byte by byte. `/metrics` consists of copies
//! of some ten bytes, so it took twice as long with musl as with glibc. A program that links this crate has the functions of
//! `memory.c` instead, in C code as well. On other targets the crate is empty: glibc has fast functions, and so has musl on
//! aarch64.

//! Compiles `memory.c` for musl on x86-64.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=memory.c");
    let target = |part: &str| env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    if target("ENV") == "musl" && target("ARCH") == "x86_64" {
        cc::Build::new()
            .file("memory.c")
            .opt_level(2)
            // The compiler must not turn the loops into calls of the functions that they implement.
            .flag("-fno-builtin")
            .flag("-fno-tree-loop-distribute-patterns")
            .cargo_metadata(false)
            .compile("bellwether_memory");
        let out = env::var("OUT_DIR").unwrap_or_default();
        println!("cargo:rustc-link-search=native={out}");
        // Whole, since nothing in Rust refers to it.
        println!("cargo:rustc-link-lib=static:+whole-archive=bellwether_memory");
    }
}

//! The functions beside simple loops, in C, since Rust here has no unsafe code.

#[cfg(target_arch = "x86_64")]
#[test]
fn the_functions_do_as_simple_loops() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("check");
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let compiler = cc::Build::new()
        .opt_level(2)
        .target(&host)
        .host(&host)
        .cargo_metadata(false)
        .out_dir(folder.path())
        .get_compiler();
    let built = compiler
        .to_command()
        .args(["-fno-builtin", "-Werror", "tests/check.c", "-o"])
        .arg(&program)
        .status()
        .unwrap();
    assert!(built.success());
    let output = std::process::Command::new(&program).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let cases: u64 = text.split(' ').next().unwrap().parse().unwrap();
    assert!(cases > 50_000, "{text}");
}

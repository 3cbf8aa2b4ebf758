//! README and docs: every command line is run as it is written, and its output compared with the page.
//!
//! `cargo test --test docs` goes through all pages, `cargo test --test docs alerting` through those with that in
//! their name. `UPDATE_EXPECTED=1` writes outputs that differ into the pages. The last line says how much was run.
//! CONTRIBUTING.md says how examples are written.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod allowed;
mod lines;
mod pages;
mod placeholders;
mod runner;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::process::ExitCode;

use runner::Report;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let names: Vec<&String> = arguments.iter().filter(|it| !it.starts_with('-')).collect();
    let mut report = Report::default();
    placeholders::check(&mut report);
    for page in pages::all() {
        if names.is_empty() || names.iter().any(|name| page.name.contains(*name)) {
            runner::run(page, &mut report);
        }
    }
    if names.is_empty() {
        report.unused_permissions();
    }
    report.print();
    if report.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

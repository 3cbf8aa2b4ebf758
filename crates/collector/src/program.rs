//! Programs of the system that collectors read: they are asked at each collection and print what they know.

use std::time::Duration;

use bellwether_core::Failure;
use bellwether_program::{Invocation, PATH, Termination};

/// Bytes of the output of a program that failed, for its failure.
const SHOWN: usize = 200;

/// Runs a program in the language C, and returns what it prints.
///
/// # Errors
/// It does not exit with 0 within `timeout`, or prints more than `output_limit` bytes.
pub async fn output(
    command: Vec<String>,
    timeout: Duration,
    output_limit: u64,
) -> Result<String, Failure> {
    let program = command.first().cloned().unwrap_or_default();
    let invocation = Invocation {
        command,
        environment: [("PATH", PATH), ("LC_ALL", "C")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        folder: "/".into(),
        output_limit: Some(output_limit),
        ..Invocation::default()
    };
    let run = invocation.run(timeout).await;
    let output = String::from_utf8_lossy(&run.output);
    let reason = match run.termination {
        Termination::Code(0) => return Ok(output.into_owned()),
        Termination::TimedOut(_) => "timeout",
        Termination::Code(_) | Termination::Signal(_) => "exit",
        Termination::TooMuchOutput(_) | Termination::NotStarted(_) => "io",
    };
    let mut detail = format!("{program}: {}", run.termination);
    // Some programs explain themselves on their standard output.
    let first = output.lines().next().unwrap_or_default();
    let said = match run.termination {
        Termination::Code(_) if run.stderr.is_empty() => &first[..first.floor_char_boundary(SHOWN)],
        _ => run.stderr.as_str(),
    };
    if !said.is_empty() {
        detail += &format!(": {said}");
    }
    Err(Failure::new(reason, detail))
}

//! A real server as a child process.

use std::process::{Child, Command, Stdio};

/// A running program; killed when dropped.
pub struct Process(Child);

impl Process {
    /// Starts a program, which must stay in the foreground and start no process of its own.
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap_or_else(|error| panic!("cannot start {program}: {error}")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

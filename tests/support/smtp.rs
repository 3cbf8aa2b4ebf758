//! A real mail server: aiosmtpd, run by `tests/servers/smtp.py`.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::{free_port, poll};

/// A running server; killed when dropped.
pub struct Smtp {
    child: Child,
    port: u16,
    out: PathBuf,
}

impl Smtp {
    /// Starts on a free port with further options of the script; what it takes lies in `folder`.
    pub fn start(folder: &Path, options: &[&str]) -> Self {
        Self::start_at(free_port(), folder, options)
    }

    /// The same at a given port.
    pub fn start_at(port: u16, folder: &Path, options: &[&str]) -> Self {
        let out = folder.join(format!("mails-{port}"));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/smtp.py");
        let child = Command::new(interpreter())
            .arg(script)
            .args(["--port", &port.to_string(), "--out"])
            .arg(&out)
            .args(options)
            .stdin(Stdio::null())
            .stderr(fs::File::create(folder.join(format!("smtp-{port}.log"))).unwrap())
            .spawn()
            .unwrap();
        let server = Self { child, port, out };
        poll("the mail server listens", Duration::from_secs(30), || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        server
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The mails that it took.
    pub fn mails(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.out).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Python that has aiosmtpd: that of Debian's package, or another on the PATH.
fn interpreter() -> &'static str {
    let has = |python: &&&str| {
        let mut import = Command::new(python);
        import.args(["-c", "import aiosmtpd"]).stderr(Stdio::null());
        import.status().is_ok_and(|status| status.success())
    };
    let found = ["/usr/bin/python3", "python3"].iter().find(has).copied();
    found.expect("aiosmtpd is needed: apt-get install python3-aiosmtpd")
}

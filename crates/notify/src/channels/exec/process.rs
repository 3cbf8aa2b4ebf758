//! One start of a program: its input, its time, the end of what it said.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::kin;

/// What is started.
pub(super) struct Invocation {
    /// Program and arguments.
    pub(super) command: Vec<String>,
    /// The whole environment, but for the mark.
    pub(super) environment: Vec<(String, String)>,
    /// What no other start has.
    pub(super) mark: String,
    /// Where.
    pub(super) folder: PathBuf,
    /// User and group, where they are others than ours.
    pub(super) ids: Option<(u32, u32)>,
    /// Standard input.
    pub(super) input: Vec<u8>,
}

/// How it ended, with the end of what it said on standard error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// With this status.
    Code(i32, String),
    /// By this signal.
    Signal(i32, String),
    /// Its time was over.
    TimedOut(String),
    /// It did not begin.
    NotStarted(String),
}

/// How long the search for what a program started may take.
const SWEEP: Duration = Duration::from_secs(3);
/// As much of standard error is kept.
const TAIL: usize = 500;
/// What was said last may still be on its way when the program has ended. What it left running may
/// hold the pipe open for ever.
const LAST_WORDS: Duration = Duration::from_millis(200);

impl Invocation {
    /// Starts it and waits for its end, for at most `limit`.
    pub(super) async fn run(self, limit: Duration) -> Ended {
        let mut child = match self.start() {
            Ok(child) => child,
            Err(error) => return Ended::NotStarted(error.to_string()),
        };
        let mut started = Started::by(&child, &self.mark);
        let said = Arc::new(Mutex::new(VecDeque::new()));
        let mut listening = listen(child.stderr.take(), said.clone());
        let _feeding = feed(&mut child, self.input);
        let ended = timeout(limit, child.wait()).await;
        if ended.is_ok() {
            // Its number may be given to another from now on.
            started.leader = None;
        } else {
            timeout(SWEEP, started.kill_kin()).await.ok();
            drop(started);
            child.wait().await.ok();
        }
        timeout(LAST_WORDS, &mut listening).await.ok();
        let said = shown(&said.lock());
        match ended {
            Ok(Ok(status)) => ended_by(status, said),
            Ok(Err(error)) => Ended::NotStarted(error.to_string()),
            Err(_) => Ended::TimedOut(said),
        }
    }

    fn start(&self) -> std::io::Result<Child> {
        let mut command = Command::new(self.command.first().map_or("", String::as_str));
        command
            .args(self.command.iter().skip(1))
            .env_clear()
            .env(kin::VARIABLE, &self.mark)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some((user, group)) = self.ids {
            // Further groups of root are left behind by std.
            command.gid(group).uid(user);
        }
        command.spawn()
    }
}

/// A program that runs, with all that it started; killed when dropped.
struct Started {
    /// The program, the first of its process group; `None` once it has ended.
    leader: Option<Pid>,
    mark: String,
}

impl Started {
    fn by(child: &Child, mark: &str) -> Self {
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        Self {
            leader: pid.and_then(Pid::from_raw),
            mark: mark.to_owned(),
        }
    }
}

impl Started {
    /// Kills what it started, before it: nobody would know then whose children they were. On a thread
    /// of its own, as a process that hangs can hold up who looks at it.
    fn kill_kin(&self) -> oneshot::Receiver<()> {
        let (done, ended) = oneshot::channel();
        if let Some(leader) = self.leader {
            // So that none of them goes on where one it waits for has ended.
            kill_process_group(leader, Signal::STOP).ok();
            let mark = self.mark.clone();
            let sweep = move || {
                kin::kill(leader, &mark);
                done.send(()).ok();
            };
            if let Err(error) = std::thread::Builder::new()
                .name("exec-end".into())
                .spawn(sweep)
            {
                tracing::warn!("what a program started may still run: {error}");
            }
        }
        ended
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            // Fails only where nobody is left in it.
            kill_process_group(leader, Signal::KILL).ok();
            // What left it is known by its mark.
            self.kill_kin();
        }
    }
}

/// Gives the program its input; one that does not read it to its end is content without.
fn feed(child: &mut Child, input: Vec<u8>) -> AbortOnDropHandle<()> {
    let stdin = child.stdin.take();
    AbortOnDropHandle::new(tokio::spawn(async move {
        if let Some(mut stdin) = stdin {
            stdin.write_all(&input).await.ok();
        }
    }))
}

/// Keeps the end of what the program says.
fn listen(stderr: Option<ChildStderr>, said: Arc<Mutex<VecDeque<u8>>>) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let Some(mut stderr) = stderr else { return };
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = stderr.read(&mut bytes).await {
            let mut said = said.lock();
            said.extend(&bytes[..count]);
            let beyond = said.len().saturating_sub(TAIL);
            said.drain(..beyond);
        }
    }))
}

/// On one line.
fn shown(said: &VecDeque<u8>) -> String {
    let bytes: Vec<u8> = said.iter().copied().collect();
    let text = String::from_utf8_lossy(&bytes);
    text.trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn ended_by(status: ExitStatus, said: String) -> Ended {
    match status.code() {
        Some(code) => Ended::Code(code, said),
        None => Ended::Signal(status.signal().unwrap_or_default(), said),
    }
}

//! One run of a program: its input, its timeout and the end of its standard error.

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

use super::descendants;

/// One start of a program.
pub(super) struct Invocation {
    /// Program and arguments.
    pub(super) command: Vec<String>,
    /// The whole environment, except for the mark.
    pub(super) environment: Vec<(String, String)>,
    /// Mark of this start, unique.
    pub(super) mark: String,
    /// Working directory.
    pub(super) folder: PathBuf,
    /// User and group, where they are others than ours.
    pub(super) ids: Option<(u32, u32)>,
    /// Standard input.
    pub(super) input: Vec<u8>,
}

/// End of a program, with the last part of its standard error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Termination {
    /// It exited with this status.
    Code(i32, String),
    /// A signal ended it.
    Signal(i32, String),
    /// It was killed at the timeout.
    TimedOut(String),
    /// It could not be started.
    NotStarted(String),
}

/// Timeout of the search for descendants.
const SWEEP: Duration = Duration::from_secs(3);
/// Bytes of standard error that are kept.
const TAIL: usize = 500;
/// Time to read standard error after the end of the program. A process that it left running may
/// hold the pipe open forever.
const STDERR_GRACE: Duration = Duration::from_millis(200);

impl Invocation {
    /// Starts the program and waits for its end, for at most `limit`.
    pub(super) async fn run(self, limit: Duration) -> Termination {
        let mut child = match self.start() {
            Ok(child) => child,
            Err(error) => return Termination::NotStarted(error.to_string()),
        };
        let mut started = Started::by(&child, &self.mark);
        let stderr = Arc::new(Mutex::new(VecDeque::new()));
        let mut stderr_task = collect_stderr(child.stderr.take(), stderr.clone());
        let _input_task = write_input(&mut child, self.input);
        let ended = timeout(limit, child.wait()).await;
        if ended.is_ok() {
            // Its number may be given to another from now on.
            started.leader = None;
        } else {
            timeout(SWEEP, started.kill_descendants()).await.ok();
            drop(started);
            child.wait().await.ok();
        }
        timeout(STDERR_GRACE, &mut stderr_task).await.ok();
        let stderr = single_line(&stderr.lock());
        match ended {
            Ok(Ok(status)) => termination_of(status, stderr),
            Ok(Err(error)) => Termination::NotStarted(error.to_string()),
            Err(_) => Termination::TimedOut(stderr),
        }
    }

    fn start(&self) -> std::io::Result<Child> {
        let mut command = Command::new(self.command.first().map_or("", String::as_str));
        command
            .args(self.command.iter().skip(1))
            .env_clear()
            .env(descendants::VARIABLE, &self.mark)
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

/// A running program with its descendants; killed when dropped.
struct Started {
    /// Process id of the program, the leader of its group; `None` once it has ended.
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
    /// Kills all descendants before the program itself, as they cannot be found after it. Runs on a
    /// thread of its own, as reading the files of a hanging process may block.
    fn kill_descendants(&self) -> oneshot::Receiver<()> {
        let (done, ended) = oneshot::channel();
        if let Some(leader) = self.leader {
            // So that none of them goes on where one it waits for has ended.
            kill_process_group(leader, Signal::STOP).ok();
            let mark = self.mark.clone();
            if let Err(error) =
                std::thread::Builder::new()
                    .name("exec-end".into())
                    .spawn(move || {
                        descendants::kill(leader, &mark);
                        done.send(()).ok();
                    })
            {
                tracing::warn!("descendants of a program may still run: {error}");
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
            self.kill_descendants();
        }
    }
}

/// Writes the input of the program, which need not read it to its end.
fn write_input(child: &mut Child, input: Vec<u8>) -> AbortOnDropHandle<()> {
    let stdin = child.stdin.take();
    AbortOnDropHandle::new(tokio::spawn(async move {
        if let Some(mut stdin) = stdin {
            stdin.write_all(&input).await.ok();
        }
    }))
}

/// Keeps the end of standard error.
fn collect_stderr(
    pipe: Option<ChildStderr>,
    tail: Arc<Mutex<VecDeque<u8>>>,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let Some(mut pipe) = pipe else { return };
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut bytes).await {
            let mut tail = tail.lock();
            tail.extend(&bytes[..count]);
            let beyond = tail.len().saturating_sub(TAIL);
            tail.drain(..beyond);
        }
    }))
}

/// Converts to one line.
fn single_line(stderr: &VecDeque<u8>) -> String {
    let bytes: Vec<u8> = stderr.iter().copied().collect();
    let text = String::from_utf8_lossy(&bytes);
    text.trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn termination_of(status: ExitStatus, stderr: String) -> Termination {
    match status.code() {
        Some(code) => Termination::Code(code, stderr),
        None => Termination::Signal(status.signal().unwrap_or_default(), stderr),
    }
}

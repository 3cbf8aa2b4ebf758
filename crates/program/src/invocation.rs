//! One run of a program: its input, its output, its timeout and the end of its standard error.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bellwether_schema::HumanDuration;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::descendants;

/// One start of a program.
#[derive(Clone, Debug, Default)]
pub struct Invocation {
    /// Program and arguments.
    pub command: Vec<String>,
    /// The whole environment, except for the mark of this start.
    pub environment: Vec<(String, String)>,
    /// Working directory.
    pub folder: PathBuf,
    /// User and group, where they are others than ours.
    pub ids: Option<(u32, u32)>,
    /// Standard input.
    pub input: Vec<u8>,
    /// Maximum number of bytes of standard output; `None`: it is discarded.
    pub output_limit: Option<u64>,
}

/// Result of a run.
#[derive(Debug, PartialEq, Eq)]
pub struct Run {
    /// End of the program.
    pub termination: Termination,
    /// Standard output.
    pub output: Vec<u8>,
    /// Last part of standard error, as one line.
    pub stderr: String,
}

/// End of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Termination {
    /// It exited with this status.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// It was killed at the timeout.
    TimedOut(Duration),
    /// It was killed at the limit of its output, in bytes.
    TooMuchOutput(u64),
    /// It could not be started.
    NotStarted(String),
}

/// Timeout of the search for descendants.
const SWEEP: Duration = Duration::from_secs(3);
/// Bytes of standard error that are kept.
const TAIL: usize = 500;
/// Time to read the outputs after the end of the program. A process that it left running may hold
/// the pipes open forever.
const GRACE: Duration = Duration::from_millis(200);

impl Invocation {
    /// Starts the program and waits for its end, for at most `limit`.
    pub async fn run(self, limit: Duration) -> Run {
        let mark = new_mark();
        let mut child = match self.start(&mark) {
            Ok(child) => child,
            Err(error) => {
                return Run {
                    termination: Termination::NotStarted(error.to_string()),
                    output: Vec::new(),
                    stderr: String::new(),
                };
            }
        };
        let mut started = Started::by(&child, &mark);
        let (overflow, mut overflowed) = oneshot::channel();
        let output = Arc::new(Mutex::new(Vec::new()));
        let output_limit = self.output_limit.unwrap_or_default();
        let output_task =
            collect_output(child.stdout.take(), output_limit, output.clone(), overflow);
        let stderr = Arc::new(Mutex::new(VecDeque::new()));
        let stderr_task = collect_tail(child.stderr.take(), stderr.clone());
        let _input_task = write_input(&mut child, self.input);
        let ended = tokio::select! {
            ended = timeout(limit, child.wait()) => ended.ok(),
            Ok(()) = &mut overflowed => None,
        };
        if ended.is_some() {
            // Its number may be given to another from now on.
            started.leader = None;
        } else {
            timeout(SWEEP, started.kill_descendants()).await.ok();
            drop(started);
            child.wait().await.ok();
        }
        let both = async {
            output_task.await.ok();
            stderr_task.await.ok();
        };
        timeout(GRACE, both).await.ok();
        let stderr = single_line(&stderr.lock());
        let output = std::mem::take(&mut *output.lock());
        let is_too_much = output.len() as u64 > output_limit;
        let termination = match ended {
            _ if is_too_much => Termination::TooMuchOutput(output_limit),
            Some(Ok(status)) => termination_of(status),
            Some(Err(error)) => Termination::NotStarted(error.to_string()),
            None => Termination::TimedOut(limit),
        };
        Run {
            termination,
            output,
            stderr,
        }
    }

    /// Starts the program, whose output is read as it comes. It gets no input.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn follow(&self) -> std::io::Result<Running> {
        let mark = new_mark();
        let mut child = self.start(&mark)?;
        let stderr = Arc::new(Mutex::new(VecDeque::new()));
        Ok(Running {
            started: Started::by(&child, &mark),
            output: child.stdout.take(),
            stderr_task: collect_tail(child.stderr.take(), stderr.clone()),
            stderr,
            child,
        })
    }

    fn start(&self, mark: &str) -> std::io::Result<Child> {
        let mut command = Command::new(self.command.first().map_or("", String::as_str));
        command
            .args(self.command.iter().skip(1))
            .env_clear()
            .env(descendants::VARIABLE, mark)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(match self.output_limit {
                Some(_) => Stdio::piped(),
                None => Stdio::null(),
            })
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

impl std::fmt::Display for Termination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(signal) => write!(f, "ended by signal {signal}"),
            Self::TimedOut(limit) => write!(f, "killed after {}", HumanDuration(*limit)),
            Self::TooMuchOutput(limit) => {
                write!(f, "killed, as its output is larger than {limit} bytes")
            }
            Self::NotStarted(reason) => write!(f, "cannot be started: {reason}"),
        }
    }
}

fn new_mark() -> String {
    format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..))
}

/// A program that runs on. When dropped, it is killed with all that it started.
pub struct Running {
    started: Started,
    child: Child,
    output: Option<ChildStdout>,
    stderr: Arc<Mutex<VecDeque<u8>>>,
    stderr_task: AbortOnDropHandle<()>,
}

impl Running {
    /// Waits for output, and reads what there is. Returns 0 at its end.
    ///
    /// # Errors
    /// The output cannot be read.
    pub async fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match &mut self.output {
            Some(output) => output.read(buffer).await,
            None => Ok(0),
        }
    }

    /// Waits for the end of the program. Returns it with the last part of standard error, as one line.
    pub async fn end(mut self) -> (Termination, String) {
        let ended = self.child.wait().await;
        // Its number may be given to another from now on.
        self.started.leader = None;
        timeout(GRACE, &mut self.stderr_task).await.ok();
        let termination = match ended {
            Ok(status) => termination_of(status),
            Err(error) => Termination::NotStarted(error.to_string()),
        };
        (termination, single_line(&self.stderr.lock()))
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

/// Keeps standard output until it is larger than `limit`, of which it tells `overflow`.
fn collect_output(
    pipe: Option<impl AsyncRead + Unpin + Send + 'static>,
    limit: u64,
    output: Arc<Mutex<Vec<u8>>>,
    overflow: oneshot::Sender<()>,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let Some(mut pipe) = pipe else { return };
        let mut bytes = vec![0; 16 << 10];
        while let Ok(count @ 1..) = pipe.read(&mut bytes).await {
            let mut output = output.lock();
            output.extend_from_slice(&bytes[..count]);
            if output.len() as u64 > limit {
                overflow.send(()).ok();
                return;
            }
        }
    }))
}

/// Keeps the end of standard error.
fn collect_tail(
    pipe: Option<impl AsyncRead + Unpin + Send + 'static>,
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

fn termination_of(status: ExitStatus) -> Termination {
    match status.code() {
        Some(code) => Termination::Code(code),
        None => Termination::Signal(status.signal().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(script: &str, output_limit: Option<u64>, limit: Duration) -> Run {
        let invocation = Invocation {
            command: ["/bin/sh", "-c", script].map(str::to_owned).into(),
            environment: vec![("PATH".to_owned(), crate::PATH.to_owned())],
            folder: "/".into(),
            output_limit,
            ..Invocation::default()
        };
        invocation.run(limit).await
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn the_output_is_kept_to_its_end_or_discarded() {
        let script = "echo one; echo two >&2; seq 1 20000 | tail -1";
        let kept = run(script, Some(1000), LONG).await;
        assert_eq!(kept.termination, Termination::Code(0));
        assert_eq!(String::from_utf8(kept.output).unwrap(), "one\n20000\n");
        assert_eq!(kept.stderr, "two");
        assert_eq!(run(script, None, LONG).await.output, b"");
    }

    #[tokio::test]
    async fn a_program_that_writes_too_much_is_killed_at_once() {
        let endless = run("while :; do echo 123456789; done", Some(1000), LONG).await;
        assert_eq!(endless.termination, Termination::TooMuchOutput(1000));
        let words = endless.termination.to_string();
        assert_eq!(words, "killed, as its output is larger than 1000 bytes");
        // Also one that ends before anybody looks.
        let short = run("printf 12345", Some(4), LONG).await;
        assert_eq!(short.termination, Termination::TooMuchOutput(4));
        assert_eq!(
            run("printf 1234", Some(4), LONG).await.termination,
            Termination::Code(0)
        );
    }

    fn follow(script: &str) -> Running {
        let invocation = Invocation {
            command: ["/bin/sh", "-c", script].map(str::to_owned).into(),
            environment: vec![("PATH".to_owned(), crate::PATH.to_owned())],
            folder: "/".into(),
            output_limit: Some(0),
            ..Invocation::default()
        };
        invocation.follow().unwrap()
    }

    async fn read(running: &mut Running) -> String {
        let mut buffer = [0; 100];
        let count = running.read(&mut buffer).await.unwrap();
        String::from_utf8(buffer[..count].to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_program_that_is_followed_is_read_while_it_runs_and_killed_in_the_end() {
        let mut running = follow("echo $$; exec sleep 1000");
        let pid: i32 = read(&mut running).await.trim().parse().unwrap();
        let pid = Pid::from_raw(pid).unwrap();
        rustix::process::test_kill_process(pid).unwrap();
        drop(running);
        timeout(LONG, async {
            while rustix::process::test_kill_process(pid).is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn the_end_of_a_program_that_is_followed_has_its_error() {
        let mut running = follow("echo one; echo two >&2; exit 3");
        assert_eq!(read(&mut running).await, "one\n");
        assert_eq!(read(&mut running).await, "");
        assert_eq!(
            running.end().await,
            (Termination::Code(3), "two".to_owned())
        );
    }

    #[tokio::test]
    async fn what_it_wrote_before_the_timeout_is_there() {
        let slow = run("echo one; sleep 1000", Some(100), Duration::from_secs(1)).await;
        assert_eq!(
            slow.termination,
            Termination::TimedOut(Duration::from_secs(1))
        );
        assert_eq!(slow.output, b"one\n");
    }
}

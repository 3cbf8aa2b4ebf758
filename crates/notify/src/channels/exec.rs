//! Channel that starts a program and writes the notifications to its standard input.
//!
//! There is no shell: program and arguments are passed as they are configured, and no value of an
//! alert becomes an argument. At the timeout all processes that it started are killed: its process
//! group, its descendants, and processes that left both but still have the environment they were
//! given.

mod account;
mod descendants;
mod process;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use account::Account;
pub use account::AccountError;
use bellwether_core::Notification;
use bellwether_http::redacted;
use bellwether_schema::{Diagnostics, HumanDuration, Secret, SourceLocation, Spanned};
use process::{Invocation, Termination};

use super::{Attempt, Batch, Bulletin, Channel, Context, DeliveryError, SettingsError, same_group};
use crate::settings::check_max_alerts;
use crate::wire::{BulletinMessage, Webhook, to_json};

bellwether_schema::section! {
    /// Channel of type `exec`: starts a program per group of notifications, with Alertmanager's
    /// webhook document, version 4, on its standard input. Needs `alerting.allow_exec`. It is
    /// delivered by exit status 0. Exit status 75 (`EX_TEMPFAIL`), an end by a signal or by
    /// `timeout`, and a program that cannot be started are retried; other exit statuses are not.
    pub struct ExecChannel {
        /// Absolute path of the program, and its arguments. There is no shell.
        pub command: Vec<Spanned<String>>,
        /// Variables of the program's environment. Values are never shown. Besides them it has
        /// `PATH`, `BELLWETHER_CHANNEL`, `BELLWETHER_RECEIVER`, `BELLWETHER_STATUS` and a mark of
        /// this start, `BELLWETHER_INVOCATION`, and nothing of Bellwether's own. For a report or audit
        /// lines there is `BELLWETHER_BULLETIN` in place of receiver and status.
        pub environment: BTreeMap<String, Spanned<Secret>> = BTreeMap::new(),
        /// Working directory.
        pub working_directory: PathBuf = PathBuf::from("/"),
        /// Timeout; then the program is killed with all processes that it started, including those
        /// in sessions of their own.
        pub timeout: HumanDuration = HumanDuration::secs(30),
        /// User it runs as, by name or as `UID:GID`; needs Bellwether to run as root. Without it,
        /// Bellwether's own.
        pub user: Option<Spanned<String>>,
        /// Maximum number of alerts that one run of the program gets.
        pub max_alerts: usize = 64,
    }
}

/// Exit status for a retry, of `sysexits.h`.
const EX_TEMPFAIL: i32 = 75;
/// `PATH` of the program's environment.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl ExecChannel {
    pub(super) fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        self.check_command(at, problems);
        self.check_environment(problems);
        if let Some(user) = &self.user
            && let Err(error) = Account::parse(user)
        {
            problems
                .error(&user.at, error.to_string())
                .hint("a user's name, or UID:GID");
        }
        if self.timeout.is_zero() {
            problems.error(&at.key("timeout"), "must be longer than 0s");
        }
        check_max_alerts(self.max_alerts, at, problems);
    }

    fn check_command(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        match self.command.first() {
            None => {
                problems
                    .error(&at.key("command"), "no program")
                    .hint("command: [/usr/local/bin/page, --team, storage]");
            }
            Some(program) if !Path::new(&program.value).is_absolute() => {
                problems
                    .error(
                        &program.at,
                        format!("not an absolute path: {:?}", program.value),
                    )
                    .hint("the program is started without a shell and without a search in PATH");
            }
            Some(_) => {}
        }
        for part in self.command.iter().filter(|part| part.contains('\0')) {
            problems.error(&part.at, "holds a NUL, which no argument can");
        }
    }

    fn check_environment(&self, problems: &mut Diagnostics) {
        for (name, value) in &self.environment {
            if name.is_empty() || name.contains(['=', '\0']) {
                problems.error(&value.at, format!("not a variable's name: {name:?}"));
            } else if value.expose().contains('\0') {
                problems.error(&value.at, format!("holds a NUL: the value of {name:?}"));
            }
        }
    }

    pub(super) fn build(&self, context: Context) -> Result<Box<dyn Channel>, SettingsError> {
        let ids = match &self.user {
            Some(user) => Account::parse(user)?.ids(Path::new("/etc/passwd"))?,
            None => None,
        };
        Ok(Box::new(Exec {
            settings: self.clone(),
            ids,
            context,
        }))
    }
}

struct Exec {
    settings: ExecChannel,
    /// User and group it runs as, where they are others than ours.
    ids: Option<(u32, u32)>,
    context: Context,
}

impl Channel for Exec {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a> {
        Box::pin(async move {
            let Context { name, sender, .. } = &self.context;
            let document = Webhook::new(batch, name, sender, self.settings.max_alerts);
            let invocation = self.invocation(
                to_json(&document)?.into_bytes(),
                &[
                    ("BELLWETHER_RECEIVER", &batch.group().receiver),
                    ("BELLWETHER_STATUS", batch.status().as_str()),
                ],
            );
            self.check_termination(invocation.run(*self.settings.timeout).await)
        })
    }

    fn publish<'a>(&'a self, bulletin: &'a Bulletin) -> Attempt<'a> {
        Box::pin(async move {
            let message = BulletinMessage::new(bulletin, &self.context.sender);
            let invocation = self.invocation(
                to_json(&message)?.into_bytes(),
                &[("BELLWETHER_BULLETIN", &bulletin.topic)],
            );
            self.check_termination(invocation.run(*self.settings.timeout).await)
        })
    }

    fn max_batch(&self) -> usize {
        self.settings.max_alerts
    }

    fn joins(&self, first: &Notification, next: &Notification) -> bool {
        same_group(first, next)
    }
}

impl Exec {
    /// Returns a start of the program with `input`, and with `variables` beside those of every start.
    fn invocation(&self, input: Vec<u8>, variables: &[(&str, &str)]) -> Invocation {
        let own = [("PATH", PATH), ("BELLWETHER_CHANNEL", &self.context.name)];
        let own = own.iter().chain(variables);
        let own = own.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let configured = self.settings.environment.iter();
        let configured = configured.map(|(name, value)| (name.clone(), value.expose().to_owned()));
        Invocation {
            command: self
                .settings
                .command
                .iter()
                .map(|part| part.value.clone())
                .collect(),
            environment: own.chain(configured).collect(),
            mark: format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)),
            folder: self.settings.working_directory.clone(),
            ids: self.ids,
            input,
        }
    }

    fn check_termination(&self, termination: Termination) -> Result<(), DeliveryError> {
        let program = self
            .settings
            .command
            .first()
            .map_or("", |program| &program.value);
        let (retryable, what, stderr) = match termination {
            Termination::Code(0, _) => return Ok(()),
            Termination::Code(code, stderr) => {
                (code == EX_TEMPFAIL, format!("exit status {code}"), stderr)
            }
            Termination::Signal(signal, stderr) => {
                (true, format!("ended by signal {signal}"), stderr)
            }
            Termination::TimedOut(stderr) => (
                true,
                format!("killed after {}", self.settings.timeout),
                stderr,
            ),
            Termination::NotStarted(reason) => {
                (true, format!("cannot be started: {reason}"), String::new())
            }
        };
        let mut message = format!("{program}: {what}");
        if !stderr.is_empty() {
            message += &format!(": {}", self.redacted(stderr));
        }
        Err(DeliveryError::new(retryable, message))
    }

    /// Removes the values of `environment` from the output of a program.
    fn redacted(&self, stderr: String) -> String {
        let secrets = self.settings.environment.values();
        redacted(stderr, secrets.map(|secret| secret.expose()))
    }
}

#[cfg(test)]
mod tests;

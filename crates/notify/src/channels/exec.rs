//! Channel that starts a program and writes the notifications to its standard input.
//!
//! No value of an alert becomes an argument. `bellwether-program` describes how it is run and killed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bellwether_core::Notification;
use bellwether_http::redacted;
use bellwether_program::{Invocation, PATH, Run, Termination};
use bellwether_schema::{Diagnostics, HumanDuration, Secret, SourceLocation, Spanned};

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

impl ExecChannel {
    pub(super) fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        let Self {
            command,
            environment,
            user,
            ..
        } = self;
        bellwether_program::check(command, environment, user.as_ref(), at, problems);
        if self.timeout.is_zero() {
            problems.error(&at.key("timeout"), "must be longer than 0s");
        }
        check_max_alerts(self.max_alerts, at, problems);
    }

    pub(super) fn build(&self, context: Context) -> Result<Box<dyn Channel>, SettingsError> {
        let ids = bellwether_program::ids(self.user.as_ref())?;
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
            self.check_run(invocation.run(*self.settings.timeout).await)
        })
    }

    fn publish<'a>(&'a self, bulletin: &'a Bulletin) -> Attempt<'a> {
        Box::pin(async move {
            let message = BulletinMessage::new(bulletin, &self.context.sender);
            let invocation = self.invocation(
                to_json(&message)?.into_bytes(),
                &[("BELLWETHER_BULLETIN", &bulletin.topic)],
            );
            self.check_run(invocation.run(*self.settings.timeout).await)
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
            folder: self.settings.working_directory.clone(),
            ids: self.ids,
            input,
            output_limit: None,
        }
    }

    fn check_run(&self, run: Run) -> Result<(), DeliveryError> {
        let retryable = match run.termination {
            Termination::Code(0) => return Ok(()),
            Termination::Code(code) => code == EX_TEMPFAIL,
            _ => true,
        };
        let program = self.settings.command.first();
        let program = program.map_or("", |program| &program.value);
        let mut message = format!("{program}: {}", run.termination);
        if !run.stderr.is_empty() {
            message += &format!(": {}", self.redacted(run.stderr));
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

//! The channel that starts a program and gives it the notifications on its standard input.
//!
//! No shell is between: program and arguments are handed over as they are declared, and nothing of
//! an alert becomes one. What it started ends with it when its time is over: its process group, its
//! children and theirs, and what has left them but still has the environment it was given.

mod account;
mod kin;
mod process;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use account::Account;
use bellwether_core::Notification;
use bellwether_schema::{Diagnostics, HumanDuration, Secret, SourceLocation, Spanned};
use process::{Ended, Invocation};

use super::{Attempt, Batch, Channel, Context, DeliveryError, same_group};
use crate::wire::Webhook;

bellwether_schema::section! {
    /// Channel of type `exec`: starts a program per group of notifications, with Alertmanager's
    /// webhook document, version 4, on its standard input. Needs `alerting.allow_exec`. Taken is
    /// what the program ends with status 0 for. Status 75 (`EX_TEMPFAIL`), an end by a signal or by
    /// `timeout`, and a program that cannot be started are tried again; other statuses are not.
    pub struct ExecChannel {
        /// The program, by its absolute path, and its arguments. No shell reads them.
        pub command: Vec<Spanned<String>>,
        /// Variables of the program's environment. Values are never shown. Besides them it has
        /// `PATH`, `BELLWETHER_CHANNEL`, `BELLWETHER_RECEIVER`, `BELLWETHER_STATUS` and a mark of
        /// this start, `BELLWETHER_INVOCATION`, and nothing of Bellwether's own.
        pub environment: BTreeMap<String, Spanned<Secret>> = BTreeMap::new(),
        /// Folder it is started in.
        pub working_directory: PathBuf = PathBuf::from("/"),
        /// How long it may run; then it is killed with all that it started, in sessions of their
        /// own too.
        pub timeout: HumanDuration = HumanDuration::secs(30),
        /// User it runs as, by name or as `UID:GID`; needs Bellwether to run as root. Without it,
        /// Bellwether's own.
        pub user: Option<Spanned<String>>,
        /// Most alerts of one start.
        pub max_alerts: usize = 64,
    }
}

/// What asks to be tried again, by `sysexits.h`.
const EX_TEMPFAIL: i32 = 75;
/// Where programs are looked for by the one that is started.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl ExecChannel {
    pub(super) fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
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
                    .hint("no shell and no PATH looks for the program");
            }
            Some(_) => {}
        }
        for part in self.command.iter().filter(|part| part.contains('\0')) {
            problems.error(&part.at, "holds a NUL, which no argument can");
        }
        for (name, value) in &self.environment {
            if name.is_empty() || name.contains(['=', '\0']) {
                problems.error(&value.at, format!("not a variable's name: {name:?}"));
            } else if value.expose().contains('\0') {
                problems.error(&value.at, format!("holds a NUL: the value of {name:?}"));
            }
        }
        if let Some(user) = &self.user
            && let Err(reason) = Account::parse(user)
        {
            problems
                .error(&user.at, reason)
                .hint("a user's name, or UID:GID");
        }
        if self.timeout.is_zero() {
            problems.error(&at.key("timeout"), "must be longer than 0s");
        }
        if self.max_alerts == 0 {
            problems.error(&at.key("max_alerts"), "must be at least 1");
        }
    }

    pub(super) fn build(&self, context: Context) -> Result<Box<dyn Channel>, String> {
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
            let ended = self.invocation(batch)?.run(*self.settings.timeout).await;
            self.judge(ended)
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
    fn invocation(&self, batch: &Batch) -> Result<Invocation, DeliveryError> {
        let Context { name, sender, .. } = &self.context;
        let document = Webhook::new(batch, name, sender, self.settings.max_alerts);
        let input = serde_json::to_vec(&document)
            .map_err(|error| DeliveryError::permanent(error.to_string()))?;
        let own = [
            ("PATH", PATH),
            ("BELLWETHER_CHANNEL", name),
            ("BELLWETHER_RECEIVER", &batch.group().receiver),
            ("BELLWETHER_STATUS", batch.status().as_str()),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let declared = self.settings.environment.iter();
        let declared = declared.map(|(name, value)| (name.clone(), value.expose().to_owned()));
        Ok(Invocation {
            command: self
                .settings
                .command
                .iter()
                .map(|part| part.value.clone())
                .collect(),
            environment: own.into_iter().chain(declared).collect(),
            mark: format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)),
            folder: self.settings.working_directory.clone(),
            ids: self.ids,
            input,
        })
    }

    fn judge(&self, ended: Ended) -> Result<(), DeliveryError> {
        let program = self
            .settings
            .command
            .first()
            .map_or("", |program| &program.value);
        let (retryable, what, said) = match ended {
            Ended::Code(0, _) => return Ok(()),
            Ended::Code(code, said) => (code == EX_TEMPFAIL, format!("exit status {code}"), said),
            Ended::Signal(signal, said) => (true, format!("ended by signal {signal}"), said),
            Ended::TimedOut(said) => (
                true,
                format!("killed after {}", self.settings.timeout),
                said,
            ),
            Ended::NotStarted(reason) => {
                (true, format!("cannot be started: {reason}"), String::new())
            }
        };
        let mut message = format!("{program}: {what}");
        if !said.is_empty() {
            message += &format!(": {}", self.redacted(said));
        }
        Err(DeliveryError {
            retryable,
            message,
            ..DeliveryError::default()
        })
    }

    /// What a program says may hold what it was given.
    fn redacted(&self, said: String) -> String {
        // What is shorter occurs in any text.
        const SHORTEST: usize = 6;
        let secrets = self
            .settings
            .environment
            .values()
            .map(|secret| secret.expose());
        let secrets = secrets.filter(|secret| secret.len() >= SHORTEST);
        secrets.fold(said, |said, secret| said.replace(secret, "<secret>"))
    }
}

#[cfg(test)]
mod tests;

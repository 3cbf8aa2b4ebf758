//! Commands that ask many hosts at once.

mod answers;
mod declared;
mod file;
mod inventory;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, bail};
use clap::Args;

use super::client::Target;

pub(super) use answers::{Answers, HostAnswer, brief, envelope, merged};
pub(super) use file::Host;

/// Number of hosts that are asked at the same time: those that hang shall not wait for each other.
const PARALLEL: usize = 64;

/// Flags that choose one Bellwether, or those of many hosts.
#[derive(Args)]
pub(super) struct Reach {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    many: HostFlags,
}

#[derive(Args)]
#[command(next_help_heading = "Many hosts")]
struct HostFlags {
    /// Ask all hosts of a file: one name or URL a line, with groups in brackets as in an inventory of
    /// Ansible, or YAML with settings for each host.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    hosts: Option<PathBuf>,
    /// Ask only the hosts of this group, or `all`; repeatable. Without --hosts, those of
    /// ~/.config/bellwether/hosts.yaml.
    #[arg(long, value_name = "NAME", conflicts_with = "url")]
    group: Vec<String>,
}

impl Reach {
    /// Returns the Bellwether to ask if there is one only.
    pub(super) fn single(&self) -> Option<&Target> {
        (self.many.hosts.is_none() && self.many.group.is_empty()).then_some(&self.target)
    }

    /// Calls `ask` with the Bellwether that the flags choose, or in parallel with each of many.
    ///
    /// # Errors
    /// The hosts cannot be read, or the only Bellwether failed.
    pub(super) fn ask<T: Send>(
        &self,
        ask: impl Fn(&Target) -> anyhow::Result<T> + Sync,
    ) -> anyhow::Result<Answers<T>> {
        if let Some(target) = self.single() {
            return ask(target).map(Answers::One);
        }
        let path = match &self.many.hosts {
            Some(path) => path.clone(),
            None => {
                let path = file::own()?;
                if !path.exists() {
                    bail!(
                        "no hosts: {} does not exist; hint: write it, or give --hosts FILE",
                        path.display()
                    );
                }
                path
            }
        };
        let hosts = file::read(&path)?
            .choose(&self.many.group)
            .with_context(|| path.display().to_string())?;
        if hosts.is_empty() {
            bail!("{}: no hosts", path.display());
        }
        let answers = in_parallel(&hosts, |host| HostAnswer {
            host: host.name.clone(),
            answer: ask(&self.target.of_host(host)),
        });
        Ok(Answers::Many(answers))
    }
}

/// Calls `ask` for each host, and returns the results in the order of the hosts.
fn in_parallel<T: Send>(hosts: &[Host], ask: impl Fn(&Host) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            match hosts.get(index) {
                Some(host) => done.push((index, ask(host))),
                None => return done,
            }
        }
    };
    let mut answers: Vec<(usize, T)> = std::thread::scope(|scope| {
        let count = hosts.len().min(PARALLEL);
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
        let done = workers.into_iter().map(|worker| match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        done.flatten().collect()
    });
    answers.sort_unstable_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_asked_in_parallel_within_bounds_and_answer_in_order() {
        let names: Vec<String> = (0..100).map(|number| format!("h{number}")).collect();
        let hosts = names.iter().map(|name| Host::new(name, name).unwrap());
        let hosts: Vec<Host> = hosts.collect();
        let (busy, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let answers = in_parallel(&hosts, |host| {
            let now = busy.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            std::thread::yield_now();
            busy.fetch_sub(1, Ordering::SeqCst);
            host.name.clone()
        });
        const { assert!(PARALLEL >= 40 && PARALLEL < 100) }
        assert!(most.into_inner() <= PARALLEL);
        assert_eq!(answers, names);
    }
}

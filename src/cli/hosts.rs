//! Commands that ask many hosts at once.

mod declared;
mod inventory;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, anyhow, bail};
use bellwether_core::counted;
use bellwether_files as files;
use bellwether_schema::did_you_mean;
use clap::Args;
use reqwest::Url;
use serde_json::{Value, json};

use super::asking::printable;
use super::client::{Failure, Target};
use super::form::{Layout, format_data, format_table};
use super::process_environment;
use super::table::Table;

/// Number of hosts that are asked at the same time: those that hang shall not wait for each other.
const PARALLEL: usize = 64;
/// Maximum number of hosts.
const MAX_HOSTS: usize = 10_000;
/// Maximum number of hosts that the summary names.
const NAMED: usize = 10;
/// Port of a host that is named without one.
const PORT: u16 = 9091;
/// Group of all hosts.
const ALL: &str = "all";
/// Addresses as they can be written.
const ADDRESS_HINT: &str = "db1, db1:9091 or https://db1:9091";

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

/// Files with what a host asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Credentials {
    pub(super) token_file: Option<PathBuf>,
    pub(super) user: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
}

/// One host of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Host {
    /// Name in the output.
    pub(super) name: String,
    /// Name, address or URL.
    address: String,
    pub(super) credentials: Credentials,
    groups: BTreeSet<String>,
    /// True if the address is not given but for the name.
    is_named_only: bool,
}

impl Host {
    /// Creates a host without settings.
    ///
    /// # Errors
    /// `address` is no address.
    fn new(name: &str, address: &str) -> Result<Self, String> {
        let invalid = || format!("not an address of a host: {address:?}");
        let is_plain = |text: &str| printable(text) == text && !text.contains(char::is_whitespace);
        if !is_plain(address) || name.is_empty() || name.len() > 300 {
            return Err(invalid());
        }
        let url = url(address, "http").ok_or_else(invalid)?;
        let has_password = url.password().is_some() || !url.username().is_empty();
        let name = match has_password && name == address {
            true => format!(
                "{}:{}",
                url.host_str().unwrap_or_default(),
                url.port().unwrap_or(PORT)
            ),
            false => printable(name.trim_end_matches('/')),
        };
        Ok(Self {
            name,
            address: address.to_owned(),
            credentials: Credentials::default(),
            groups: BTreeSet::new(),
            is_named_only: false,
        })
    }

    /// Returns the URL; a host without a scheme has `scheme`, and one without a port 9091.
    pub(super) fn url(&self, scheme: &str) -> String {
        url(&self.address, scheme).map_or_else(|| self.address.clone(), String::from)
    }
}

fn url(address: &str, scheme: &str) -> Option<Url> {
    if address.contains("://") {
        let url = Url::parse(address).ok()?;
        return matches!(url.scheme(), "http" | "https").then_some(url);
    }
    let is_bare_ipv6 = address.parse::<std::net::Ipv6Addr>().is_ok();
    let host = match is_bare_ipv6 {
        true => format!("[{address}]"),
        false => address.to_owned(),
    };
    let mut url = Url::parse(&format!("{scheme}://{host}")).ok()?;
    // A URL does not show the usual port of its scheme, also if it was given.
    let has_port = host
        .trim_end_matches('/')
        .rsplit_once(':')
        .is_some_and(|(_, port)| {
            !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
        });
    if !has_port {
        url.set_port(Some(PORT)).ok()?;
    }
    Some(url)
}

/// Hosts of a file, in its order.
#[derive(Clone, Debug)]
struct Hosts {
    hosts: Vec<Host>,
    groups: BTreeSet<String>,
}

impl Hosts {
    /// Returns the hosts of some groups, or all without any.
    fn choose(self, groups: &[String]) -> anyhow::Result<Vec<Host>> {
        for group in groups.iter().filter(|group| *group != ALL) {
            if !self.groups.contains(group) {
                let known = self.groups.iter().map(String::as_str);
                let hint = did_you_mean(group, known.clone()).unwrap_or_else(|| {
                    format!(
                        "groups: {}",
                        known.chain([ALL]).collect::<Vec<_>>().join(", ")
                    )
                });
                bail!("no group {group:?}; hint: {hint}");
            }
        }
        let is_chosen = |host: &Host| {
            groups.is_empty()
                || groups
                    .iter()
                    .any(|group| group == ALL || host.groups.contains(group))
        };
        Ok(self.hosts.into_iter().filter(is_chosen).collect())
    }
}

/// Reads a host file: YAML if its name ends so, else one host per line.
fn read(path: &Path) -> anyhow::Result<Hosts> {
    let shown = path.display();
    let text = files::read_argument(path, files::SMALL)
        .with_context(|| format!("cannot read the hosts in {shown}"))?;
    let is_yaml = path
        .extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml");
    if is_yaml {
        let folder = path.parent().unwrap_or(Path::new(""));
        return declared::read(&text, folder, &process_environment).map_err(|problems| {
            let lines = problems.iter().map(|problem| problem.render(&shown));
            anyhow!("{}", lines.collect::<Vec<_>>().join("\n"))
        });
    }
    inventory::read(&text).map_err(|errors| {
        let lines = errors
            .iter()
            .map(|(line, error)| format!("{shown}:{line}: {error}"));
        anyhow!("{}", lines.collect::<Vec<_>>().join("\n"))
    })
}

/// Returns the path of the user's own host file.
fn own_file() -> anyhow::Result<PathBuf> {
    let variable = |name: &str| {
        let value = std::env::var_os(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    let folder = variable("XDG_CONFIG_HOME")
        // One that is not absolute is ignored (XDG Base Directory Specification).
        .filter(|folder| folder.is_absolute())
        .or_else(|| Some(variable("HOME")?.join(".config")))
        .context("--group needs --hosts FILE, because there is no $HOME with .config/bellwether/hosts.yaml")?;
    Ok(folder.join("bellwether/hosts.yaml"))
}

/// Answer of one Bellwether, or those of many hosts in the order of the file.
pub(super) enum Answers<T> {
    One(T),
    Many(Vec<HostAnswer<T>>),
}

/// Answer of one host.
pub(super) struct HostAnswer<T> {
    pub(super) host: String,
    pub(super) answer: anyhow::Result<T>,
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
                let path = own_file()?;
                if !path.exists() {
                    bail!(
                        "no hosts: {} does not exist; hint: write it, or give --hosts FILE",
                        path.display()
                    );
                }
                path
            }
        };
        let hosts = read(&path)?
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

impl Answers<Value> {
    /// Puts the last answer of a host in place of a failure, marked as such, and remembers the others in
    /// `last`.
    pub(super) fn keep_last(&mut self, last: &mut HashMap<String, Value>) {
        let Self::Many(answers) = self else { return };
        for HostAnswer { host, answer } in answers {
            match answer {
                Ok(data) => {
                    last.insert(host.clone(), data.clone());
                }
                Err(_) => {
                    if let Some(data) = last.get(host) {
                        *answer = Ok(data.clone());
                        host.push_str(" (no answer)");
                    }
                }
            }
        }
    }

    /// Returns whether all of many hosts answered null: none has what was asked for.
    pub(super) fn is_on_no_host(&self) -> bool {
        let is_null = |answer: &HostAnswer<Value>| matches!(answer.answer, Ok(Value::Null));
        matches!(self, Self::Many(answers) if answers.iter().all(is_null))
    }

    /// Prints the answers: that of one Bellwether as `text` formats it, those of many as one table with
    /// a column for the host.
    ///
    /// # Errors
    /// A host failed.
    pub(super) fn show(
        self,
        layout: Layout,
        table: impl Fn(&Value) -> Table,
        text: impl FnOnce(&Value) -> String,
        empty: &str,
    ) -> anyhow::Result<()> {
        match (&self, layout) {
            (Self::One(data), Layout::Text(_)) => print!("{}", text(data)),
            _ => print!("{}", self.format(layout, table, empty)),
        }
        self.summarize()
    }

    /// Formats the answers: as one table, or as data; those of many hosts with a column for the host.
    pub(super) fn format(
        &self,
        layout: Layout,
        table: impl Fn(&Value) -> Table,
        empty: &str,
    ) -> String {
        match (self, layout) {
            (Self::One(data), Layout::Text(_) | Layout::Csv) => {
                format_table(layout, &table(data), empty)
            }
            // That there is nothing to list is not known.
            (Self::Many(_), Layout::Text(_)) if !self.has_answered() => String::new(),
            (Self::Many(answers), Layout::Text(_) | Layout::Csv) => {
                let none = |_: &anyhow::Error| table(&Value::Null);
                format_table(layout, &merged(answers, &table, none), empty)
            }
            (Self::One(data), _) => format_data(layout, data),
            (Self::Many(answers), _) => format_data(layout, &envelope(answers, Value::clone)),
        }
    }
}

impl<T> Answers<T> {
    /// Returns whether one of many hosts failed.
    pub(super) fn has_failed(&self) -> bool {
        match self {
            Self::One(_) => false,
            Self::Many(answers) => answers.iter().any(|answer| answer.answer.is_err()),
        }
    }

    /// Returns whether there is an answer.
    pub(super) fn has_answered(&self) -> bool {
        match self {
            Self::One(_) => true,
            Self::Many(answers) => answers.iter().any(|answer| answer.answer.is_ok()),
        }
    }

    /// Returns how many hosts answered, if there are many.
    pub(super) fn summary(&self) -> Option<String> {
        match self {
            Self::One(_) => None,
            Self::Many(answers) => Some(summary(answers)),
        }
    }

    /// Prints how many hosts answered, if there are many.
    ///
    /// # Errors
    /// A host failed; the error has the summary.
    pub(super) fn summarize(&self) -> anyhow::Result<()> {
        match self.summary() {
            Some(summary) if self.has_failed() => bail!("{summary}"),
            Some(summary) => eprintln!("{summary}"),
            None => {}
        }
        Ok(())
    }
}

/// Returns one table with a column for the host: `table` of the hosts that answered, and `failed` of
/// those that did not.
pub(super) fn merged(
    answers: &[HostAnswer<Value>],
    table: impl Fn(&Value) -> Table,
    failed: impl Fn(&anyhow::Error) -> Table,
) -> Table {
    let tables = answers.iter().map(|HostAnswer { host, answer }| {
        let rows = match answer {
            Ok(data) => table(data),
            Err(error) => failed(error),
        };
        rows.with_first_column("HOST", host)
    });
    let merged = tables.reduce(|mut all, table| {
        all.append(table);
        all
    });
    merged.unwrap_or_else(|| table(&Value::Null).with_first_column("HOST", ""))
}

/// Returns the answers of many hosts as one value, each as `json` has it.
pub(super) fn envelope<T>(answers: &[HostAnswer<T>], json: impl Fn(&T) -> Value) -> Value {
    let hosts: Vec<Value> = answers
        .iter()
        .map(|HostAnswer { host, answer }| match answer {
            Ok(data) => json!({ "host": host, "data": json(data) }),
            Err(error) => json!({ "host": host, "error": format!("{error:#}") }),
        })
        .collect();
    json!({ "hosts": hosts })
}

/// Formats a summary: `38 of 40 hosts answered; 2 failed: db3 (connection refused), web1 (...)`.
fn summary<T>(answers: &[HostAnswer<T>]) -> String {
    let failed: Vec<String> = answers
        .iter()
        .filter_map(|HostAnswer { host, answer }| {
            let error = answer.as_ref().err()?;
            Some(format!("{host} ({})", brief(error)))
        })
        .collect();
    let (all, answered) = (answers.len(), answers.len() - failed.len());
    let mut out = format!("{answered} of {} answered", counted(all, "host"));
    if failed.is_empty() {
        return out;
    }
    let named = failed.iter().take(NAMED).cloned().collect::<Vec<_>>();
    out += &format!("; {} failed: {}", failed.len(), named.join(", "));
    match failed.len().saturating_sub(NAMED) {
        0 => out,
        more => out + &format!(", and {more} more"),
    }
}

/// Formats an error in one line, without hint and without the address of the host.
pub(super) fn brief(error: &anyhow::Error) -> String {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return printable(failure.brief());
    }
    let text = format!("{error:#}");
    let line = text.lines().next().unwrap_or_default();
    printable(line.split("; hint:").next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::cli::output::Screen;

    fn host(name: &str) -> Host {
        Host::new(name, name).unwrap()
    }

    fn answers(all: &[(&str, Result<Value, &str>)]) -> Vec<HostAnswer<Value>> {
        let answers = all.iter().map(|(host, answer)| HostAnswer {
            host: (*host).to_owned(),
            answer: answer.clone().map_err(|error| anyhow!("{error}")),
        });
        answers.collect()
    }

    #[test]
    fn without_an_answer_nothing_is_said_about_alerts() {
        let layout = Layout::Text(Screen::default());
        let table = |_: &Value| Table::new(["ALERT"]);
        let text = |all: &[(&str, Result<Value, &str>)]| {
            Answers::Many(answers(all)).format(layout, table, "no alerts")
        };
        let failed = ("a", Err("connection refused"));
        assert_eq!(text(std::slice::from_ref(&failed)), "");
        assert_eq!(text(&[failed, ("b", Ok(json!({})))]), "no alerts\n");
    }

    #[test]
    fn a_host_that_fails_keeps_its_last_answer() {
        let mut last = HashMap::new();
        let mut look = |a: Result<Value, &str>| {
            let failed = Err("connection refused");
            let mut answers = Answers::Many(answers(&[("a", a), ("b", failed)]));
            answers.keep_last(&mut last);
            let Answers::Many(answers) = answers else {
                panic!("there are two hosts")
            };
            answers
                .into_iter()
                .map(|answer| (answer.host, answer.answer.ok()))
                .collect::<Vec<_>>()
        };
        let none = ("b".to_owned(), None);
        assert_eq!(look(Err("x")), [("a".to_owned(), None), none.clone()]);
        assert_eq!(
            look(Ok(json!(1))),
            [("a".to_owned(), Some(json!(1))), none.clone()]
        );
        for _ in 0..2 {
            let kept = ("a (no answer)".to_owned(), Some(json!(1)));
            assert_eq!(look(Err("x")), [kept, none.clone()]);
        }
        assert_eq!(look(Ok(json!(2))), [("a".to_owned(), Some(json!(2))), none]);
    }

    #[test]
    fn a_name_becomes_a_url_with_the_port_of_bellwether() {
        for (address, url) in [
            ("db1", "http://db1:9091/"),
            ("db1:80", "http://db1/"),
            ("db1:9391/", "http://db1:9391/"),
            ("::1", "http://[::1]:9091/"),
            ("[::1]", "http://[::1]:9091/"),
            ("[::1]:7", "http://[::1]:7/"),
            ("https://db1", "https://db1/"),
            ("https://db1:9/sub/", "https://db1:9/sub/"),
        ] {
            assert_eq!(host(address).url("http"), url, "{address}");
        }
        assert_eq!(host("db1").url("https"), "https://db1:9091/");
        assert_eq!(host("https://eva:secret@db1:9").name, "db1:9");
        for bad in [
            "",
            "ftp://x",
            "a b",
            "a\u{1b}[2J",
            "http://",
            "a:b",
            "a:99999",
        ] {
            assert!(Host::new(bad, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts_are_asked_in_parallel_within_bounds_and_answer_in_order() {
        let hosts: Vec<Host> = (0..100).map(|number| host(&format!("h{number}"))).collect();
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
        let names: Vec<String> = hosts.into_iter().map(|host| host.name).collect();
        assert_eq!(answers, names);
    }

    #[test]
    fn the_summary_names_those_that_failed_and_why() {
        let unanswered = |reason: &str| {
            let hint = "is it running?".to_owned();
            let reason = reason.to_owned();
            Failure::unanswered("http://db:9091", reason, "GET /".to_owned(), hint).into()
        };
        let answer = |host: &str, answer| HostAnswer {
            host: host.to_owned(),
            answer,
        };
        let all = [
            answer("db1", Ok(json!(1))),
            answer("db3", Err(unanswered("connection refused"))),
            answer("db4", Err(unanswered("TLS failed: no\u{1b}[2J"))),
            answer("db5", Err(anyhow!("no rule \"x\"; hint: y"))),
        ];
        assert_eq!(
            summary(&all),
            "1 of 4 hosts answered; 3 failed: db3 (connection refused), db4 (TLS failed: no\\u{1b}[2J), \
             db5 (no rule \"x\")"
        );
        assert_eq!(summary(&all[..1]), "1 of 1 host answered");
        let names: Vec<String> = (0..12).map(|number| format!("h{number}")).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), Err("x"))).collect();
        assert!(summary(&answers(&many)).ends_with("h9 (x), and 2 more"));
    }

    #[test]
    fn the_hosts_are_in_every_format() {
        let all = answers(&[("a", Ok(json!({"x": 1}))), ("b", Err("down"))]);
        assert_eq!(
            envelope(&all, Value::clone),
            json!({"hosts": [{"host": "a", "data": {"x": 1}}, {"host": "b", "error": "down"}]})
        );
        let table = |data: &Value| {
            let mut table = Table::new(["X"]);
            if !data.is_null() {
                table.push([data["x"].to_string().into()]);
            }
            table
        };
        let none = |_: &anyhow::Error| table(&Value::Null);
        assert_eq!(merged(&all, table, none).csv(), "host,x\r\na,1\r\n");
        assert!(merged(&answers(&[("b", Err("down"))]), table, none).is_empty());
    }

    #[test]
    fn the_examples_of_the_docs_are_read() {
        let page = include_str!("../../docs/command-line.md");
        let block = |language: &str| {
            let begin = format!("```{language}\n");
            let (_, rest) = page.split_once(&begin).unwrap();
            rest.split("```").next().unwrap()
        };
        let hosts = inventory::read(block("ini")).unwrap();
        assert_eq!(hosts.hosts.len(), 23);
        let production = hosts.choose(&["production".to_owned()]).unwrap();
        assert_eq!(production.len(), 22);
        let hosts = declared::read(block("yaml"), Path::new("/home/ada"), &|_| None).unwrap();
        assert_eq!(hosts.hosts.len(), 2);
    }

    #[test]
    fn an_unknown_group_is_an_error_with_those_that_exist() {
        let hosts = inventory::read("[web]\na\n[db]\nb\n").unwrap();
        let error = |group: &str| {
            let chosen = hosts.clone().choose(&[group.to_owned()]);
            chosen.unwrap_err().to_string()
        };
        assert_eq!(
            error("wbe"),
            "no group \"wbe\"; hint: did you mean \"web\"?"
        );
        assert_eq!(
            error("zzzzzz"),
            "no group \"zzzzzz\"; hint: groups: db, web, all"
        );
    }
}

//! The agents that run on this host, by their runtime files.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::bail;
use bellwether_config::{self as config, Source};

use super::{Global, installation};
use bellwether_agent::runtime_file::{self, RunningAgent};

/// Directory of systemd for what a service needs while it runs.
const RUN: &str = "/run";

/// Agent with the file that it was found by.
#[derive(Debug)]
pub(super) struct FoundAgent {
    pub(super) file: PathBuf,
    pub(super) agent: RunningAgent,
}

/// Result of a search for running agents.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// Agents that run.
    agents: Vec<FoundAgent>,
    /// Agents that ended without removing their file.
    killed: Vec<FoundAgent>,
    /// Directories that were searched.
    directories: Vec<PathBuf>,
    /// Files and directories that could not be read.
    unreadable: Vec<(PathBuf, io::Error)>,
}

/// Agent that the commands of this host use, or the reasons why there is none.
pub(super) enum Selection {
    Agent(Box<FoundAgent>),
    None(Search),
}

/// Selects the agent to use: the one of `--config` or `BELLWETHER_CONFIG` if either is given, else
/// the only one. `flags` select one of several.
///
/// # Errors
/// Several agents run.
pub(super) fn select(global: &Global, flags: &str) -> anyhow::Result<Selection> {
    let configured = global.settings().ok();
    let configured = configured.and_then(|root| root.performance_monitor.value.state_directory);
    let environment = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let configured = configured.map(|folder| folder.value);
    let search = Search::of(directories(&environment, configured));
    let wanted = installation::named(global.config.as_deref());
    search.only(wanted.as_deref(), flags)
}

/// Returns the agent of this host that runs with the configuration file `path`, whose state directory is `state`, if it is
/// the only one.
pub(super) fn of_configuration(path: &Path, state: Option<PathBuf>) -> Option<FoundAgent> {
    let environment = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let search = Search::of(directories(&environment, state));
    match search.only(Some(path), "") {
        Ok(Selection::Agent(found)) => Some(*found),
        Ok(Selection::None(_)) | Err(_) => None,
    }
}

/// Prints which file the agent of this host runs with, if a command reads the embedded configuration.
pub(super) fn hint_at_its_configuration(global: &Global) {
    if global.source() == Source::Embedded
        && let Ok(selection) = select(global, "--config")
        && let Some(hint) = configuration_hint(&selection)
    {
        eprintln!("{hint}");
    }
}

fn configuration_hint(selection: &Selection) -> Option<String> {
    let Selection::Agent(found) = selection else {
        return None;
    };
    let path = found.agent.configuration.first()?.display();
    Some(format!(
        "hint: this is the embedded configuration; --config {path} takes that of the running agent"
    ))
}

/// Returns the directories that may have runtime files. Variables of systemd in the environment of
/// the command name the only ones.
fn directories(
    environment: &dyn Fn(&str) -> Option<OsString>,
    configured: Option<PathBuf>,
) -> Vec<PathBuf> {
    let under = |name: &str, rest: &str| Some(PathBuf::from(environment(name)?).join(rest));
    let named = ["RUNTIME_DIRECTORY", "STATE_DIRECTORY"];
    let mut all: Vec<PathBuf> = named
        .into_iter()
        .filter_map(environment)
        .flat_map(|list| std::env::split_paths(&list).collect::<Vec<_>>())
        .collect();
    if all.is_empty() {
        all.extend(of_services(Path::new(RUN)));
        all.extend(under("XDG_RUNTIME_DIR", "bellwether"));
        all.push(PathBuf::from(installation::STATE));
        all.extend(config::user_state_directory(&|name| environment(name)));
    }
    all.extend(configured);
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())));
    all
}

/// Returns the runtime directory of the service, and those of further instances of it:
/// `RuntimeDirectory=bellwether-NAME` or `bellwether/NAME`.
fn of_services(run: &Path) -> Vec<PathBuf> {
    let own = run.join("bellwether");
    let subdirectories = |directory: &Path, prefix: &str| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let directories = entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let mut paths: Vec<_> = directories.map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let mut all = vec![own.clone()];
    all.extend(subdirectories(&own, ""));
    all.extend(subdirectories(run, "bellwether-"));
    all
}

impl Search {
    fn of(directories: Vec<PathBuf>) -> Self {
        let mut search = Self::default();
        for directory in &directories {
            match runtime_file::list(directory) {
                Ok(files) => files.into_iter().for_each(|file| search.read(file)),
                Err(error) => search.unreadable.push((directory.clone(), error)),
            }
        }
        search.directories = directories;
        search
    }

    fn read(&mut self, file: PathBuf) {
        match runtime_file::read(&file) {
            Ok(agent) if agent.process.is_running() => {
                self.agents.push(FoundAgent { file, agent });
            }
            Ok(agent) => self.killed.push(FoundAgent { file, agent }),
            // It stopped meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.unreadable.push((file, error)),
        }
    }

    /// Returns the only agent, of those with the configuration `wanted` if it is given.
    fn only(mut self, wanted: Option<&Path>, flags: &str) -> anyhow::Result<Selection> {
        let mut agents = std::mem::take(&mut self.agents);
        if let Some(wanted) = wanted {
            agents.retain(|found| {
                let main = found.agent.configuration.first();
                main.is_some_and(|path| is_same(path, wanted))
            });
            self.killed.retain(|found| {
                let main = found.agent.configuration.first();
                main.is_some_and(|path| is_same(path, wanted))
            });
        }
        match agents.len() {
            0 => Ok(Selection::None(self)),
            1 => Ok(Selection::Agent(Box::new(agents.remove(0)))),
            _ => {
                let lines = agents.iter().map(|found| format!("\n  {found}"));
                bail!(
                    "several agents run on this host; hint: {flags} selects one:{}",
                    lines.collect::<String>()
                )
            }
        }
    }

    /// Returns a line for each file or directory that could not be read.
    pub(super) fn unreadable(&self) -> Vec<String> {
        let lines = self.unreadable.iter().map(|(path, error)| {
            let hint = match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    "; hint: run the command as root, or as the user of the agent"
                }
                _ => "",
            };
            let path = path.display();
            format!("cannot look for a running agent: {path}: {error}{hint}")
        });
        lines.collect()
    }
}

impl fmt::Display for Search {
    /// Formats a clause on the agents that were not found.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let directories: Vec<_> = self
            .directories
            .iter()
            .map(|directory| directory.display().to_string())
            .collect();
        write!(
            out,
            "no running agent has a runtime file in {}",
            directories.join(", ")
        )?;
        for found in &self.killed {
            let (pid, file) = (found.agent.process.pid, found.file.display());
            write!(out, "; the one with pid {pid} was killed ({file})")?;
        }
        Ok(())
    }
}

impl fmt::Display for FoundAgent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let agent = &self.agent;
        let configuration = match agent.configuration.first() {
            Some(path) => path.display().to_string(),
            None => Source::Embedded.to_string(),
        };
        let state = match &agent.state_directory {
            Some(path) => path.display().to_string(),
            None => "in memory".to_owned(),
        };
        write!(
            out,
            "{}  pid {}  {configuration}  state {state}",
            agent.url, agent.process.pid
        )
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| {
        path.canonicalize()
            .or_else(|_| std::path::absolute(path))
            .unwrap_or_else(|_| path.to_owned())
    };
    real(one) == real(other)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bellwether_files::durable::JsonFile;

    use super::*;
    use bellwether_agent::runtime_file::Process;

    fn agent(port: u16, configuration: &Path) -> RunningAgent {
        RunningAgent {
            process: Process::current(),
            agent_version: "1".into(),
            url: format!("http://127.0.0.1:{port}"),
            tls: false,
            socket: None,
            web_config_file: None,
            token_file: None,
            configuration: vec![configuration.to_owned()],
            state_directory: None,
            history_directory: None,
            alert_history_directory: None,
        }
    }

    fn write(directory: &Path, pid: u32, agent: &RunningAgent) {
        fs::create_dir_all(directory).unwrap();
        let text = JsonFile::render(agent).unwrap();
        fs::write(directory.join(format!("agent-{pid}.json")), text).unwrap();
    }

    fn selected(directories: &[PathBuf], wanted: Option<&Path>) -> Result<String, String> {
        match Search::of(directories.to_vec()).only(wanted, "--config") {
            Ok(Selection::Agent(found)) => Ok(found.agent.url),
            Ok(Selection::None(search)) => Ok(search.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_only_agent_is_used_and_the_configuration_selects_one_of_several() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a.yaml", "b.yaml", "c.yaml"] {
            fs::write(at(name), "").unwrap();
        }
        let both = [at("run"), at("state")];
        write(&both[0], 1, &agent(1, &at("a.yaml")));
        assert_eq!(selected(&both, None).unwrap(), "http://127.0.0.1:1");
        write(&both[1], 2, &agent(2, &at("b.yaml")));
        let error = selected(&both, None).unwrap_err();
        for words in [
            "several agents run",
            "--config selects one",
            ":1  pid",
            "/b.yaml  state in memory",
        ] {
            assert!(error.contains(words), "{error}");
        }
        let dotted = folder.path().join("./b.yaml");
        assert_eq!(
            selected(&both, Some(&dotted)).unwrap(),
            "http://127.0.0.1:2"
        );
        let none = selected(&both, Some(&at("c.yaml"))).unwrap();
        assert!(none.starts_with("no running agent has"), "{none}");
    }

    #[test]
    fn a_command_names_the_configuration_that_it_does_not_use() {
        let of = |configuration: &[&str]| {
            let mut agent = agent(1, Path::new("/"));
            agent.configuration = configuration.iter().map(PathBuf::from).collect();
            let file = PathBuf::new();
            configuration_hint(&Selection::Agent(Box::new(FoundAgent { file, agent })))
        };
        let hint = of(&["/a.yaml", "/conf.d/b.yaml"]).unwrap();
        assert!(hint.contains("--config /a.yaml takes"), "{hint}");
        assert_eq!(of(&[]), None, "it runs with the same one");
        assert_eq!(
            configuration_hint(&Selection::None(Search::default())),
            None
        );
    }

    #[test]
    fn a_killed_agent_and_an_unreadable_file_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut killed = agent(1, Path::new("/a.yaml"));
        killed.process.start_ticks = Some(1);
        write(folder.path(), 7, &killed);
        fs::write(folder.path().join("agent-8.json"), "{}").unwrap();
        let search = Search::of(vec![folder.path().to_owned()]);
        let unreadable = search.unreadable();
        assert!(unreadable[0].contains("agent-8.json: "), "{unreadable:?}");
        let Ok(Selection::None(search)) = search.only(None, "") else {
            panic!("none runs");
        };
        let pid = std::process::id();
        let expected = format!("the one with pid {pid} was killed (");
        assert!(search.to_string().contains(&expected), "{search}");
    }

    #[test]
    fn variables_of_systemd_name_the_only_directories() {
        let none = directories(&|_| None, None);
        assert!(none.contains(&"/run/bellwether".into()), "{none:?}");
        assert!(none.contains(&"/var/lib/bellwether".into()), "{none:?}");
        let user = directories(
            &|name| match name {
                "XDG_RUNTIME_DIR" => Some("/run/user/7".into()),
                "HOME" => Some("/home/u".into()),
                _ => None,
            },
            Some("/data".into()),
        );
        for path in [
            "/run/user/7/bellwether",
            "/home/u/.local/state/bellwether",
            "/data",
        ] {
            assert!(user.contains(&path.into()), "{user:?}");
        }
        let service = directories(
            &|name| (name == "RUNTIME_DIRECTORY").then(|| "/run/b".into()),
            None,
        );
        assert_eq!(service, [PathBuf::from("/run/b")]);
    }

    #[test]
    fn instances_of_the_service_have_directories_of_their_own() {
        let run = tempfile::tempdir().unwrap();
        for name in ["bellwether/a", "bellwether-b", "other"] {
            fs::create_dir_all(run.path().join(name)).unwrap();
        }
        let found = of_services(run.path());
        let expected = ["bellwether", "bellwether/a", "bellwether-b"];
        assert_eq!(found, expected.map(|name| run.path().join(name)));
    }
}

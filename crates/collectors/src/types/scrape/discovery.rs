//! Sources of targets: files that are read again when they change, and servers that are asked again after a while.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bellwether_collectors_services::dns::{self, Question, RecordData, RecordType};
use bellwether_core::{Labels, MonoMillis};
use bellwether_files as files;
use bellwether_http::{Access, Client, fetch};
use bellwether_schema::{Decode, DecodeContext, Diagnostics, Literal, parse};
use globset::GlobMatcher;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::target::Group;

/// Longest time that a source is waited for which never answered.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Time after which a source that never answered is asked again.
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// Longest time of one look-up.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(30);

/// Sources of one collector.
pub(super) struct Discovery {
    fixed: Vec<Group>,
    /// `None` while a blocking thread has it.
    files: Option<Files>,
    asked: Vec<Asked>,
}

/// Files that match.
#[derive(Clone, Debug)]
pub(super) struct FilePattern {
    pub(super) directory: PathBuf,
    pub(super) name: GlobMatcher,
}

/// A server that is asked for targets.
pub(super) enum Lookup {
    Http {
        access: Box<Access>,
        url: Url,
        limit: u64,
    },
    Dns {
        names: Vec<String>,
        kind: RecordType,
        port: Option<u16>,
        /// Empty: those of the system.
        servers: Vec<SocketAddr>,
    },
}

/// A server, and what it answered last.
struct Asked {
    lookup: Arc<Lookup>,
    interval: Duration,
    due: MonoMillis,
    running: Option<AbortOnDropHandle<Result<Vec<Group>, String>>>,
    /// `None`: it never answered.
    groups: Option<Vec<Group>>,
    error: Option<String>,
}

impl Discovery {
    pub(super) fn new(
        fixed: Vec<Group>,
        patterns: Vec<FilePattern>,
        lookups: &[(Arc<Lookup>, Duration)],
        limit: u64,
    ) -> Self {
        let asked = lookups.iter().map(|(lookup, interval)| Asked {
            lookup: lookup.clone(),
            interval: *interval,
            due: MonoMillis(0),
            running: None,
            groups: None,
            error: None,
        });
        Self {
            fixed,
            files: Some(Files {
                patterns,
                limit,
                known: BTreeMap::new(),
            }),
            asked: asked.collect(),
        }
    }

    /// Returns the groups of all sources and the errors of sources, which keep the groups that they had before.
    pub(super) async fn update(&mut self, now: MonoMillis) -> (Vec<Group>, Vec<String>) {
        let (mut groups, mut errors) = (self.fixed.clone(), Vec::new());
        if let Some(mut known) = self.files.take() {
            if known.patterns.is_empty() {
                self.files = Some(known);
            } else {
                let read = spawn_blocking(move || {
                    let errors = known.update();
                    (known, errors)
                });
                match read.await {
                    Ok((known, messages)) => {
                        groups.extend(known.known.values().flat_map(|file| file.groups.clone()));
                        errors.extend(messages);
                        self.files = Some(known);
                    }
                    Err(error) => errors.push(error.to_string()),
                }
            }
        }
        for source in &mut self.asked {
            source.start(now);
        }
        for source in &mut self.asked {
            source.finish(now).await;
            groups.extend(source.groups.iter().flatten().cloned());
            errors.extend(source.error.clone());
        }
        (groups, errors)
    }
}

impl Asked {
    fn start(&mut self, now: MonoMillis) {
        if self.running.is_none() && now >= self.due {
            self.due = now.after(self.interval);
            let lookup = self.lookup.clone();
            self.running = Some(AbortOnDropHandle::new(tokio::spawn(async move {
                let groups = timeout(LOOKUP_TIMEOUT, lookup.groups()).await;
                groups.unwrap_or_else(|_| Err(format!("no answer after {LOOKUP_TIMEOUT:?}")))
            })));
        }
    }

    /// Takes the answer, if it is there, and waits for it only if there was none before.
    async fn finish(&mut self, now: MonoMillis) {
        let Some(job) = &mut self.running else { return };
        let patience = match (&self.groups, &self.error) {
            (None, None) => FIRST_WAIT,
            _ => Duration::ZERO,
        };
        let Ok(ended) = timeout(patience, job).await else {
            return;
        };
        self.running = None;
        match ended.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(groups) => {
                self.groups = Some(groups);
                self.error = None;
            }
            Err(error) => {
                self.error = Some(format!("{}: {error}", self.lookup.place()));
                if self.groups.is_none() {
                    self.due = self.due.min(now.after(FIRST_RETRY));
                }
            }
        }
    }
}

impl Lookup {
    fn place(&self) -> String {
        match self {
            Self::Http { url, .. } => url.origin().ascii_serialization(),
            Self::Dns { names, .. } => names.join(", "),
        }
    }

    async fn groups(self: Arc<Self>) -> Result<Vec<Group>, String> {
        match &*self {
            Self::Http { access, url, limit } => {
                let (access, opened) = (Access::clone(access), url.clone());
                let client = spawn_blocking(move || Client::open(access, &opened)).await;
                let client = client.map_err(|error| error.to_string())??;
                let mut headers = HeaderMap::new();
                headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
                let fetched = fetch(
                    &client,
                    Method::GET,
                    url.clone(),
                    headers,
                    String::new(),
                    *limit,
                );
                let mut groups = read_json(&fetched.await?.into_text()?)?;
                for group in &mut groups {
                    let shown = format!("{}{}", url.origin().ascii_serialization(), url.path());
                    group.labels.insert("__meta_url".into(), shown);
                }
                Ok(groups)
            }
            Self::Dns {
                names,
                kind,
                port,
                servers,
            } => {
                let mut groups = Vec::new();
                for name in names {
                    groups.extend(look_up(name, *kind, *port, servers).await?);
                }
                Ok(groups)
            }
        }
    }
}

async fn look_up(
    name: &str,
    kind: RecordType,
    port: Option<u16>,
    servers: &[SocketAddr],
) -> Result<Vec<Group>, String> {
    const SERVER_TIMEOUT: Duration = Duration::from_secs(3);
    let servers = match servers {
        [] => match spawn_blocking(dns::system_servers).await {
            Ok(servers) => servers.map_err(|error| error.to_string())?,
            Err(error) => return Err(error.to_string()),
        },
        servers => servers.to_vec(),
    };
    let question = Question {
        name,
        kind,
        recursion: true,
    };
    let mut last = String::new();
    for server in servers {
        match timeout(SERVER_TIMEOUT, dns::ask(server, &question)).await {
            // No such name is an answer: there are no targets.
            Ok(Ok(answer)) if matches!(answer.code, 0 | 3) => {
                let records = answer.answers.iter();
                return Ok(records
                    .filter_map(|record| group(name, kind, port, &record.data))
                    .collect());
            }
            Ok(Ok(answer)) => last = format!("{server} answered {}", dns::code_name(answer.code)),
            Ok(Err(error)) => last = format!("{server}: {error}"),
            Err(_) => last = format!("{server}: no answer after {SERVER_TIMEOUT:?}"),
        }
    }
    Err(last)
}

/// Returns the target of one record.
fn group(name: &str, kind: RecordType, port: Option<u16>, data: &RecordData) -> Option<Group> {
    let mut labels = Labels::from([("__meta_dns_name".to_owned(), name.to_owned())]);
    let target = match (kind, data) {
        (RecordType::Srv, RecordData::Srv { port, target }) => {
            labels.insert("__meta_dns_srv_record_target".into(), format!("{target}."));
            labels.insert("__meta_dns_srv_record_port".into(), port.to_string());
            format!("{target}:{port}")
        }
        (RecordType::A | RecordType::Aaaa, RecordData::Address(address)) => {
            // An answer may hold addresses of the other kind.
            if address.is_ipv6() != (kind == RecordType::Aaaa) {
                return None;
            }
            SocketAddr::new(*address, port?).to_string()
        }
        _ => return None,
    };
    Some(Group {
        targets: vec![target],
        labels,
    })
}

/// A group in JSON.
#[derive(Deserialize)]
struct JsonGroup {
    targets: Vec<String>,
    #[serde(default)]
    labels: Labels,
}

fn read_json(text: &str) -> Result<Vec<Group>, String> {
    let groups: Vec<JsonGroup> =
        serde_json::from_str(text).map_err(|error| format!("not a list of targets: {error}"))?;
    let groups = groups.into_iter().map(|group| Group {
        targets: group.targets,
        labels: group.labels,
    });
    Ok(groups.collect())
}

bellwether_schema::section! {
    /// A group in YAML.
    pub struct YamlGroup {
        /// Addresses.
        pub targets: Vec<Literal>,
        /// Labels that they share.
        pub labels: BTreeMap<String, Literal> = BTreeMap::new(),
    }
}

fn read_yaml(text: &str) -> Result<Vec<Group>, String> {
    let node = parse(text).map_err(|error| error.to_string())?;
    let mut problems = Diagnostics::default();
    let mut context = DecodeContext::new(&mut problems, &|_| None);
    let groups = Vec::<YamlGroup>::decode(&node, &mut context);
    if let Some(problem) = problems.into_sorted().first() {
        return Err(problem.to_string().replace("\n  hint:", "; hint:"));
    }
    let groups = groups.into_iter().flatten().map(|group| Group {
        targets: group.targets.into_iter().map(|target| target.0).collect(),
        labels: group
            .labels
            .into_iter()
            .map(|(label, value)| (label, value.0))
            .collect(),
    });
    Ok(groups.collect())
}

/// Files with targets.
struct Files {
    patterns: Vec<FilePattern>,
    limit: u64,
    known: BTreeMap<PathBuf, KnownFile>,
}

#[derive(Default)]
struct KnownFile {
    /// Version that was read last, valid or not.
    version: Option<files::Version>,
    groups: Vec<Group>,
    error: Option<String>,
}

impl Files {
    /// Reads what changed, and returns errors.
    fn update(&mut self) -> Vec<String> {
        let mut errors = Vec::new();
        let mut seen = BTreeMap::new();
        for pattern in &self.patterns {
            match pattern.paths() {
                Ok(paths) => {
                    for path in paths {
                        let mut file = self.known.remove(&path).unwrap_or_default();
                        file.update(&path, self.limit);
                        seen.insert(path, file);
                    }
                }
                Err(error) => errors.push(format!("{}: {error}", pattern.directory.display())),
            }
        }
        let failed = seen.iter().filter_map(|(path, file)| {
            let error = file.error.as_ref()?;
            Some(format!("{}: {error}", path.display()))
        });
        errors.extend(failed);
        self.known = seen;
        errors
    }
}

impl FilePattern {
    fn paths(&self) -> std::io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let entry = entry?;
            if self.name.is_match(entry.file_name()) {
                paths.push(entry.path());
            }
        }
        paths.sort();
        Ok(paths)
    }
}

impl KnownFile {
    /// Reads the file if it is another one than before. The groups stay while it is invalid.
    fn update(&mut self, path: &Path, limit: u64) {
        let version = std::fs::metadata(path).map(|metadata| files::version(&metadata));
        let read = match version {
            Ok(version) if self.version == Some(version) => return,
            Ok(version) => {
                self.version = Some(version);
                files::read_text(path, limit)
            }
            Err(error) => Err(error),
        };
        let groups = match read {
            Ok(text) if path.extension().is_some_and(|it| it == "json") => read_json(&text),
            Ok(text) => read_yaml(&text),
            Err(error) => {
                self.version = None;
                Err(error.to_string())
            }
        };
        match groups {
            Ok(mut groups) => {
                for group in &mut groups {
                    let shown = path.display().to_string();
                    group.labels.insert("__meta_filepath".into(), shown);
                }
                self.groups = groups;
                self.error = None;
            }
            Err(error) => self.error = Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use globset::Glob;

    use super::*;

    fn discovery(directory: &Path) -> Discovery {
        let pattern = FilePattern {
            directory: directory.to_owned(),
            name: Glob::new("*.{json,yml}").unwrap().compile_matcher(),
        };
        Discovery::new(Vec::new(), vec![pattern], &[], 1000)
    }

    async fn targets(discovery: &mut Discovery) -> (Vec<String>, Vec<String>) {
        let (groups, errors) = discovery.update(MonoMillis(0)).await;
        let targets = groups.into_iter().flat_map(|group| group.targets);
        (targets.collect(), errors)
    }

    #[tokio::test]
    async fn files_are_read_again_when_they_change_and_an_invalid_one_keeps_its_targets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        fs::write(&path, r#"[{"targets": ["a:1", "b\/:1"], "more": 1}]"#).unwrap();
        fs::write(
            folder.path().join("b.yml"),
            "- targets: ['${c}:1']\n  labels: {x: '1'}\n",
        )
        .unwrap();
        let mut discovery = discovery(folder.path());
        let (found, errors) = targets(&mut discovery).await;
        assert_eq!(found, ["a:1", "b/:1", "${c}:1"]);
        assert_eq!(errors, [""; 0]);

        fs::write(&path, "[{]").unwrap();
        let (found, errors) = targets(&mut discovery).await;
        assert_eq!(found, ["a:1", "b/:1", "${c}:1"]);
        let start = format!("{}: not a list of targets: ", path.display());
        assert!(errors[0].starts_with(&start), "{errors:?}");
        let (_, again) = targets(&mut discovery).await;
        assert_eq!(again, errors, "an error stays until the file changes");

        fs::remove_file(&path).unwrap();
        let (found, errors) = targets(&mut discovery).await;
        assert_eq!(
            (found.as_slice(), errors.len()),
            (&["${c}:1".to_owned()][..], 0)
        );
    }

    #[tokio::test]
    async fn an_invalid_yaml_file_is_reported_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("a.yml"),
            "- targets: [a]\n  lables: {}\n",
        )
        .unwrap();
        let (_, errors) = targets(&mut discovery(folder.path())).await;
        assert!(errors[0].contains("a.yml: 2:3: "), "{errors:?}");
        assert!(errors[0].contains("labels"), "{errors:?}");
    }

    #[test]
    fn records_become_targets() {
        let srv = RecordData::Srv {
            port: 9100,
            target: "a.example.org".into(),
        };
        let found = group("_x._tcp.example.org", RecordType::Srv, None, &srv).unwrap();
        assert_eq!(found.targets, ["a.example.org:9100"]);
        assert_eq!(
            found.labels["__meta_dns_srv_record_target"],
            "a.example.org."
        );
        let address = RecordData::Address("::1".parse().unwrap());
        let found = group("h", RecordType::Aaaa, Some(1), &address).unwrap();
        assert_eq!(found.targets, ["[::1]:1"]);
        assert_eq!(group("h", RecordType::A, Some(1), &address), None);
        let alias = RecordData::Name("other".into());
        assert_eq!(group("h", RecordType::A, Some(1), &alias), None);
    }
}

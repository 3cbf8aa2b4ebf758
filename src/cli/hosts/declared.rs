//! Host files in YAML, with settings for each host.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bellwether_schema::{
    Decode, DecodeContext, Diagnostic, Diagnostics, Environment, Node, Shape, SourceLocation,
    Spanned, Value, YamlError, parse, section,
};

use super::file::{ADDRESS_HINT, Credentials, Host, Hosts, MAX_HOSTS};

section! {
    /// Hosts that commands can connect to.
    pub struct HostsFile {
        /// Settings of all hosts that do not have their own.
        pub defaults: Credentialed = Credentialed::default(),
        /// Hosts: names, addresses, or mappings with settings.
        pub hosts: Vec<Entry> = Vec::new(),
    }
}

section! {
    /// Credentials for one host or for all.
    pub struct Credentialed {
        /// File with the token for requests that change state.
        pub token_file: Option<PathBuf> = None,
        /// User name for basic authentication.
        pub user: Option<String> = None,
        /// File with the password of `user`.
        pub password_file: Option<PathBuf> = None,
        /// Certificates to trust.
        pub ca_file: Option<PathBuf> = None,
    }
}

section! {
    /// One host.
    pub struct HostSettings {
        /// Name of the host in the output.
        pub name: Spanned<String>,
        /// Address. Default: the name.
        pub url: Option<Spanned<String>>,
        /// Groups for `--group`.
        pub groups: Vec<String> = Vec::new(),
        /// Its own credentials.
        #[serde(flatten)]
        pub credentials: Credentialed = Credentialed::default(),
    }
}

/// A host: its name alone, or a mapping.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Entry(HostSettings);

impl Decode for Entry {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let settings = match node.value {
            Value::Map(_) => HostSettings::decode(node, cx)?,
            _ => HostSettings {
                name: Spanned::decode(node, cx)?,
                url: None,
                groups: Vec::new(),
                credentials: Credentialed::default(),
            },
        };
        Some(Self(settings))
    }

    fn shape() -> Shape {
        HostSettings::shape()
    }
}

/// Reads a file; paths in it are relative to `folder`.
///
/// # Errors
/// Every problem of the file.
pub(super) fn read(
    text: &str,
    folder: &Path,
    environment: Environment<'_>,
) -> Result<Hosts, Vec<Diagnostic>> {
    let mut problems = Diagnostics::default();
    let file = match parse(text) {
        Ok(node) => HostsFile::decode(&node, &mut DecodeContext::new(&mut problems, environment)),
        Err(YamlError { at: pos, message }) => {
            let at = SourceLocation {
                pos,
                ..SourceLocation::default()
            };
            problems.error(&at, message);
            None
        }
    };
    let file = file.unwrap_or_default();
    let mut hosts = Vec::new();
    let mut names = BTreeMap::new();
    for Entry(settings) in file.hosts.iter().take(MAX_HOSTS) {
        let Spanned { value: name, at } = &settings.name;
        if let Some(first) = names.insert(name.clone(), at.clone()) {
            problems.error(
                at,
                format!("{name:?} is also the host of {}", first.words()),
            );
        }
        hosts.extend(host(settings, &file.defaults, folder, &mut problems));
    }
    if let Some(Entry(settings)) = file.hosts.get(MAX_HOSTS) {
        problems.error(&settings.name.at, format!("more than {MAX_HOSTS} hosts"));
    }
    if !problems.is_empty() {
        return Err(problems.into_sorted());
    }
    let groups = hosts
        .iter()
        .flat_map(|host: &Host| host.groups.iter().cloned())
        .collect();
    Ok(Hosts { hosts, groups })
}

fn host(
    settings: &HostSettings,
    defaults: &Credentialed,
    folder: &Path,
    problems: &mut Diagnostics,
) -> Option<Host> {
    let HostSettings {
        name,
        url,
        groups,
        credentials: own,
    } = settings;
    let (address, at) = match url {
        Some(url) => (&url.value, &url.at),
        None => (&name.value, &name.at),
    };
    let mut host = match Host::new(&name.value, address) {
        Ok(host) => host,
        Err(error) => {
            problems.error(at, error).hint(ADDRESS_HINT);
            return None;
        }
    };
    let path = |own: &Option<PathBuf>, default: &Option<PathBuf>| {
        let path = own.as_ref().or(default.as_ref())?;
        Some(folder.join(path))
    };
    // The password of all is not that of a host's own user.
    let password_file = defaults
        .password_file
        .clone()
        .filter(|_| own.user.is_none());
    host.credentials = Credentials {
        token_file: path(&own.token_file, &defaults.token_file),
        ca_file: path(&own.ca_file, &defaults.ca_file),
        user: own.user.clone().or_else(|| defaults.user.clone()),
        password_file: path(&own.password_file, &password_file),
    };
    if host.credentials.user.is_some() != host.credentials.password_file.is_some() {
        problems
            .error(&name.at, "`user` and `password_file` belong together")
            .hint("set both, or neither");
    }
    host.groups = groups.iter().cloned().collect::<BTreeSet<_>>();
    Some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Hosts, String> {
        let home = |name: &str| (name == "HOME").then(|| "/home/eva".into());
        read(text, Path::new("/etc/hosts.d"), &home).map_err(|problems| {
            let lines = problems.iter().map(ToString::to_string);
            lines.collect::<Vec<_>>().join("\n")
        })
    }

    #[test]
    fn a_host_is_a_name_or_has_settings() {
        let hosts = read_text(
            "defaults: {user: ops, password_file: password, ca_file: ~/ca.pem}\n\
             hosts:\n- db1\n- 10.0.0.2:9391\n- name: web1\n  url: https://web1.example.com:9091\n  groups: [web, eu]\n  \
             user: eva\n  password_file: /etc/eva\n  token_file: token\n",
        )
        .unwrap();
        let [db1, db2, web1] = hosts.hosts.as_slice() else {
            panic!("{hosts:?}")
        };
        assert_eq!((&*db1.name, &*db1.address), ("db1", "db1"));
        assert_eq!(db2.address, "10.0.0.2:9391");
        assert_eq!(web1.address, "https://web1.example.com:9091");
        assert_eq!(
            db1.credentials.password_file.as_deref(),
            Some(Path::new("/etc/hosts.d/password"))
        );
        assert_eq!(
            db1.credentials.ca_file.as_deref(),
            Some(Path::new("/home/eva/ca.pem"))
        );
        assert_eq!(web1.credentials.user.as_deref(), Some("eva"));
        assert_eq!(
            web1.credentials.password_file.as_deref(),
            Some(Path::new("/etc/eva"))
        );
        assert_eq!(
            web1.credentials.token_file.as_deref(),
            Some(Path::new("/etc/hosts.d/token"))
        );
        assert!(web1.groups.contains("eu") && hosts.groups.contains("web"));
    }

    #[test]
    fn every_problem_is_reported_with_its_line() {
        assert_eq!(read_text("").unwrap().hosts, [], "empty");
        assert_eq!(
            read_text("hosts:\n- db1\n- {name: db1}\n- {url: db2}\n- {name: a b}\n- {name: c, user: x}\n- {name: d, ulr: e}\n")
                .unwrap_err(),
            "3:10: hosts[1].name: \"db1\" is also the host of line 2\n\
             4:3: hosts[2]: missing key \"name\"\n\
             5:10: hosts[3].name: not an address of a host: \"a b\"\n  hint: db1, db1:9091 or https://db1:9091\n\
             6:10: hosts[4].name: `user` and `password_file` belong together\n  hint: set both, or neither\n\
             7:13: hosts[5].ulr: unknown key \"ulr\"\n  hint: did you mean \"url\"?"
        );
        let others = "defaults: {user: ops, password_file: p}\nhosts: [{name: c, user: x}]";
        assert!(
            read_text(others).unwrap_err().contains("belong together"),
            "the password of another user"
        );
        assert!(read_text("hosts: [").is_err());
        assert!(
            read_text("- db1")
                .unwrap_err()
                .contains("expected a mapping")
        );
        let many: String = (0..=MAX_HOSTS).map(|host| format!("- h{host}\n")).collect();
        let error = read_text(&format!("hosts:\n{many}")).unwrap_err();
        assert!(error.ends_with("more than 10000 hosts"), "{error}");
    }
}

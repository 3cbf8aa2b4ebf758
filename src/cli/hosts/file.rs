//! Files of hosts, and the hosts in them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use bellwether_files as files;
use bellwether_schema::did_you_mean;
use reqwest::Url;

use super::{declared, inventory};
use crate::cli::asking::printable;
use crate::cli::process_environment;

/// Maximum number of hosts.
pub(super) const MAX_HOSTS: usize = 10_000;
/// Port of a host that is named without one.
const PORT: u16 = 9091;
/// Group of all hosts.
const ALL: &str = "all";
/// Addresses as they can be written.
pub(super) const ADDRESS_HINT: &str = "db1, db1:9091 or https://db1:9091";

/// Files with what a host asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::cli) struct Credentials {
    pub(in crate::cli) token_file: Option<PathBuf>,
    pub(in crate::cli) user: Option<String>,
    pub(in crate::cli) password_file: Option<PathBuf>,
    pub(in crate::cli) ca_file: Option<PathBuf>,
}

/// One host of a file.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli) struct Host {
    /// Name in the output.
    pub(in crate::cli) name: String,
    /// Name, address or URL.
    pub(super) address: String,
    pub(in crate::cli) credentials: Credentials,
    pub(super) groups: BTreeSet<String>,
    /// True if the address is not given but for the name.
    pub(super) is_named_only: bool,
}

impl Host {
    /// Creates a host without settings.
    ///
    /// # Errors
    /// `address` is no address.
    pub(super) fn new(name: &str, address: &str) -> Result<Self, String> {
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
    pub(in crate::cli) fn url(&self, scheme: &str) -> String {
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
pub(super) struct Hosts {
    pub(super) hosts: Vec<Host>,
    pub(super) groups: BTreeSet<String>,
}

impl Hosts {
    /// Returns the hosts of some groups, or all without any.
    pub(super) fn choose(self, groups: &[String]) -> anyhow::Result<Vec<Host>> {
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
pub(super) fn read(path: &Path) -> anyhow::Result<Hosts> {
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
pub(super) fn own() -> anyhow::Result<PathBuf> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Host {
        Host::new(name, name).unwrap()
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
    fn the_examples_of_the_docs_are_read() {
        let page = include_str!("../../../docs/command-line.md");
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

//! Host files with one host per line and groups in brackets, as an inventory of Ansible in INI format.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use super::file::{ADDRESS_HINT, Host, Hosts, MAX_HOSTS};

/// Part of the file that a line belongs to.
enum Part {
    Hosts(Option<String>),
    Children(String),
    /// Variables, which only Ansible reads.
    Variables,
}

/// Reads the lines of a file.
///
/// # Errors
/// One message for each bad line, with the number of the line.
pub(super) fn read(text: &str) -> Result<Hosts, Vec<(usize, String)>> {
    let mut reader = Reader::default();
    let mut part = Part::Hosts(None);
    let lines = text.trim_start_matches('\u{feff}').lines();
    for (number, line) in (1..).zip(lines) {
        let line = without_comment(line);
        let read = match section(line) {
            _ if line.is_empty() => Ok(()),
            Some(section) => reader.begin(section).map(|begun| part = begun),
            None => reader.line(line, &part),
        };
        if let Err(error) = read {
            reader.errors.push((number, error));
        }
    }
    reader.finish()
}

fn without_comment(line: &str) -> &str {
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return "";
    }
    match line.find(" #").or_else(|| line.find("\t#")) {
        Some(comment) => line[..comment].trim_end(),
        None => line,
    }
}

/// Returns the content of the brackets around a line, unless it is an IPv6 address.
fn section(line: &str) -> Option<&str> {
    let inner = line.strip_prefix('[')?.strip_suffix(']')?;
    inner.parse::<Ipv6Addr>().is_err().then_some(inner)
}

#[derive(Default)]
struct Reader {
    hosts: Vec<Host>,
    index: BTreeMap<String, usize>,
    groups: BTreeSet<String>,
    /// Groups within each group.
    children: BTreeMap<String, BTreeSet<String>>,
    errors: Vec<(usize, String)>,
}

impl Reader {
    fn begin(&mut self, section: &str) -> Result<Part, String> {
        let (group, kind) = match section.rsplit_once(':') {
            Some((group, kind)) => (group.trim(), Some(kind.trim())),
            None => (section.trim(), None),
        };
        if group.is_empty() || group.contains(|c: char| c.is_whitespace() || "[]:".contains(c)) {
            return Err(format!(
                "not the name of a group: {group:?}; hint: [database]"
            ));
        }
        let part = match kind {
            None => Part::Hosts(Some(group.to_owned())),
            Some("children") => Part::Children(group.to_owned()),
            Some("vars") => Part::Variables,
            Some(kind) => {
                return Err(format!(
                    "not a kind of section: {kind:?}; hint: [{group}], [{group}:children] or [{group}:vars]"
                ));
            }
        };
        self.groups.insert(group.to_owned());
        Ok(part)
    }

    fn line(&mut self, line: &str, part: &Part) -> Result<(), String> {
        match part {
            Part::Variables => Ok(()),
            Part::Children(group) => {
                let children = self.children.entry(group.clone()).or_default();
                children.insert(line.to_owned());
                self.groups.insert(line.to_owned());
                Ok(())
            }
            Part::Hosts(group) => self.host(line, group.as_deref()),
        }
    }

    fn host(&mut self, line: &str, group: Option<&str>) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        let mut address = None;
        for word in words {
            match word.split_once('=') {
                Some(("ansible_host", host)) => address = Some(host.trim_matches(['"', '\''])),
                Some(_) => {}
                None => return Err(format!("one host per line, found also {word:?}")),
            }
        }
        let mut names = Vec::new();
        expand(name, &mut names)?;
        if address.is_some() && names.len() > 1 {
            return Err("several hosts have one ansible_host".to_owned());
        }
        for name in names {
            let index = self.add(&name, address)?;
            self.hosts[index].groups.extend(group.map(str::to_owned));
        }
        Ok(())
    }

    /// Returns the index of the host, which is new or known from another group.
    fn add(&mut self, name: &str, address: Option<&str>) -> Result<usize, String> {
        let host = Host::new(name, address.unwrap_or(name))
            .map_err(|error| format!("{error}; hint: {ADDRESS_HINT}"))?;
        if let Some(&index) = self.index.get(&host.name) {
            let known = &mut self.hosts[index];
            match address {
                Some(_) if known.is_named_only => {
                    *known = Host {
                        groups: std::mem::take(&mut known.groups),
                        ..host
                    }
                }
                Some(_) if known.address != host.address => {
                    return Err(format!("{name} has another address above"));
                }
                _ => {}
            }
            return Ok(index);
        }
        if self.hosts.len() == MAX_HOSTS {
            return Err(format!("more than {MAX_HOSTS} hosts"));
        }
        let mut host = host;
        host.is_named_only = address.is_none();
        let index = self.hosts.len();
        self.index.insert(host.name.clone(), index);
        self.hosts.push(host);
        Ok(index)
    }

    fn finish(mut self) -> Result<Hosts, Vec<(usize, String)>> {
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let mut parents: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (parent, children) in &self.children {
            for child in children {
                parents.entry(child).or_default().push(parent);
            }
        }
        for host in &mut self.hosts {
            // A group is looked at once, also where groups contain each other.
            let mut open: Vec<String> = host.groups.iter().cloned().collect();
            while let Some(group) = open.pop() {
                for parent in parents.get(&*group).into_iter().flatten() {
                    if host.groups.insert((*parent).to_owned()) {
                        open.push((*parent).to_owned());
                    }
                }
            }
        }
        Ok(Hosts {
            hosts: self.hosts,
            groups: self.groups,
        })
    }
}

/// Adds the names of a pattern: `db[01:40].example.com` has forty, `web-[a:c]` three.
fn expand(pattern: &str, names: &mut Vec<String>) -> Result<(), String> {
    let range = pattern.find('[').and_then(|open| {
        let close = open + pattern[open..].find(']')?;
        Some((
            &pattern[..open],
            &pattern[open + 1..close],
            &pattern[close + 1..],
        ))
    });
    let Some((before, range, after)) =
        range.filter(|(_, inner, _)| inner.parse::<Ipv6Addr>().is_err())
    else {
        names.push(pattern.to_owned());
        return Ok(());
    };
    for middle in members(range)? {
        if names.len() >= MAX_HOSTS {
            return Err(format!("more than {MAX_HOSTS} hosts"));
        }
        expand(&format!("{before}{middle}{after}"), names)?;
    }
    Ok(())
}

fn members(range: &str) -> Result<Vec<String>, String> {
    let invalid = || format!("not a range: [{range}]; hint: [01:40] or [a:f]");
    let (from, to) = range.split_once(':').ok_or_else(invalid)?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number(from) && is_number(to) {
        let (first, last): (u64, u64) = (
            from.parse().map_err(|_| invalid())?,
            to.parse().map_err(|_| invalid())?,
        );
        if first > last {
            return Err(invalid());
        }
        if last - first >= MAX_HOSTS as u64 {
            return Err(format!("more than {MAX_HOSTS} hosts in [{range}]"));
        }
        // Leading zeros are kept: 01 to 40.
        let width = from.len();
        return Ok((first..=last)
            .map(|number| format!("{number:0width$}"))
            .collect());
    }
    match (from.as_bytes(), to.as_bytes()) {
        ([first], [last])
            if first.is_ascii_alphabetic() && last.is_ascii_alphabetic() && first <= last =>
        {
            Ok((*first..=*last)
                .map(|letter| char::from(letter).to_string())
                .collect())
        }
        _ => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(hosts: &Hosts, groups: &[&str]) -> Vec<String> {
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        let chosen = hosts.clone().choose(&groups).unwrap();
        chosen.into_iter().map(|host| host.name).collect()
    }

    fn errors(text: &str) -> String {
        let errors = read(text).err().unwrap_or_default();
        let lines = errors
            .iter()
            .map(|(line, error)| format!("{line}: {error}"));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn an_inventory_has_hosts_groups_and_groups_of_groups() {
        let hosts = read(
            "\u{feff}# all of them\nbastion\n\n[web]\nweb[1:3]\n; no\n[db] # the databases\n  db01 ansible_host=10.0.0.1 ansible_user=root\n\
             https://db2.example.com:9391/  # by proxy\nweb2\n[eu:children]\ndb\nmixed\n[mixed:children]\neu\n[db:vars]\nx y z\n",
        )
        .unwrap();
        assert_eq!(
            names(&hosts, &[]),
            [
                "bastion",
                "web1",
                "web2",
                "web3",
                "db01",
                "https://db2.example.com:9391"
            ]
        );
        assert_eq!(
            names(&hosts, &["db"]),
            ["web2", "db01", "https://db2.example.com:9391"]
        );
        assert_eq!(names(&hosts, &["eu"]), names(&hosts, &["db"]));
        assert_eq!(names(&hosts, &["db", "web"]), names(&hosts, &["all"])[1..]);
        let addresses: Vec<&str> = hosts.hosts.iter().map(|host| &*host.address).collect();
        assert_eq!(addresses[0], "bastion");
        assert_eq!(addresses[4], "10.0.0.1");
    }

    #[test]
    fn ranges_keep_their_zeros() {
        let hosts = read("db[08:11].x\n[::1]:9391\nrack-[a:b][0:1]\n[::2]\n").unwrap();
        assert_eq!(
            names(&hosts, &[]),
            [
                "db08.x",
                "db09.x",
                "db10.x",
                "db11.x",
                "[::1]:9391",
                "rack-a0",
                "rack-a1",
                "rack-b0",
                "rack-b1",
                "[::2]"
            ]
        );
    }

    #[test]
    fn every_bad_line_is_named() {
        assert_eq!(errors("a\na\n"), "", "twice is no error");
        assert_eq!(
            errors("a b\n[]\n[x:y]\ndb[3:1]\ndb[1:]\nok\ndb[0:99999999999]\nftp://x\n"),
            "1: one host per line, found also \"b\"\n\
             2: not the name of a group: \"\"; hint: [database]\n\
             3: not a kind of section: \"y\"; hint: [x], [x:children] or [x:vars]\n\
             4: not a range: [3:1]; hint: [01:40] or [a:f]\n\
             5: not a range: [1:]; hint: [01:40] or [a:f]\n\
             7: more than 10000 hosts in [0:99999999999]\n\
             8: not an address of a host: \"ftp://x\"; hint: db1, db1:9091 or https://db1:9091"
        );
        assert_eq!(
            errors("a ansible_host=1.1.1.1\na ansible_host=1.1.1.2"),
            "2: a has another address above"
        );
    }

    #[test]
    fn a_huge_file_ends_at_the_limit() {
        let bomb = errors("[x]\nh[0:9999][0:9999][0:9999][0:9999]\n");
        assert_eq!(bomb, "2: more than 10000 hosts");
        let many: String = (0..=MAX_HOSTS).map(|host| format!("h{host}\n")).collect();
        assert_eq!(
            errors(&many),
            format!("{}: more than 10000 hosts", MAX_HOSTS + 1)
        );
        let depth: String = (0..5000)
            .map(|group| format!("[g{group}:children]\ng{}\n", group + 1))
            .collect();
        let hosts = read(&format!("[g5000]\na\n{depth}")).unwrap();
        assert_eq!(names(&hosts, &["g0"]), ["a"]);
    }
}

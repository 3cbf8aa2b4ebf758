//! Assigns processes to groups: selectors, and names with placeholders.

use std::path::Path;

use bellwether_collector::Globs;
use bellwether_collector::placeholders::{Template, TemplateError};
use bellwether_matcher::Pattern;

use super::parse;
use super::proc_directory::ProcDirectory;

/// Properties of a process that selectors and names are about. Those that no group needs are empty.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) comm: String,
    /// Path of the program.
    pub(super) exe: String,
    pub(super) cmdline: String,
    pub(super) user: String,
    /// Number of the user.
    pub(super) user_id: String,
    pub(super) cgroups: Vec<String>,
    pub(super) unit: String,
}

/// Facts that the groups need.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Needs {
    pub(super) exe: bool,
    pub(super) cmdline: bool,
    pub(super) user: bool,
    pub(super) cgroup: bool,
}

/// A group, or several if its name has placeholders.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    pub(super) name: Name,
    pub(super) comm: Option<Globs>,
    pub(super) exe: Option<Globs>,
    /// All must match.
    pub(super) cmdline: Vec<Pattern>,
    pub(super) user: Option<Globs>,
    pub(super) cgroup: Option<Globs>,
    pub(super) unit: Option<Globs>,
}

/// Name of a group. Its placeholders are the facts, and behind them the named capture groups of `cmdline`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Name {
    template: Template,
    captures: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fact {
    Comm,
    Exe,
    ExePath,
    User,
    Cgroup,
    Unit,
}

const FACTS: [(&str, Fact); 6] = [
    ("comm", Fact::Comm),
    ("exe", Fact::Exe),
    ("exe_path", Fact::ExePath),
    ("user", Fact::User),
    ("cgroup", Fact::Cgroup),
    ("unit", Fact::Unit),
];

impl Name {
    /// Parses a name; `captures` are the named capture groups.
    pub(super) fn parse(text: &str, captures: &[String]) -> Result<Self, TemplateError> {
        let names = || {
            let facts = FACTS.iter().map(|(name, _)| *name);
            facts.chain(captures.iter().map(String::as_str))
        };
        let template = Template::parse(text, |word| {
            let index = names().position(|name| name == word);
            index.ok_or_else(|| TemplateError::unknown(word, names()))
        })?;
        match template.as_fixed() {
            Some("") => Err(TemplateError {
                message: "an empty name".to_owned(),
                hint: "it becomes the label groupname".to_owned(),
            }),
            _ => Ok(Self {
                template,
                captures: captures.to_vec(),
            }),
        }
    }

    /// Returns the name, if it has no placeholder.
    pub(super) fn fixed(&self) -> Option<&str> {
        self.template.as_fixed()
    }

    fn has(&self, wanted: &[Fact]) -> bool {
        let mut facts = self.template.values().filter_map(|index| FACTS.get(index));
        facts.any(|(_, fact)| wanted.contains(fact))
    }

    fn render(&self, facts: &Facts, cmdline: &[Pattern]) -> String {
        let mut name = String::new();
        self.template
            .render(&mut name, |index| match FACTS.get(index) {
                Some((_, fact)) => facts.text(*fact),
                None => capture(&self.captures[index - FACTS.len()], facts, cmdline),
            });
        name
    }
}

/// Returns the text of a capture group in the command line; empty if there is none.
fn capture<'a>(name: &str, facts: &'a Facts, cmdline: &[Pattern]) -> &'a str {
    let found = cmdline.iter().find_map(|pattern| {
        let captures = pattern.captures(&facts.cmdline)?;
        let text = captures.named(name);
        (!text.is_empty()).then_some(text)
    });
    found.unwrap_or_default()
}

impl Selector {
    /// Returns the name of the group, if the process belongs to it.
    pub(super) fn group(&self, facts: &Facts) -> Option<String> {
        let program = facts.program();
        let matches = |globs: &Option<Globs>, texts: &[&str]| {
            globs
                .as_ref()
                .is_none_or(|globs| texts.iter().any(|text| globs.matches(text)))
        };
        let cgroups: Vec<&str> = facts.cgroups.iter().map(String::as_str).collect();
        let is_member = matches(&self.comm, &[&facts.comm])
            && matches(&self.exe, &[program, file_name(program)])
            && matches(&self.user, &[&facts.user, &facts.user_id])
            && matches(&self.cgroup, &cgroups)
            && matches(&self.unit, &[&facts.unit])
            && self
                .cmdline
                .iter()
                .all(|pattern| pattern.is_match(&facts.cmdline));
        // An empty name is none: a placeholder of which the process has nothing.
        is_member
            .then(|| self.name.render(facts, &self.cmdline))
            .filter(|name| !name.is_empty())
    }
}

impl Facts {
    fn text(&self, fact: Fact) -> &str {
        match fact {
            Fact::Comm => &self.comm,
            Fact::Exe => file_name(self.program()),
            Fact::ExePath => self.program(),
            Fact::User => &self.user,
            Fact::Cgroup => self.cgroups.first().map_or("", String::as_str),
            Fact::Unit => &self.unit,
        }
    }

    /// Returns the path of the program; for a process whose link may not be read, the first argument.
    fn program(&self) -> &str {
        match self.exe.is_empty() {
            true => self.cmdline.split(' ').next().unwrap_or_default(),
            false => &self.exe,
        }
    }

    /// Reads what `needs` says. What cannot be read is empty.
    pub(super) fn read(
        comm: &[u8],
        pid: u32,
        needs: Needs,
        directory: &mut ProcDirectory,
        passwd: &str,
    ) -> Self {
        let mut facts = Self {
            comm: String::from_utf8_lossy(comm).into_owned(),
            ..Self::default()
        };
        if needs.exe {
            facts.exe = directory.program(pid).unwrap_or_default();
        }
        if needs.cmdline || (needs.exe && facts.exe.is_empty()) {
            let arguments = directory.read(pid, "cmdline").unwrap_or_default();
            facts.cmdline = parse::command_line(arguments);
        }
        if needs.user
            && let Ok(text) = directory.read(pid, "status")
        {
            let id = parse::status(text).user;
            facts.user = parse::user_name(passwd, id);
            facts.user_id = id.to_string();
        }
        if needs.cgroup
            && let Ok(text) = directory.read(pid, "cgroup")
        {
            let text = String::from_utf8_lossy(text);
            let paths = parse::cgroups(&text);
            let mut units = paths.iter().filter_map(|path| parse::unit(path));
            facts.unit = units.next().unwrap_or_default().to_owned();
            facts.cgroups = paths.into_iter().map(str::to_owned).collect();
        }
        facts
    }
}

impl Needs {
    pub(super) fn of(selectors: &[Selector]) -> Self {
        let any = |predicate: &dyn Fn(&Selector) -> bool| selectors.iter().any(predicate);
        Self {
            exe: any(&|selector| {
                selector.exe.is_some() || selector.name.has(&[Fact::Exe, Fact::ExePath])
            }),
            cmdline: any(&|selector| !selector.cmdline.is_empty()),
            user: any(&|selector| selector.user.is_some() || selector.name.has(&[Fact::User])),
            cgroup: any(&|selector| {
                selector.cgroup.is_some()
                    || selector.unit.is_some()
                    || selector.name.has(&[Fact::Cgroup, Fact::Unit])
            }),
        }
    }
}

/// Returns the names of the capture groups of a regular expression.
pub(super) fn capture_names(regex: &str) -> Vec<String> {
    let mut names = Vec::new();
    for opening in ["(?P<", "(?<"] {
        for behind in regex.split(opening).skip(1) {
            if let Some((name, _)) = behind.split_once('>')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            {
                names.push(name.to_owned());
            }
        }
    }
    names
}

fn file_name(path: &str) -> &str {
    let name = Path::new(path).file_name();
    name.and_then(|name| name.to_str()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(text: &str) -> Option<Globs> {
        Some(Globs::new(vec![text.to_owned()]).unwrap())
    }

    fn selector(name: &str) -> Selector {
        Selector {
            name: Name::parse(name, &["app".to_owned()]).unwrap(),
            comm: None,
            exe: None,
            cmdline: Vec::new(),
            user: None,
            cgroup: None,
            unit: None,
        }
    }

    fn facts() -> Facts {
        Facts {
            comm: "java".to_owned(),
            exe: "/opt/jdk/bin/java".to_owned(),
            cmdline: "java -Xmx1g -Dapp=shop -jar x.jar".to_owned(),
            user: "tomcat".to_owned(),
            user_id: "91".to_owned(),
            cgroups: vec!["/system.slice/shop.service".to_owned()],
            unit: "shop.service".to_owned(),
        }
    }

    #[test]
    fn all_selectors_of_a_group_must_match() {
        let group = |change: &dyn Fn(&mut Selector)| {
            let mut selector = selector("g");
            change(&mut selector);
            selector.group(&facts()).is_some()
        };
        assert!(group(&|s| s.comm = globs("j*")));
        assert!(!group(&|s| s.comm = globs("jav")));
        assert!(group(&|s| s.exe = globs("java")));
        assert!(group(&|s| s.exe = globs("/opt/*/java")));
        assert!(!group(&|s| s.exe = globs("/usr/bin/java")));
        assert!(group(&|s| s.user = globs("91")));
        assert!(group(&|s| s.unit = globs("shop.*")));
        assert!(!group(&|s| s.cgroup = globs("/user.slice/*")));
        assert!(!group(&|s| {
            s.unit = globs("shop.service");
            s.user = globs("root");
        }));
    }

    #[test]
    fn a_name_with_placeholders_is_a_group_per_value() {
        let mut selector = selector("{{user}}/{{ exe }}-{{ app }}");
        selector.cmdline = vec![Pattern::new(r"(?:.*?)(?:-Dapp=(?P<app>\w+))(?:.*)").unwrap()];
        assert_eq!(
            selector.group(&facts()).as_deref(),
            Some("tomcat/java-shop")
        );
        let mut without = facts();
        without.cmdline = "java -jar".to_owned();
        assert_eq!(selector.group(&without), None);
        without.unit = String::new();
        let unit = Selector {
            name: Name::parse("{{ unit }}", &[]).unwrap(),
            cmdline: Vec::new(),
            ..selector
        };
        assert_eq!(unit.group(&without), None, "no unit, no group");
    }

    #[test]
    fn a_wrong_placeholder_is_an_error_with_all_right_ones() {
        let error = Name::parse("{{ name }}", &["app".to_owned()]).unwrap_err();
        assert_eq!(error.message, "unknown placeholder \"name\"");
        assert_eq!(
            error.hint,
            "one of comm, exe, exe_path, user, cgroup, unit, app"
        );
        assert!(Name::parse("a{{ comm", &[]).is_err());
        assert!(Name::parse("", &[]).is_err());
        assert_eq!(Name::parse("x", &[]).unwrap().fixed(), Some("x"));
        assert_eq!(
            capture_names(r"(?P<a>x)(?<b>y)(?<=z)(?:q)"),
            ["a", "b"],
            "no look-behind"
        );
    }

    #[test]
    fn the_first_argument_stands_for_a_program_that_cannot_be_read() {
        let mut selector = selector("{{ exe_path }}");
        selector.exe = globs("nginx");
        let facts = Facts {
            cmdline: "/usr/sbin/nginx -g x".to_owned(),
            ..Facts::default()
        };
        assert_eq!(selector.group(&facts).as_deref(), Some("/usr/sbin/nginx"));
    }
}

//! Groups of processes, under the metric names of process-exporter.

mod families;
mod groups;
pub(crate) mod parse;
mod proc_directory;
mod scan;

use bellwether_collector::Blocking;
use bellwether_collector::Globs;
use bellwether_collector::within;
use bellwether_collector::{Build, EntryContext, EntryType};
use bellwether_schema::{Literal, Spanned, section, string_enum};
use groups::{Name, Selector, capture_names};
use scan::{Plan, Scan};

use crate::cgroup::warn_of_relative;

string_enum! {
    /// Figures of a group of processes.
    pub enum Figure {
        /// User and system time.
        Cpu = "cpu",
        /// Resident, virtual and swapped memory.
        Memory = "memory",
        /// Proportional memory: pages that processes share are divided among them. Slow for large processes.
        Pss = "pss",
        /// Bytes read from and written to storage.
        Io = "io",
        /// Open file descriptors, and the worst ratio to their limit.
        Descriptors = "descriptors",
        /// Number of threads.
        Threads = "threads",
        /// Start of the oldest process.
        StartTime = "start_time",
        /// Processes by state.
        States = "states",
        /// Context switches of all threads. Slow for processes with many threads.
        ContextSwitches = "context_switches",
        /// Major and minor page faults.
        PageFaults = "page_faults",
    }
}

section! {
    /// Collector of type `process`: groups of processes, under the metric names of process-exporter
    /// (`namedprocess_namegroup_*`). Counters begin at 0 at the start of Bellwether, and do not fall when a process
    /// ends.
    pub struct Process {
        /// Groups. A process belongs to the first one that matches.
        pub groups: Vec<ProcessGroup> = Vec::new(),
        /// If true, a process that matches no group belongs to that of its nearest ancestor with one, as in
        /// process-exporter.
        pub children: bool = true,
        /// Figures to collect. All except `pss` by default.
        pub figures: Vec<Figure> = vec![
            Figure::Cpu,
            Figure::Memory,
            Figure::Io,
            Figure::Descriptors,
            Figure::Threads,
            Figure::StartTime,
            Figure::States,
            Figure::ContextSwitches,
            Figure::PageFaults,
        ],
        /// Number of process names with the most CPU time and with the most memory that are collected as
        /// `namedprocess_top_cpu_usage_ratio` and `namedprocess_top_resident_memory_bytes`.
        pub top: usize = 0,
        /// Maximum number of groups, for names with placeholders. Processes of further ones are left out.
        pub max_groups: usize = 500,
    }
}

section! {
    /// Group of processes. A process belongs to it if all selectors match that are set.
    pub struct ProcessGroup {
        /// Value of the label `groupname`. With placeholders there is a group per value: `{{ comm }}`, `{{ exe }}` (file
        /// name of the program), `{{ exe_path }}`, `{{ user }}`, `{{ unit }}`, `{{ cgroup }}`, and the named capture groups
        /// of `cmdline`. A group without placeholders is 0 while it has no process.
        pub name: Spanned<String>,
        /// Glob or globs for the name of the process, which the kernel cuts to 15 bytes.
        pub comm: Option<Spanned<Globs>>,
        /// Glob or globs for the path of the program, or for its file name.
        pub exe: Option<Globs>,
        /// Regular expressions that must all match somewhere in the command line, whose arguments have one blank
        /// between them.
        pub cmdline: Vec<Spanned<Literal>> = Vec::new(),
        /// Glob or globs for the effective user: its name in `/etc/passwd`, or its number.
        pub user: Option<Globs>,
        /// Glob or globs for a path in `/proc/PID/cgroup`.
        pub cgroup: Option<Spanned<Globs>>,
        /// Glob or globs for the systemd unit, such as `ssh.service`.
        pub unit: Option<Globs>,
    }
}

/// Bytes of a process's name that the kernel keeps.
const COMM_LENGTH: usize = 15;

impl EntryType for Process {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        if self.groups.is_empty()
            && self.top == 0
            && !context.has_error("groups")
            && !context.has_error("top")
        {
            context
                .problems
                .error(context.at, "no groups")
                .hint("set `groups: [{name: ssh, comm: sshd}]`, for example, or `top: 10`");
        }
        let selectors: Option<Vec<Selector>> = self
            .groups
            .iter()
            .map(|group| group.selector(context))
            .collect();
        let named = self.groups.len();
        if self.max_groups < named {
            context
                .problems
                .error(
                    context.at,
                    format!(
                        "max_groups is {}, and there are {named} groups",
                        self.max_groups
                    ),
                )
                .hint("raise max_groups");
        }
        let host = context.host;
        let plan = Plan {
            procfs: host.procfs.clone(),
            passwd: host.rootfs.join("etc/passwd"),
            selectors: selectors?,
            children: self.children,
            figures: self.figures.clone(),
            top: self.top,
            max_groups: self.max_groups,
        };
        context.build(move |_| Blocking::new(Scan::new(plan.clone())))
    }
}

impl ProcessGroup {
    fn selector(&self, context: &mut EntryContext<'_>) -> Option<Selector> {
        let at = &self.name.at;
        let globs = [&self.exe, &self.user, &self.unit];
        if self.comm.is_none()
            && self.cgroup.is_none()
            && self.cmdline.is_empty()
            && globs.iter().all(|globs| globs.is_none())
        {
            context
                .problems
                .error(at, format!("no selector: group {:?}", self.name.value))
                .hint("set comm, exe, cmdline, user, cgroup or unit; `comm: \"*\"` takes all processes");
        }
        for comm in self.comm.iter().flat_map(|comm| {
            let patterns = comm.value.patterns().iter();
            patterns.map(|pattern| (&comm.at, pattern))
        }) {
            let (at, pattern) = comm;
            if pattern.len() > COMM_LENGTH && !pattern.contains(['*', '?', '[', '{', '\\']) {
                context
                    .problems
                    .error(
                        at,
                        format!("longer than the 15 bytes of a process's name: {pattern:?}"),
                    )
                    .hint(format!(
                        "write `comm: {}`, or use exe or cmdline",
                        cut(pattern)
                    ));
            }
        }
        if let Some(cgroup) = &self.cgroup {
            warn_of_relative(cgroup, context);
        }
        let mut captures = Vec::new();
        let mut patterns = Some(Vec::new());
        for regex in &self.cmdline {
            let source = &regex.value.0;
            captures.extend(capture_names(source));
            match within(source) {
                Ok(pattern) => {
                    if let Some(patterns) = &mut patterns {
                        patterns.push(pattern);
                    }
                }
                Err(error) => {
                    context.problems.error(&regex.at, error.to_string());
                    patterns = None;
                }
            }
        }
        let name = Name::parse(&self.name, &captures)
            .map_err(|error| context.problems.error(at, error.message).hint(error.hint))
            .ok();
        Some(Selector {
            name: name?,
            comm: self.comm.as_ref().map(|comm| comm.value.clone()),
            exe: self.exe.clone(),
            cmdline: patterns?,
            user: self.user.clone(),
            cgroup: self.cgroup.as_deref().cloned(),
            unit: self.unit.clone(),
        })
    }
}

/// Returns the part of a name that the kernel keeps.
fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(COMM_LENGTH)]
}

#[cfg(test)]
mod tests {
    use bellwether_collector::System;
    use bellwether_schema::{Decode, DecodeContext, Diagnostics, parse};

    use super::*;
    use bellwether_collector::testing::with_context;

    fn problems(yaml: &str) -> Vec<String> {
        let mut problems = Diagnostics::default();
        let mut context = DecodeContext::new(&mut problems, &|_| None);
        let settings = Process::decode(&parse(yaml).unwrap(), &mut context).unwrap();
        with_context(&System::default(), &mut problems, |context| {
            settings.resolve(context)
        });
        let problems = problems.into_sorted();
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_mistake_in_the_settings_is_named_with_its_correction() {
        assert_eq!(problems("groups: [{name: ssh, comm: sshd}]"), [""; 0]);
        assert_eq!(problems("top: 3"), [""; 0]);
        for (yaml, expected) in [
            ("{}", "no groups"),
            ("groups: {name: a, comm: b}", "expected a list"),
            ("groups: [{name: a}]", "no selector: group \"a\""),
            (
                "groups: [{name: a, comm: [x, systemd-resolved]}]",
                "hint: write `comm: systemd-resolve`",
            ),
            ("groups: [{name: a, cmdline: ['a)(b']}]", "1:30"),
            (
                "groups: [{name: '{{ coms }}', comm: a}]",
                "one of comm, exe, exe_path, user, cgroup, unit",
            ),
            (
                "{groups: [{name: a, comm: a}], max_groups: 0}",
                "max_groups is 0",
            ),
        ] {
            let found = problems(yaml);
            assert!(
                found.len() == 1 && found[0].contains(expected),
                "{yaml}: {found:?}"
            );
        }
        let names = "groups: [{name: '{{ app }}', cmdline: ['-Dapp=(?P<app>\\w+)']}]";
        assert_eq!(problems(names), [""; 0]);
    }
}

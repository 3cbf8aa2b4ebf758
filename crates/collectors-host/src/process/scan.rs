//! One look at all processes: which are there, what they took since the last look, and the sums of the groups.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bellwether_collector::Source;
use bellwether_core::{Failure, Kind, MonoMillis, Now, SeriesBatch};
use rustix::io::Errno;
use rustix::param::clock_ticks_per_second;

use super::Figure;
use super::families::{self, page_bytes, seconds};
use super::groups::{Facts, Needs, Selector};
use super::parse::{self, Comm, Stat};
use super::proc_directory::ProcDirectory;

/// Longest chain of parents that is followed.
const MAX_ANCESTORS: usize = 64;
/// Collections between two readings of the limit of open files.
const LIMIT_ROUNDS: u64 = 16;

/// Settings of the scans.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) procfs: PathBuf,
    pub(super) passwd: PathBuf,
    pub(super) selectors: Vec<Selector>,
    pub(super) children: bool,
    pub(super) figures: Vec<Figure>,
    pub(super) top: usize,
    pub(super) max_groups: usize,
}

/// All processes and groups, over the collections.
pub(super) struct Scan {
    plan: Plan,
    needs: Needs,
    round: u64,
    /// Time of the last collection.
    last: MonoMillis,
    /// The same, in clock ticks since the boot; `None`: unknown.
    last_ticks: Option<u64>,
    processes: HashMap<u32, Process>,
    groups: Vec<Group>,
    by_name: BTreeMap<String, usize>,
    /// Time of the boot, in seconds since 1970; `None`: not read yet.
    boot: Option<f64>,
    pids: Vec<u32>,
    unreadable: Unreadable,
    /// Processes whose group has no place among `max_groups`.
    left_out: usize,
}

/// Processes of which a file could not be read in the last collection, by its name.
type Unreadable = BTreeMap<&'static str, Errors>;

#[derive(Clone, Copy, Debug, Default)]
struct Errors {
    last: u64,
    total: u64,
}

#[derive(Debug)]
struct Process {
    stat: Stat,
    group: Option<usize>,
    /// Set if the group is that of an ancestor.
    is_inherited: bool,
    /// Set if it began since the last collection before the one that saw it first.
    is_new: bool,
    /// Number of the collection that saw it first, and last.
    first_round: u64,
    round: u64,
    counts: Counts,
    /// Bytes read and written; `None`: never readable.
    io: Option<(u64, u64)>,
    switches: Option<(u64, u64)>,
    /// Soft limit of open files; `None`: unlimited or unknown.
    open_files_limit: Option<u64>,
}

/// Totals of the file `stat`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counts {
    pub(super) user: u64,
    pub(super) system: u64,
    pub(super) minor_faults: u64,
    pub(super) major_faults: u64,
}

/// A group of processes.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) name: String,
    /// Set if it has its place whether there is a process or not.
    declared: bool,
    pub(super) totals: Totals,
    pub(super) now: Gauges,
}

/// Totals of a group, which do not fall when a process ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) counts: Counts,
    pub(super) io: (u64, u64),
    pub(super) switches: (u64, u64),
}

/// Sums over the processes of a group that there are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gauges {
    pub(super) processes: u64,
    pub(super) threads: u64,
    pub(super) resident_pages: u64,
    pub(super) virtual_bytes: u64,
    pub(super) swap_bytes: u64,
    pub(super) proportional: (u64, u64),
    pub(super) descriptors: u64,
    pub(super) worst_ratio: f64,
    /// Seconds since 1970.
    pub(super) oldest_start: Option<f64>,
    /// Running, sleeping, waiting, zombie and other.
    pub(super) states: [u64; 5],
}

/// Sums over the processes of one name, for the top.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    ticks: u64,
    resident_pages: u64,
}

impl Source for Scan {
    fn read(&mut self, now: Now, out: &mut SeriesBatch) -> Result<(), Failure> {
        self.run(now.mono, out).map_err(|error| {
            let procfs = self.plan.procfs.display();
            Failure::new("io", format!("{procfs}: {error}"))
        })
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let hint = match rustix::process::geteuid().is_root() {
            true => "",
            false => "; hint: run as root, or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
        };
        for (file, errors) in &self.unreadable {
            if errors.last > 0 {
                notes.push(format!(
                    "/proc/PID/{file} cannot be read for {} of {} processes{hint}",
                    errors.last,
                    self.processes.len()
                ));
            }
        }
        if self.left_out > 0 {
            notes.push(format!(
                "{} processes are left out, as there are {} groups; hint: raise max_groups, or give fewer names",
                self.left_out,
                self.groups.len()
            ));
        }
        notes
    }
}

impl Scan {
    pub(super) fn new(plan: Plan) -> Self {
        let mut scan = Self {
            needs: Needs::of(&plan.selectors),
            plan,
            round: 0,
            last: MonoMillis::default(),
            last_ticks: None,
            processes: HashMap::new(),
            groups: Vec::new(),
            by_name: BTreeMap::new(),
            boot: None,
            pids: Vec::new(),
            unreadable: Unreadable::new(),
            left_out: 0,
        };
        let selectors = scan.plan.selectors.clone();
        for name in selectors
            .iter()
            .filter_map(|selector| selector.name.fixed())
        {
            scan.add_group(name, true);
        }
        scan
    }

    /// Looks at all processes, and adds the series of the groups to `out`.
    fn run(&mut self, now: MonoMillis, out: &mut SeriesBatch) -> io::Result<()> {
        let mut directory = ProcDirectory::open(&self.plan.procfs)?;
        let mut pids = std::mem::take(&mut self.pids);
        directory.list(&mut pids)?;
        let ticks = parse::uptime(&directory.read_host("uptime").unwrap_or_default());
        let ticks = ticks.map(|seconds| (seconds * clock_ticks_per_second() as f64) as u64);
        self.round += 1;
        self.left_out = 0;
        self.unreadable
            .values_mut()
            .for_each(|errors| errors.last = 0);
        for group in &mut self.groups {
            group.now = Gauges::default();
        }
        if self.boot.is_none() {
            let text = directory.read_host("stat").unwrap_or_default();
            self.boot = parse::boot(&text);
        }
        let mut usage = HashMap::new();
        let pending = self.read_stats(&pids, &mut directory, &mut usage);
        self.assign(&pending, &mut directory);
        self.add_members(&pids, &mut directory);
        let round = self.round;
        self.processes.retain(|_, process| process.round == round);
        self.pids = pids;
        self.last_ticks = ticks;
        let elapsed = now.since(std::mem::replace(&mut self.last, now));
        self.push_groups(out);
        self.push_top(&usage, elapsed, out);
        Ok(())
    }

    /// Reads the file `stat` of all processes, and returns those whose group is to be found.
    fn read_stats(
        &mut self,
        pids: &[u32],
        directory: &mut ProcDirectory,
        usage: &mut HashMap<Comm, Usage>,
    ) -> Vec<u32> {
        let mut pending = Vec::new();
        let round = self.round;
        for pid in pids {
            let read = directory.read(*pid, "stat").map(parse::stat);
            let known = self.processes.get_mut(pid);
            let stat = match read {
                Ok(stat) => stat,
                Err(error) => {
                    // One that did not end has to be known still, or its totals would be counted again.
                    if self.unreadable.note("stat", &error)
                        && let Some(process) = known
                    {
                        process.round = round;
                    }
                    continue;
                }
            };
            let Some(stat) = stat else { continue };
            // The number of a process that ended may be given to another one.
            let known = known.filter(|process| process.stat.start == stat.start);
            let ticks = stat.user + stat.system;
            let took = match known {
                Some(process) => {
                    // A process that was just forked has the name of its parent until it starts its program.
                    if stat.comm != process.stat.comm || process.first_round + 1 == round {
                        pending.push(*pid);
                    }
                    let took = ticks.saturating_sub(process.stat.user + process.stat.system);
                    process.stat = stat;
                    process.round = round;
                    took
                }
                None => {
                    pending.push(*pid);
                    let last = self.last_ticks;
                    let is_new = round > 1 && last.is_none_or(|last| stat.start >= last);
                    self.processes
                        .insert(*pid, Process::new(stat, round, is_new));
                    if is_new { ticks } else { 0 }
                }
            };
            if self.plan.top > 0 {
                let usage = usage.entry(stat.comm).or_default();
                usage.ticks += took;
                usage.resident_pages += stat.resident_pages;
            }
        }
        pending
    }

    /// Finds the groups of processes.
    fn assign(&mut self, pending: &[u32], directory: &mut ProcDirectory) {
        if pending.is_empty() || self.plan.selectors.is_empty() {
            return;
        }
        let passwd = match self.needs.user {
            true => std::fs::read_to_string(&self.plan.passwd).unwrap_or_default(),
            false => String::new(),
        };
        let mut unmatched = Vec::new();
        for pid in pending {
            let Some(process) = self.processes.get(pid) else {
                continue;
            };
            let comm = process.stat.comm;
            let facts = Facts::read(comm.bytes(), *pid, self.needs, directory, &passwd);
            let mut selectors = self.plan.selectors.iter();
            match selectors.find_map(|selector| selector.group(&facts)) {
                Some(name) => {
                    let group = self.group(&name);
                    self.left_out += usize::from(group.is_none());
                    self.set_group(*pid, group);
                }
                None => unmatched.push(*pid),
            }
        }
        for pid in unmatched {
            let inherited = self.inherited(pid).filter(|_| self.plan.children);
            if let Some(process) = self.processes.get_mut(&pid) {
                // It keeps the group of an ancestor that ended.
                if inherited.is_some() || !process.is_inherited {
                    process.group = inherited;
                    process.is_inherited = inherited.is_some();
                }
            }
        }
    }

    fn set_group(&mut self, pid: u32, group: Option<usize>) {
        if let Some(process) = self.processes.get_mut(&pid) {
            process.group = group;
            process.is_inherited = false;
        }
    }

    /// Returns the group of the nearest ancestor that has one.
    fn inherited(&self, pid: u32) -> Option<usize> {
        let mut at = self.processes.get(&pid)?.stat.parent;
        for _ in 0..MAX_ANCESTORS {
            let parent = self
                .processes
                .get(&at)
                .filter(|parent| parent.round == self.round)?;
            if parent.group.is_some() {
                return parent.group;
            }
            at = parent.stat.parent;
        }
        None
    }

    /// Returns the group of a name. A group without a process makes room for a new one.
    fn group(&mut self, name: &str) -> Option<usize> {
        if let Some(group) = self.by_name.get(name) {
            return Some(*group);
        }
        if self.groups.len() < self.plan.max_groups {
            return Some(self.add_group(name, false));
        }
        let used = |index: usize| {
            self.processes
                .values()
                .any(|process| process.group == Some(index))
        };
        let free =
            (0..self.groups.len()).find(|index| !self.groups[*index].declared && !used(*index))?;
        self.by_name.remove(&self.groups[free].name);
        self.groups[free] = Group {
            name: name.to_owned(),
            ..Group::default()
        };
        self.by_name.insert(name.to_owned(), free);
        Some(free)
    }

    fn add_group(&mut self, name: &str, declared: bool) -> usize {
        let next = self.groups.len();
        let group = *self.by_name.entry(name.to_owned()).or_insert(next);
        if group == next {
            self.groups.push(Group {
                name: name.to_owned(),
                declared,
                ..Group::default()
            });
        }
        group
    }

    /// Adds the processes to their groups, and reads what the figures need beside `stat`.
    fn add_members(&mut self, pids: &[u32], directory: &mut ProcDirectory) {
        let Self {
            plan,
            round,
            processes,
            groups,
            unreadable,
            boot,
            ..
        } = self;
        let has = |figure: Figure| plan.figures.contains(&figure);
        let (swap, switches) = (has(Figure::Memory), has(Figure::ContextSwitches));
        let mut threads = Vec::new();
        for pid in pids {
            let process = processes.get_mut(pid);
            let Some(process) = process.filter(|process| process.round == *round) else {
                continue;
            };
            let group = process.group.and_then(|group| groups.get_mut(group));
            let Some(Group { totals, now, .. }) = group else {
                continue;
            };
            // All that a process took that was not there at the last collection, it took since.
            let is_new = process.first_round == *round && process.is_new;
            let counts = Counts::of(&process.stat);
            let before = match process.first_round == *round {
                true if is_new => Counts::default(),
                true => counts,
                false => process.counts,
            };
            totals.counts.add(counts, before);
            process.counts = counts;
            now.add(&process.stat, *boot);
            // A zombie has no files any more, and a kernel thread no memory of its own.
            let is_zombie = process.stat.state == b'Z';
            let is_kernel = process.stat.virtual_bytes == 0;
            if (swap && !is_kernel || switches) && !is_zombie {
                let status = directory.read(*pid, "status").map(parse::status);
                if let Ok(status) = &status {
                    now.swap_bytes += status.swap_bytes;
                }
                if switches {
                    let counted = match process.stat.threads {
                        0 | 1 => status.map(|status| {
                            (status.voluntary_switches, status.nonvoluntary_switches)
                        }),
                        _ => thread_switches(directory, *pid, &mut threads),
                    };
                    let counted = unreadable.check("status", counted);
                    add_pair(&mut totals.switches, &mut process.switches, counted, is_new);
                }
            }
            if has(Figure::Io) && !is_zombie {
                let io = directory.read(*pid, "io").map(parse::io);
                let io = unreadable.check("io", io).flatten();
                add_pair(&mut totals.io, &mut process.io, io, is_new);
            }
            if has(Figure::Descriptors) && !is_zombie && !is_kernel {
                // In turns, as few processes change their limit.
                let seen = *round - process.first_round;
                if seen < 2 || (u64::from(*pid) + *round) % LIMIT_ROUNDS == 0 {
                    let limit = directory.read(*pid, "limits").map(parse::open_files_limit);
                    process.open_files_limit = unreadable.check("limits", limit).flatten();
                }
                if let Some(count) = unreadable.check("fd", directory.descriptors(*pid)) {
                    now.descriptors += count;
                    if let Some(limit) = process.open_files_limit.filter(|limit| *limit > 0) {
                        now.worst_ratio = now.worst_ratio.max(count as f64 / limit as f64);
                    }
                }
            }
            if has(Figure::Pss) && !is_zombie && !is_kernel {
                let sizes = directory
                    .read(*pid, "smaps_rollup")
                    .map(parse::proportional);
                if let Some((resident, swapped)) = unreadable.check("smaps_rollup", sizes) {
                    now.proportional.0 += resident;
                    now.proportional.1 += swapped;
                }
            }
        }
    }

    fn push_groups(&self, out: &mut SeriesBatch) {
        families::push(&self.groups, &self.plan.figures, out);
        let errors: u64 = self.unreadable.values().map(|errors| errors.total).sum();
        let help = "Files of processes that could not be read.";
        out.begin(
            "namedprocess_scrape_partial_errors",
            Some(Kind::Counter),
            help,
        );
        out.push(&[], errors as f64);
    }

    fn push_top(&self, usage: &HashMap<Comm, Usage>, elapsed: Duration, out: &mut SeriesBatch) {
        if self.plan.top == 0 {
            return;
        }
        let mut top = |name: &str, help: &str, value: &dyn Fn(&Usage) -> f64| {
            let mut all: Vec<(&Comm, f64)> = usage
                .iter()
                .map(|(comm, usage)| (comm, value(usage)))
                .filter(|(_, value)| *value > 0.0)
                .collect();
            all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
            out.begin(name, Some(Kind::Gauge), help);
            for (comm, value) in all.into_iter().take(self.plan.top) {
                out.push(&[("comm", &String::from_utf8_lossy(comm.bytes()))], value);
            }
        };
        if self.round > 1 && !elapsed.is_zero() {
            top(
                "namedprocess_top_cpu_usage_ratio",
                "CPU time per second of the processes of a name since the last collection, for the names with the \
                 most. 1 is one core.",
                &|usage| seconds(usage.ticks) / elapsed.as_secs_f64(),
            );
        }
        top(
            "namedprocess_top_resident_memory_bytes",
            "Resident memory of the processes of a name, for the names with the most.",
            &|usage| page_bytes(usage.resident_pages),
        );
    }
}

impl Process {
    fn new(stat: Stat, round: u64, is_new: bool) -> Self {
        Self {
            stat,
            group: None,
            is_inherited: false,
            is_new,
            first_round: round,
            round,
            counts: Counts::default(),
            io: None,
            switches: None,
            open_files_limit: None,
        }
    }
}

impl Counts {
    fn of(stat: &Stat) -> Self {
        Self {
            user: stat.user,
            system: stat.system,
            minor_faults: stat.minor_faults,
            major_faults: stat.major_faults,
        }
    }

    /// Adds what grew from `before` to `after`.
    fn add(&mut self, after: Self, before: Self) {
        self.user += after.user.saturating_sub(before.user);
        self.system += after.system.saturating_sub(before.system);
        self.minor_faults += after.minor_faults.saturating_sub(before.minor_faults);
        self.major_faults += after.major_faults.saturating_sub(before.major_faults);
    }
}

impl Gauges {
    fn add(&mut self, stat: &Stat, boot: Option<f64>) {
        self.processes += 1;
        self.threads += stat.threads;
        self.resident_pages += stat.resident_pages;
        self.virtual_bytes += stat.virtual_bytes;
        if let Some(boot) = boot {
            let start = (boot + seconds(stat.start)).floor();
            self.oldest_start = Some(self.oldest_start.map_or(start, |oldest| oldest.min(start)));
        }
        let state = match stat.state {
            b'R' => 0,
            b'S' => 1,
            b'D' => 2,
            b'Z' => 3,
            _ => 4,
        };
        self.states[state] += 1;
    }
}

/// Extends the errors of files.
trait Note {
    fn note(&mut self, file: &'static str, error: &io::Error) -> bool;
    fn check<T>(&mut self, file: &'static str, result: io::Result<T>) -> Option<T>;
}

impl Note for Unreadable {
    /// Counts an error and returns true, unless the process ended meanwhile.
    fn note(&mut self, file: &'static str, error: &io::Error) -> bool {
        let ended = [Errno::NOENT, Errno::SRCH].map(|errno| Some(errno.raw_os_error()));
        if ended.contains(&error.raw_os_error()) {
            return false;
        }
        let errors = self.entry(file).or_default();
        errors.last += 1;
        errors.total += 1;
        true
    }

    fn check<T>(&mut self, file: &'static str, result: io::Result<T>) -> Option<T> {
        result
            .inspect_err(|error| {
                self.note(file, error);
            })
            .ok()
    }
}

/// Adds what two totals of a process grew to those of its group.
fn add_pair(
    total: &mut (u64, u64),
    before: &mut Option<(u64, u64)>,
    after: Option<(u64, u64)>,
    is_new: bool,
) {
    let Some(after) = after else { return };
    let start = before.unwrap_or(if is_new { (0, 0) } else { after });
    total.0 += after.0.saturating_sub(start.0);
    total.1 += after.1.saturating_sub(start.1);
    *before = Some(after);
}

/// Returns the sums of the context switches of all threads.
fn thread_switches(
    directory: &mut ProcDirectory,
    pid: u32,
    threads: &mut Vec<u32>,
) -> io::Result<(u64, u64)> {
    directory.threads(pid, threads)?;
    let mut sum = (0, 0);
    for thread in threads.iter() {
        // A thread that ended meanwhile is left out.
        if let Ok(text) = directory.read_thread(pid, *thread) {
            let status = parse::status(text);
            sum.0 += status.voluntary_switches;
            sum.1 += status.nonvoluntary_switches;
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests;

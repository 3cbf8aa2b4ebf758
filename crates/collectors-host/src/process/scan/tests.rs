use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use bellwether_collector::Globs;
use rustix::param::{clock_ticks_per_second, page_size};
use tempfile::TempDir;

use super::super::groups::Name;
use super::*;

/// A directory with the files of processes.
struct Host(TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        host.write("stat", "cpu 1\nbtime 1700000000\n");
        host.uptime(1500);
        fs::create_dir_all(host.0.path().join("sys")).unwrap();
        host.write("passwd", "web:x:33:33::/:/bin/sh\n");
        host
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.path().join(file), text).unwrap();
    }

    /// Sets the time since the boot, in clock ticks.
    fn uptime(&self, ticks: u64) {
        let seconds = ticks as f64 / clock_ticks_per_second() as f64;
        self.write("uptime", &format!("{seconds:.2} 0.00\n"));
    }

    /// Writes the files of a process that took `ticks` of the CPU and switched as often.
    fn process(&self, pid: u32, comm: &str, parent: u32, ticks: u64) {
        let folder = self.path().join(pid.to_string());
        fs::create_dir_all(folder.join("fd")).unwrap();
        for descriptor in 0..5 {
            fs::write(folder.join(format!("fd/{descriptor}")), "").unwrap();
        }
        self.write(
            &format!("{pid}/stat"),
            &format!("{pid} ({comm}) S {parent} 1 1 0 -1 0 {ticks} 0 1 0 {ticks} 2 0 0 20 0 1 0 {pid}00 4096 10 0"),
        );
        self.write(
            &format!("{pid}/status"),
            &format!("Uid:\t0\t33\t0\t0\nVmSwap: 1 kB\nvoluntary_ctxt_switches:\t{ticks}\nnonvoluntary_ctxt_switches:\t1\n"),
        );
        self.write(
            &format!("{pid}/io"),
            &format!("read_bytes: {ticks}\nwrite_bytes: 7\n"),
        );
        self.write(
            &format!("{pid}/limits"),
            "Max open files   10   20   files\n",
        );
        self.write(&format!("{pid}/smaps_rollup"), "Pss: 2 kB\nSwapPss: 1 kB\n");
        self.write(&format!("{pid}/cmdline"), &format!("/opt/{comm}\0-x\0"));
        self.write(
            &format!("{pid}/cgroup"),
            &format!("0::/system.slice/{comm}.service\n"),
        );
        symlink(format!("/opt/{comm}"), folder.join("exe")).ok();
    }

    fn end(&self, pid: u32) {
        fs::remove_dir_all(self.path().join(pid.to_string())).unwrap();
    }

    fn plan(&self, groups: &[(&str, &str)]) -> Plan {
        let selector = |(name, comm): &(&str, &str)| Selector {
            name: Name::parse(name, &[]).unwrap(),
            comm: Some(Globs::new(vec![(*comm).to_owned()]).unwrap()),
            exe: None,
            cmdline: Vec::new(),
            user: None,
            cgroup: None,
            unit: None,
        };
        Plan {
            procfs: self.path().to_owned(),
            passwd: self.path().join("passwd"),
            selectors: groups.iter().map(selector).collect(),
            children: true,
            figures: Figure::WORDS.iter().map(|(_, figure)| *figure).collect(),
            top: 0,
            max_groups: 10,
        }
    }
}

/// Runs a scan and returns the lines that contain `wanted`.
fn run(scan: &mut Scan, wanted: &str) -> Vec<String> {
    let mut out = SeriesBatch::default();
    let now = scan.last.after(Duration::from_secs(10));
    scan.run(now, &mut out).unwrap();
    let lines = out
        .lines()
        .map(|line| line.replace("namedprocess_namegroup_", ""));
    lines.filter(|line| line.contains(wanted)).collect()
}

#[test]
fn a_group_has_the_figures_of_all_its_processes() {
    let host = Host::new();
    host.process(10, "web", 1, 500);
    host.process(11, "web", 10, 100);
    host.process(12, "other", 1, 100);
    let mut scan = Scan::new(host.plan(&[("web", "web"), ("none", "none")]));
    run(&mut scan, "");
    host.process(10, "web", 1, 700);
    let page = page_size() * 20;
    let seconds = 200.0 / clock_ticks_per_second() as f64;
    assert_eq!(
        run(&mut scan, "groupname=\"web\""),
        [
            "num_procs{groupname=\"web\"} 2".to_owned(),
            "cpu_seconds_total{groupname=\"web\", mode=\"system\"} 0".to_owned(),
            format!("cpu_seconds_total{{groupname=\"web\", mode=\"user\"}} {seconds}"),
            "read_bytes_total{groupname=\"web\"} 200".to_owned(),
            "write_bytes_total{groupname=\"web\"} 0".to_owned(),
            "major_page_faults_total{groupname=\"web\"} 0".to_owned(),
            "minor_page_faults_total{groupname=\"web\"} 200".to_owned(),
            "context_switches_total{ctxswitchtype=\"nonvoluntary\", groupname=\"web\"} 0"
                .to_owned(),
            "context_switches_total{ctxswitchtype=\"voluntary\", groupname=\"web\"} 200".to_owned(),
            format!("memory_bytes{{groupname=\"web\", memtype=\"resident\"}} {page}"),
            "memory_bytes{groupname=\"web\", memtype=\"swapped\"} 2048".to_owned(),
            "memory_bytes{groupname=\"web\", memtype=\"virtual\"} 8192".to_owned(),
            "memory_bytes{groupname=\"web\", memtype=\"proportionalResident\"} 4096".to_owned(),
            "memory_bytes{groupname=\"web\", memtype=\"proportionalSwapped\"} 2048".to_owned(),
            "open_filedesc{groupname=\"web\"} 10".to_owned(),
            "worst_fd_ratio{groupname=\"web\"} 0.5".to_owned(),
            "num_threads{groupname=\"web\"} 2".to_owned(),
            format!(
                "oldest_start_time_seconds{{groupname=\"web\"}} {}",
                1_700_000_000 + 1000 / clock_ticks_per_second()
            ),
            "states{groupname=\"web\", state=\"Running\"} 0".to_owned(),
            "states{groupname=\"web\", state=\"Sleeping\"} 2".to_owned(),
            "states{groupname=\"web\", state=\"Waiting\"} 0".to_owned(),
            "states{groupname=\"web\", state=\"Zombie\"} 0".to_owned(),
            "states{groupname=\"web\", state=\"Other\"} 0".to_owned(),
        ]
    );
    let none = run(&mut scan, "groupname=\"none\"");
    assert!(none.contains(&"num_procs{groupname=\"none\"} 0".to_owned()));
    assert!(none.iter().all(|line| line.ends_with(" 0")), "{none:?}");
}

#[test]
fn counters_do_not_fall_when_a_process_ends_and_count_all_of_a_new_one() {
    let host = Host::new();
    host.process(10, "web", 1, 500);
    let mut scan = Scan::new(host.plan(&[("web", "web")]));
    let read = |scan: &mut Scan| run(scan, "read_bytes").remove(0);
    assert_eq!(read(&mut scan), "read_bytes_total{groupname=\"web\"} 0");
    host.process(10, "web", 1, 600);
    host.process(20, "web", 1, 30);
    assert_eq!(read(&mut scan), "read_bytes_total{groupname=\"web\"} 130");
    host.end(10);
    host.end(20);
    assert_eq!(read(&mut scan), "read_bytes_total{groupname=\"web\"} 130");
    // The same number, given to another process.
    host.process(20, "web", 1, 5);
    let stat = fs::read_to_string(host.path().join("20/stat")).unwrap();
    host.write("20/stat", &stat.replace(" 2000 ", " 9999 "));
    assert_eq!(read(&mut scan), "read_bytes_total{groupname=\"web\"} 135");
    assert_eq!(read(&mut scan), "read_bytes_total{groupname=\"web\"} 135");
}

#[test]
fn a_process_that_was_there_before_but_not_seen_is_not_counted_from_its_start() {
    let host = Host::new();
    host.process(10, "web", 1, 500);
    let mut scan = Scan::new(host.plan(&[("web", "web")]));
    let read = |scan: &mut Scan| run(scan, "read_bytes").remove(0);
    run(&mut scan, "");
    // It cannot be read once, and is known still.
    fs::rename(host.path().join("10/stat"), host.path().join("10/old")).unwrap();
    fs::create_dir(host.path().join("10/stat")).unwrap();
    run(&mut scan, "");
    fs::remove_dir(host.path().join("10/stat")).unwrap();
    host.process(10, "web", 1, 600);
    assert_eq!(read(&mut scan), "read_bytes_total{groupname=\"web\"} 100");
    // It began before the last collection, which did not see it.
    host.process(11, "web", 1, 900);
    assert_eq!(read(&mut scan), "read_bytes_total{groupname=\"web\"} 100");
    host.process(11, "web", 1, 905);
    assert_eq!(read(&mut scan), "read_bytes_total{groupname=\"web\"} 105");
}

#[test]
fn a_child_belongs_to_the_group_of_its_ancestor() {
    let host = Host::new();
    // The child has the lower number, as after a wrap.
    host.process(5, "helper", 6, 0);
    host.process(6, "worker", 10, 0);
    host.process(10, "web", 1, 0);
    let mut scan = Scan::new(host.plan(&[("web", "web")]));
    assert_eq!(
        run(&mut scan, "num_procs"),
        ["num_procs{groupname=\"web\"} 3"]
    );
    // Its parent ends, and it keeps its group.
    host.end(6);
    host.process(5, "helper", 1, 0);
    assert_eq!(
        run(&mut scan, "num_procs"),
        ["num_procs{groupname=\"web\"} 2"]
    );

    let mut plan = host.plan(&[("web", "web")]);
    plan.children = false;
    assert_eq!(
        run(&mut Scan::new(plan), "num_procs"),
        ["num_procs{groupname=\"web\"} 1"]
    );
}

#[test]
fn a_process_that_starts_another_program_changes_its_group() {
    let host = Host::new();
    host.process(10, "sh", 1, 100);
    let mut scan = Scan::new(host.plan(&[("web", "web"), ("sh", "sh")]));
    let count = |scan: &mut Scan| run(scan, "num_procs");
    run(&mut scan, "");
    run(&mut scan, "");
    host.process(10, "web", 1, 150);
    assert_eq!(
        count(&mut scan),
        [
            "num_procs{groupname=\"web\"} 1",
            "num_procs{groupname=\"sh\"} 0"
        ]
    );
    host.process(10, "other", 1, 150);
    let none = [
        "num_procs{groupname=\"web\"} 0",
        "num_procs{groupname=\"sh\"} 0",
    ];
    assert_eq!(count(&mut scan), none);
}

#[test]
fn names_with_placeholders_are_bounded() {
    let host = Host::new();
    for pid in 1..=4 {
        host.process(pid, &format!("p{pid}"), 0, 0);
    }
    let mut plan = host.plan(&[("first", "none"), ("{{ user }}-{{ comm }}", "p*")]);
    plan.max_groups = 3;
    let mut scan = Scan::new(plan);
    let names = |lines: &[String]| -> Vec<String> {
        let names = lines.iter().filter(|line| line.ends_with(" 1"));
        names
            .map(|line| line.split('"').nth(1).unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&run(&mut scan, "num_procs")).len(), 2);
    let notes = scan.notes();
    assert!(
        notes[0].starts_with("2 processes are left out, as there are 3 groups"),
        "{notes:?}"
    );
    // A group without a process makes room.
    for pid in 1..=4 {
        host.end(pid);
    }
    run(&mut scan, "");
    host.process(9, "p9", 0, 0);
    assert_eq!(names(&run(&mut scan, "num_procs")), ["web-p9"]);
    assert_eq!(scan.groups.len(), 3);
    assert_eq!(scan.notes(), [""; 0]);
}

#[test]
fn a_file_that_cannot_be_read_is_noted_and_costs_its_own_figure() {
    let host = Host::new();
    host.process(10, "web", 1, 500);
    fs::remove_file(host.path().join("10/io")).unwrap();
    // An error other than that of a process that ended.
    fs::create_dir(host.path().join("10/io")).unwrap();
    let mut scan = Scan::new(host.plan(&[("web", "web")]));
    assert_eq!(
        run(&mut scan, "num_procs"),
        ["num_procs{groupname=\"web\"} 1"]
    );
    assert_eq!(
        run(&mut scan, "partial_errors"),
        ["namedprocess_scrape_partial_errors 2"]
    );
    let notes = scan.notes();
    assert!(
        notes.len() == 1
            && notes[0].starts_with("/proc/PID/io cannot be read for 1 of 1 processes"),
        "{notes:?}"
    );
    fs::remove_dir(host.path().join("10/io")).unwrap();
    host.process(10, "web", 1, 600);
    assert_eq!(
        run(&mut scan, "read_bytes"),
        ["read_bytes_total{groupname=\"web\"} 0"]
    );
    assert_eq!(scan.notes(), [""; 0]);
}

#[test]
fn garbage_in_place_of_a_process_costs_itself() {
    let host = Host::new();
    host.process(10, "web", 1, 500);
    fs::create_dir(host.path().join("11")).unwrap();
    host.write("11/stat", "garbage");
    host.write("12", "a file");
    fs::create_dir(host.path().join("99999999999999")).unwrap();
    let mut scan = Scan::new(host.plan(&[("all", "*")]));
    assert_eq!(
        run(&mut scan, "num_procs"),
        ["num_procs{groupname=\"all\"} 1"]
    );
    let mut missing = host.plan(&[("all", "*")]);
    missing.procfs = host.path().join("none");
    let mut out = SeriesBatch::default();
    assert!(Scan::new(missing).run(MonoMillis(1), &mut out).is_err());
}

#[test]
fn the_top_has_the_names_with_the_most() {
    let host = Host::new();
    for (pid, comm) in [(1, "a"), (2, "b"), (3, "b"), (4, "c")] {
        host.process(pid, comm, 0, 0);
    }
    let mut plan = host.plan(&[]);
    plan.top = 2;
    let mut scan = Scan::new(plan);
    assert_eq!(
        run(&mut scan, "top_cpu"),
        [""; 0],
        "no time between two collections"
    );
    let ticks = clock_ticks_per_second();
    host.process(4, "c", 0, 5 * ticks);
    host.process(3, "b", 0, 10 * ticks);
    host.process(1, "a", 0, 1);
    assert_eq!(
        run(&mut scan, "top_cpu"),
        [
            "namedprocess_top_cpu_usage_ratio{comm=\"b\"} 1",
            "namedprocess_top_cpu_usage_ratio{comm=\"c\"} 0.5"
        ]
    );
    let page = page_size();
    assert_eq!(
        run(&mut scan, "top_resident"),
        [
            format!(
                "namedprocess_top_resident_memory_bytes{{comm=\"b\"}} {}",
                page * 20
            ),
            format!(
                "namedprocess_top_resident_memory_bytes{{comm=\"a\"}} {}",
                page * 10
            ),
        ]
    );
}

#[test]
fn the_switches_of_all_threads_are_counted() {
    let host = Host::new();
    host.process(10, "web", 1, 500);
    let stat = fs::read_to_string(host.path().join("10/stat")).unwrap();
    host.write("10/stat", &stat.replace(" 20 0 1 0 ", " 20 0 2 0 "));
    let threads = |first: u64, second: u64| {
        for (thread, count) in [(10, first), (11, second)] {
            fs::create_dir_all(host.path().join(format!("10/task/{thread}"))).unwrap();
            host.write(
                &format!("10/task/{thread}/status"),
                &format!("voluntary_ctxt_switches: {count}\n"),
            );
        }
    };
    threads(100, 5);
    let mut scan = Scan::new(host.plan(&[("web", "web")]));
    run(&mut scan, "");
    threads(101, 8);
    assert_eq!(
        run(&mut scan, "\"voluntary"),
        ["context_switches_total{ctxswitchtype=\"voluntary\", groupname=\"web\"} 4"]
    );
}

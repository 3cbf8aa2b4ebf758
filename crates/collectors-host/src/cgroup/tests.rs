use tempfile::TempDir;

use super::*;

/// A host with some cgroups.
struct Host(TempDir);

impl Host {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn cgroups(&self, include: &str, exclude: Option<&str>) -> Cgroups {
        let globs = |text: &str| Globs::new(vec![text.to_owned()]).unwrap();
        Cgroups {
            mount: self.0.path().join("cgroup"),
            blocks: self.0.path().join("block"),
            include: globs(include),
            exclude: exclude.map(globs),
            names: Names::new(self.0.path().to_owned()),
            devices: HashMap::new(),
        }
    }
}

fn read(cgroups: &mut Cgroups) -> Vec<String> {
    let mut out = SeriesBatch::default();
    cgroups.read(Now::default(), &mut out).unwrap();
    out.lines().collect()
}

#[test]
fn selected_cgroups_of_version_2_have_their_figures_and_containers_their_names() {
    let host = Host::new();
    let id = "ab".repeat(32);
    host.write("cgroup/cgroup.controllers", "cpu memory\n");
    host.write("cgroup/system.slice/ssh.service/memory.current", "100\n");
    host.write("cgroup/system.slice/cron.service/memory.current", "7\n");
    let docker = format!("cgroup/system.slice/docker-{id}.scope");
    host.write(&format!("{docker}/memory.current"), "300\n");
    host.write(&format!("{docker}/memory.stat"), "inactive_file 50\n");
    host.write(
        &format!("{docker}/io.stat"),
        "8:0 rbytes=5 wbytes=6 rios=7 wios=8\n",
    );
    host.write(
        &format!("{docker}/cpu.pressure"),
        "some total=2000000\nfull total=1000000\n",
    );
    host.write(
        &format!("var/lib/docker/containers/{id}/config.v2.json"),
        r#"{"Name": "/web", "Config": {"Image": "nginx"}}"#,
    );
    fs::create_dir(host.0.path().join("block")).unwrap();
    std::os::unix::fs::symlink("../../devices/x/sda", host.0.path().join("block/8:0")).unwrap();
    let mut cgroups = host.cgroups("/system.slice/*", Some("*/cron.service"));
    let container =
        format!("id=\"/system.slice/docker-{id}.scope\", image=\"nginx\", name=\"web\"");
    let device = format!("device=\"/dev/sda\", {container}");
    assert_eq!(
        read(&mut cgroups),
        [
            format!("container_memory_usage_bytes{{{container}}} 300"),
            "container_memory_usage_bytes{id=\"/system.slice/ssh.service\"} 100".to_owned(),
            format!("container_memory_working_set_bytes{{{container}}} 250"),
            "container_memory_working_set_bytes{id=\"/system.slice/ssh.service\"} 100".to_owned(),
            format!("container_pressure_cpu_waiting_seconds_total{{{container}}} 2"),
            format!("container_pressure_cpu_stalled_seconds_total{{{container}}} 1"),
            format!("container_fs_reads_bytes_total{{{device}}} 5"),
            format!("container_fs_writes_bytes_total{{{device}}} 6"),
            format!("container_fs_reads_total{{{device}}} 7"),
            format!("container_fs_writes_total{{{device}}} 8"),
        ]
    );
    // A cgroup that is removed has no series any more.
    fs::remove_dir_all(host.0.path().join(docker)).unwrap();
    assert_eq!(read(&mut cgroups).len(), 2);
}

#[test]
fn hierarchies_of_version_1_are_put_together_by_path() {
    let host = Host::new();
    let path = "docker/x";
    host.write(
        &format!("cgroup/cpu,cpuacct/{path}/cpuacct.usage"),
        "1500000000\n",
    );
    host.write(
        &format!("cgroup/cpu,cpuacct/{path}/cpu.stat"),
        "nr_periods 4\n",
    );
    host.write(
        &format!("cgroup/memory/{path}/memory.usage_in_bytes"),
        "10\n",
    );
    host.write("cgroup/memory/memory.usage_in_bytes", "99\n");
    let mut cgroups = host.cgroups("*", None);
    assert_eq!(
        read(&mut cgroups),
        [
            "container_cpu_usage_seconds_total{id=\"/docker/x\"} 1.5",
            "container_cpu_cfs_periods_total{id=\"/docker/x\"} 4",
            "container_memory_usage_bytes{id=\"/\"} 99",
            "container_memory_usage_bytes{id=\"/docker/x\"} 10",
            "container_memory_working_set_bytes{id=\"/\"} 99",
            "container_memory_working_set_bytes{id=\"/docker/x\"} 10",
        ]
    );
}

#[test]
fn a_host_without_cgroups_is_a_failure() {
    let host = Host::new();
    let failure = |host: &Host| {
        let mut out = SeriesBatch::default();
        let failure = host.cgroups("*", None).read(Now::default(), &mut out);
        failure.unwrap_err().detail
    };
    assert!(failure(&host).ends_with("cgroup: No such file or directory (os error 2)"));
    host.write("cgroup/other/file", "");
    assert!(failure(&host).ends_with("cgroup: no cgroups of version 1 or 2"));
}

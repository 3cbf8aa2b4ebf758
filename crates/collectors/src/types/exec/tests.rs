use std::fs;
use std::path::Path;

use bellwether_collector::{CollectorLimits, Memory, Schedule};
use bellwether_core::Origin;
use bellwether_schema::{Decode, DecodeContext, Diagnostics, SourceLocation, parse};
use tempfile::TempDir;

use super::*;

/// Returns a collector of the settings in `yaml`, or the errors.
fn build(
    yaml: &str,
    seconds: u64,
    limits: &CollectorLimits,
) -> Result<Box<dyn Collector>, Vec<String>> {
    let mut problems = Diagnostics::default();
    let mut context = DecodeContext::new(&mut problems, &|_| None);
    let settings = Exec::decode(&parse(yaml).unwrap(), &mut context).unwrap();
    let deadline = Duration::from_secs(seconds);
    let build = settings.resolve(&mut EntryContext {
        enabled: true,
        origin: Origin::new("disk"),
        at: &SourceLocation::default(),
        schedule: Schedule {
            interval: deadline,
            deadline,
            settle: None,
        },
        limits,
        host: &bellwether_collector::System::default(),
        relabeling: Default::default(),
        receiver: None,
        problems: &mut problems,
        warnings: &mut Vec::new(),
    });
    let problems = problems.into_sorted();
    match build {
        Some(build) if problems.is_empty() => Ok(build(&Memory::default())),
        _ => Err(problems.iter().map(ToString::to_string).collect()),
    }
}

/// Runs `script` by a shell, which is the program here. `more` has further settings.
async fn collect(script: &str, more: &str) -> (Vec<String>, Option<Failure>, Vec<String>) {
    let script = serde_json::to_string(script).unwrap();
    let yaml = format!("{{command: [/bin/sh, -c, {script}]{more}}}");
    let mut collector = build(&yaml, 20, &CollectorLimits::default()).ok().unwrap();
    let mut batch = Batch::default();
    let failure = collector.collect(&mut batch, Now::default()).await.err();
    (batch.series.lines().collect(), failure, collector.notes())
}

#[tokio::test]
async fn each_format_is_read() {
    for (script, more, expected) in [
        (
            "echo '# TYPE a gauge'; echo 'a{x=\"y\"} 5'",
            "",
            vec!["a{x=\"y\"} 5"],
        ),
        (
            "printf '# TYPE a counter\\na_total 5\\n# EOF\\n'",
            "",
            vec!["a_total 5"],
        ),
        (
            "echo '{\"disks\": [{\"n\": \"sda\", \"s\": 5}]}'",
            ", format: json, metrics: [{name: d, items: '$.disks[*]', value: $.s, labels: {disk: $.n}}]",
            vec!["d{disk=\"sda\"} 5"],
        ),
        (
            "printf 'disk;used %%\\nsda;50\\nsdb;7\\n'",
            ", format: csv, delimiter: ';', metrics: [{name: used_ratio, value: \"$['used %']\", scale: 0.01, labels: {disk: $.disk}}]",
            vec![
                "used_ratio{disk=\"sda\"} 0.5",
                "used_ratio{disk=\"sdb\"} 0.07",
            ],
        ),
        (
            "echo '<raid><disk name=\"sda\"><size>5</size></disk></raid>'",
            ", format: xml, metrics: [{name: size, items: '$.disk[*]', value: '$.size[0]', labels: {disk: \"$['@name']\"}}]",
            vec!["size{disk=\"sda\"} 5"],
        ),
        (
            "printf 'size=5\\nversion=1.2.3\\nerrors.count=0\\n'",
            ", format: key_value, prefix: raid_",
            vec!["raid_errors_count 0", "raid_size 5"],
        ),
        (
            "printf 'size=5\\nstate=ok\\n'",
            ", format: key_value, metrics: [{name: raid_ok, value: $.state, values: {ok: 1}}]",
            vec!["raid_ok 1"],
        ),
        (
            "echo 'DISK WARNING | /=50%;80;90 time=20ms'; exit 1",
            ", format: nagios",
            vec![
                "nagios_plugin_state{check=\"disk\"} 1",
                "nagios_plugin_perfdata_ratio{check=\"disk\", label=\"/\"} 0.5",
                "nagios_plugin_perfdata_seconds{check=\"disk\", label=\"time\"} 0.02",
            ],
        ),
    ] {
        let (lines, failure, notes) = collect(script, more).await;
        assert_eq!(
            (lines, failure),
            (expected.into_iter().map(str::to_owned).collect(), None),
            "{script}"
        );
        let expected = match script.contains("version") {
            true => vec!["keys without a number are left out: version"],
            false => vec![],
        };
        assert_eq!(notes, expected);
    }
}

#[tokio::test]
async fn a_program_that_fails_brings_nothing_and_no_secret_into_the_failure() {
    let secret = ", environment: {TOKEN: sesame-42}";
    for (script, more, reason, detail) in [
        (
            "echo 'a 1'; echo no disk for $TOKEN >&2; exit 3",
            secret,
            "exit",
            "/bin/sh: exit status 3: no disk for <secret>",
        ),
        ("kill -9 $$", "", "exit", "/bin/sh: ended by signal 9"),
        (
            "echo good 1; echo $TOKEN",
            secret,
            "parse",
            "/bin/sh: output: line 2: no value",
        ),
        (
            "echo '{]'",
            ", format: json, metrics: [{name: a}]",
            "parse",
            "/bin/sh: output: not JSON: key must be a string at line 1 column 2",
        ),
        (
            "echo $TOKEN",
            ", environment: {TOKEN: sesame-42}, format: json, metrics: [{name: a}]",
            "parse",
            "/bin/sh: output: not JSON: expected value at line 1 column 1",
        ),
        (
            "echo \\\"$TOKEN\\\"",
            ", environment: {TOKEN: sesame-42}, format: json, metrics: [{name: a}]",
            "parse",
            "/bin/sh: output: metric a: no number at $: \"<secret>\"",
        ),
        (
            "printf '\\377'",
            "",
            "parse",
            "/bin/sh: output: not UTF-8 text: byte 0",
        ),
    ] {
        let (lines, failure, _) = collect(script, more).await;
        assert_eq!(lines, [""; 0], "{script}");
        assert_eq!(failure, Some(Failure::new(reason, detail)), "{script}");
    }
    // A state that no plugin has is unknown, and a failure.
    let (lines, failure, _) = collect("exit 127", ", format: nagios").await;
    assert_eq!(lines, ["nagios_plugin_state{check=\"disk\"} 3"]);
    assert_eq!(
        failure,
        Some(Failure::new("exit", "/bin/sh: exit status 127"))
    );
}

#[tokio::test]
async fn the_environment_has_what_is_configured_and_nothing_else() {
    let script = "env | sed 's/=.*/ 1/' | sort | grep -v -e PWD -e SHLVL -e '^_ '";
    let (lines, failure, _) = collect(
        script,
        ", environment: {TEAM: storage}, working_directory: /tmp",
    )
    .await;
    assert_eq!(failure, None);
    let names = [
        "BELLWETHER_COLLECTOR 1",
        "BELLWETHER_INVOCATION 1",
        "PATH 1",
        "TEAM 1",
    ];
    assert_eq!(lines, names);
    let (lines, ..) = collect("echo at_$(basename $PWD) 1", ", working_directory: /tmp").await;
    assert_eq!(lines, ["at_tmp 1"]);
}

#[tokio::test]
async fn a_program_that_hangs_or_never_stops_writing_is_killed() {
    let limits = CollectorLimits {
        bytes: bellwether_schema::Size(1000),
        ..CollectorLimits::default()
    };
    let folder = TempDir::new().unwrap();
    let pid = folder.path().join("pid");
    let hang = format!(
        "sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait",
        pid.display()
    );
    let run = async |script: &str, seconds| {
        let script = serde_json::to_string(script).unwrap();
        let yaml = format!("{{command: [/bin/sh, -c, {script}]}}");
        let mut collector = build(&yaml, seconds, &limits).ok().unwrap();
        let mut batch = Batch::default();
        collector
            .collect(&mut batch, Now::default())
            .await
            .unwrap_err()
    };
    let failure = run(&hang, 2).await;
    assert_eq!(
        failure,
        Failure::new("timeout", "/bin/sh: killed after 1s600ms")
    );
    assert!(has_ended(&pid), "what it started still runs");
    let failure = run("while :; do echo aaaaaaaaaaaaaaaa 1; done", 60).await;
    let expected = "/bin/sh: killed, as its output is larger than 1000 bytes";
    assert_eq!(failure, Failure::new("io", expected));
    let missing = build("{command: [/nowhere/none]}", 5, &limits)
        .ok()
        .unwrap();
    let mut missing = missing;
    let failure = missing.collect(&mut Batch::default(), Now::default()).await;
    let failure = failure.unwrap_err();
    assert!(
        failure
            .detail
            .starts_with("/nowhere/none: cannot be started: "),
        "{failure:?}"
    );
}

fn has_ended(pid: &Path) -> bool {
    let pid = fs::read_to_string(pid).unwrap();
    match fs::read_to_string(format!("/proc/{}/stat", pid.trim())) {
        Err(_) => true,
        Ok(stat) => stat.contains(") Z "),
    }
}

#[test]
fn wrong_settings_are_errors() {
    for (yaml, expected) in [
        ("{command: []}", "no program"),
        ("{command: [date]}", "not an absolute path: \"date\""),
        ("{command: [/bin/true], user: 'a b'}", "not a user"),
        (
            "{command: [/bin/true], format: json}",
            "no metrics for the format json",
        ),
        (
            "{command: [/bin/true], metrics: [{name: a}]}",
            "metrics do not apply to the format prometheus",
        ),
        (
            "{command: [/bin/true], prefix: 1x}",
            "not the beginning of a metric name",
        ),
        (
            "{command: [/bin/true], delimiter: ab}",
            "not a delimiter: \"ab\"",
        ),
    ] {
        let problems = build(yaml, 5, &CollectorLimits::default()).err().unwrap();
        assert!(
            problems.len() == 1 && problems[0].contains(expected),
            "{yaml}: {problems:?}"
        );
    }
}

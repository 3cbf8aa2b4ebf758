use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;
use crate::load::MAX_BYTES;
use crate::{Loaded, Plan, load, plan, print_with_origins};

const RULE: &str = "condition: '>', threshold: 1";

struct Files(TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let this = Self(tempfile::tempdir().unwrap());
        fs::create_dir(this.at("conf.d")).unwrap();
        files.iter().for_each(|(name, text)| this.write(name, text));
        this
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn load(&self) -> Loaded {
        let environment = |name: &str| (name == "N").then(|| OsString::from("7"));
        load(&Source::File(self.at("main.yaml")), &environment).unwrap()
    }

    fn plan(&self) -> Plan {
        plan(self.load()).unwrap_or_else(|report| panic!("{report}"))
    }

    /// The report without the path of the directory.
    fn report(&self) -> String {
        let report = plan(self.load()).err().expect("no problem").to_string();
        report.replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn rules(of: &[(&str, &str)]) -> String {
    let mut text = String::from("performance_monitor:\n  alerting:\n    rules:\n");
    for (name, more) in of {
        writeln!(
            text,
            "    - {{name: {name}, metric: cpu_percent, {RULE}{more}}}"
        )
        .unwrap();
    }
    text
}

fn main(more: &str) -> String {
    format!(
        "include: ['conf.d/*.yaml']\nperformance_monitor:\n  system_metrics: [{{name: cpu_percent}}]\n{more}"
    )
}

#[test]
fn files_are_merged_in_the_order_of_their_names() {
    let files = Files::new(&[
        ("main.yaml", &main("")),
        (
            "conf.d/b.yaml",
            &rules(&[("b", ""), ("a", ", override: true, duration: '${N}m'")]),
        ),
        ("conf.d/a.yaml", &rules(&[("a", "")])),
        ("conf.d/c.yaml", "# nothing\n"),
        ("conf.d/.hidden.yaml", "{"),
        ("conf.d/old.yaml~", "{"),
    ]);
    let plan = files.plan();
    let settings = &plan.rules.settings;
    let names: Vec<_> = settings
        .iter()
        .map(|rule| rule.name.value.as_str())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(settings[0].duration.to_string(), "7m");
    let read: Vec<PathBuf> = plan.files.into_iter().map(|file| file.path).collect();
    let expected = [
        "main.yaml",
        "conf.d/a.yaml",
        "conf.d/b.yaml",
        "conf.d/c.yaml",
    ];
    assert_eq!(read, expected.map(|name| files.at(name)));
}

#[test]
fn every_problem_is_in_the_file_that_has_it() {
    let files = Files::new(&[
        ("main.yaml", &main("  prometheus: {port: 1}\n")),
        (
            "conf.d/a.yaml",
            &rules(&[("a", ", thresold: 2"), ("b", "")]),
        ),
        (
            "conf.d/b.yaml",
            &format!("{}  prometheus: {{port: 2}}\n", rules(&[("b", "")])),
        ),
        ("conf.d/c.yaml", "performance_monitor: {\n"),
        ("conf.d/d.yaml", "- a list\n"),
        (
            "conf.d/e.yaml",
            "performance_monitor:\n  system_metrics: [{name: cpu_percent, source: load_average_1m}]\n",
        ),
        (
            "conf.d/f.yaml",
            "inclde: [x]\nperformance_monitor: {interval: 3}\n",
        ),
    ]);
    assert_eq!(
        files.report(),
        "conf.d/a.yaml:4:68: performance_monitor.alerting.rules[0].thresold: unknown key \"thresold\"\n  \
         hint: did you mean \"threshold\"?\n\
         conf.d/b.yaml:4:7: performance_monitor.alerting.rules[0]: \"b\" is in two files\n  \
         hint: the first is on line 5 of conf.d/a.yaml; `override: true` in this entry replaces it\n\
         conf.d/b.yaml:5:22: performance_monitor.prometheus.port: set in two files\n  \
         hint: it is also set on line 4 of main.yaml; keep one of them: only entries of lists can be replaced\n\
         conf.d/c.yaml:2:1: not valid YAML: while parsing a node, did not find expected node content\n\
         conf.d/d.yaml:1:1: expected a mapping, found a list\n  \
         hint: an included file has the sections of the configuration: performance_monitor, ...\n\
         conf.d/e.yaml:2:20: performance_monitor.system_metrics[0]: \"cpu_percent\" is in two files\n  \
         hint: the first is on line 3 of main.yaml; `override: true` in this entry replaces it\n\
         conf.d/f.yaml:1:1: inclde: unknown key \"inclde\"\n  \
         hint: did you mean \"include\"?\n\
         conf.d/f.yaml:2:23: performance_monitor.interval: unknown key \"interval\"\n  \
         hint: known keys: collection_interval, collection_timeout, enabled_collectors, system_metrics, system, application_metrics, application, neo4j_metrics, collectors, prometheus, alerting, state_directory"
    );
}

#[test]
fn what_a_missing_file_may_have_is_not_reported() {
    let broken = "performance_monitor: {system_metrics: [{name: cpu_percent}]\n";
    let files = Files::new(&[
        (
            "main.yaml",
            &format!("include: [x.yaml]\n{}", rules(&[("a", "")])),
        ),
        ("x.yaml", broken),
    ]);
    let report = files.report();
    assert!(report.starts_with("x.yaml:2:1: not valid YAML"), "{report}");
    assert_eq!(report.lines().count(), 1, "{report}");
    fs::remove_file(files.at("x.yaml")).unwrap();
    let report = files.report();
    assert!(
        report.starts_with("main.yaml:1:11: include[0]: x.yaml: cannot read"),
        "{report}"
    );
    assert_eq!(report.lines().count(), 2, "{report}");
}

#[test]
fn a_name_in_one_file_twice_is_reported_where_it_is() {
    let files = Files::new(&[
        ("main.yaml", &main("")),
        (
            "conf.d/a.yaml",
            &rules(&[("a", ""), ("a", ", override: true")]),
        ),
    ]);
    let report = files.report();
    assert!(report.starts_with("conf.d/a.yaml:5:"), "{report}");
    assert!(
        report.contains("the first is on line 4 of conf.d/a.yaml"),
        "{report}"
    );
}

#[test]
fn files_that_cannot_be_included_say_why() {
    let files = Files::new(&[
        (
            "main.yaml",
            "include: [none.yaml, conf.d, 'none/*.yaml', '[', a.yaml, a.yaml, link.yaml, './*.yml', main.yaml]\n",
        ),
        ("a.yaml", "include: ['conf.d/*.yaml']\n"),
        ("conf.d/b.yaml", "include: [../a.yaml]\n"),
    ]);
    symlink(files.at("a.yaml"), files.at("link.yaml")).unwrap();
    fs::create_dir(files.at("d.yml")).unwrap();
    let once = "keep one";
    let own = "put files that are included into a directory of their own: conf.d/*.yaml";
    assert_eq!(
        files.report(),
        format!(
            "main.yaml:1:11: include[0]: none.yaml: cannot read: No such file or directory (os error 2)\n  \
             hint: create it, or write a pattern, which may match nothing: conf.d/*.yaml\n\
             main.yaml:1:22: include[1]: conf.d: cannot read: a directory, not a regular file\n  \
             hint: to include the files in it, write a pattern: conf.d/*.yaml\n\
             main.yaml:1:45: include[3]: cannot find files [: error parsing glob '[': unclosed character class; missing ']'\n\
             main.yaml:1:58: include[5]: a.yaml is included twice\n  \
             hint: it is also included on line 1 of main.yaml; a pattern may match it too: {once}\n\
             main.yaml:1:66: include[6]: link.yaml is included twice, it is the same file as a.yaml\n  \
             hint: it is also included on line 1 of main.yaml; a pattern may match it too: {once}\n\
             main.yaml:1:77: include[7]: d.yml: cannot read: a directory, not a regular file\n  \
             hint: to include the files in it, write a pattern: conf.d/*.yaml\n\
             main.yaml:1:88: include[8]: main.yaml includes itself\n  hint: {own}\n\
             conf.d/b.yaml:1:11: include[0]: files include each other: a.yaml -> conf.d/b.yaml -> a.yaml\n  hint: {own}"
        )
    );
}

#[test]
fn depth_and_number_of_files_are_limited() {
    let files = Files::new(&[("main.yaml", "include: [1.yaml]\n")]);
    for number in 1..20 {
        files.write(
            &format!("{number}.yaml"),
            &format!("include: [{}.yaml]\n", number + 1),
        );
    }
    let report = files.report();
    assert!(
        report
            .starts_with("9.yaml:1:11: include[0]: more than 10 files include each other in a row"),
        "{report}"
    );
    let files = Files::new(&[("main.yaml", "include: ['a/*.yaml', 'b/*.yaml']\n")]);
    for folder in ["a", "b"] {
        for number in 0..600 {
            files.write(&format!("{folder}/{number}.yaml"), "");
        }
    }
    let report = files.report();
    assert!(
        report.starts_with("main.yaml:1:23: include[1]: the configuration is too large: it has more than 1000 files"),
        "{report}"
    );
    assert_eq!(report.lines().count(), 1, "{report}");
}

#[test]
fn all_files_together_have_a_limit_of_bytes() {
    let files = Files::new(&[("main.yaml", "include: ['conf.d/*.yaml']\n")]);
    let comment = format!("#{}\n", "x".repeat(MAX_BYTES as usize / 2 - 10));
    for name in ["conf.d/a.yaml", "conf.d/b.yaml"] {
        files.write(name, &comment);
    }
    let report = files.report();
    assert!(
        report.contains("with conf.d/b.yaml it is larger than 32 MiB"),
        "{report}"
    );
}

#[test]
fn paths_of_an_included_file_start_at_its_directory() {
    let files = Files::new(&[
        (
            "main.yaml",
            "include: [x/main.yaml]\nperformance_monitor:\n  alerting: {rule_files: ['r*.yml']}\n",
        ),
        (
            "x/main.yaml",
            "include: [y.yaml]\nperformance_monitor:\n  alerting: {rule_files: ['r*.yml'], silence_files: [s.json]}\n",
        ),
        (
            "x/y.yaml",
            "trend_analysis: {storage: {retention_days: 3}}\n",
        ),
        (
            "r1.yml",
            "groups: [{name: g, rules: [{alert: outer, expr: up}]}]\n",
        ),
        (
            "x/r2.yml",
            "groups: [{name: h, rules: [{alert: inner, expr: up}]}]\n",
        ),
        ("x/s.json", "[]"),
    ]);
    let loaded = files.load();
    let named: Vec<PathBuf> = loaded.named_files.clone();
    assert_eq!(
        named,
        ["r1.yml", "x/r2.yml", "x/s.json"].map(|name| files.at(name))
    );
    let plan = plan(loaded).unwrap_or_else(|report| panic!("{report}"));
    let names: Vec<_> = plan.rules.rules.iter().map(|rule| &*rule.name).collect();
    assert_eq!(names, ["outer", "inner"]);
}

#[test]
fn a_mapping_file_is_beside_the_file_that_names_it_and_its_errors_have_its_lines() {
    let collector = |more: &str| {
        format!("performance_monitor:\n  collectors:\n    - {{name: x, type: statsd, {more}}}\n")
    };
    let files = Files::new(&[
        ("main.yaml", "include: ['conf.d/*.yaml']\n"),
        ("conf.d/a.yaml", &collector("mapping_file: m.yml")),
        (
            "conf.d/m.yml",
            "mappings: [{match: 'a.*', name: '${1}_total'}]\n",
        ),
    ]);
    let loaded = files.load();
    assert_eq!(loaded.named_files, [files.at("conf.d/m.yml")]);
    files.plan();
    files.write("conf.d/m.yml", "mappings:\n- {match: a.b*, name: x}\n");
    let report = files.report();
    assert!(
        report.contains("conf.d/m.yml:2:11: mappings[0].match: `*` stands"),
        "{report}"
    );
    files.write("conf.d/a.yaml", &collector("mapping_file: none.yml"));
    let report = files.report();
    assert!(report.contains("conf.d/none.yml: cannot read"), "{report}");
    let both = collector("mapping_file: m.yml, mappings: [{match: a, name: a}]");
    files.write("conf.d/a.yaml", &both);
    files.write("conf.d/m.yml", "mappings: []\n");
    let report = files.report();
    assert!(
        report.contains("both mapping_file and mappings of its own"),
        "{report}"
    );
}

#[test]
fn a_program_needs_every_file_to_be_protected() {
    let exec = "performance_monitor:\n  alerting:\n    allow_exec: true\n    notifications: \
                {channels: [{type: exec, command: [/bin/true]}]}\n";
    let files = Files::new(&[
        ("main.yaml", &format!("include: ['conf.d/*.yaml']\n{exec}")),
        ("conf.d/a.yaml", "logging: {level: info}\n"),
    ]);
    let mode = |name, mode| {
        fs::set_permissions(files.at(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("main.yaml", 0o640);
    mode("conf.d/a.yaml", 0o640);
    files.plan();
    mode("conf.d/a.yaml", 0o660);
    let report = files.report();
    assert!(
        report.contains("conf.d/a.yaml: others than its owner may write it"),
        "{report}"
    );
    assert!(report.contains("chmod go-w conf.d/a.yaml"), "{report}");
}

#[test]
fn the_printed_configuration_shows_where_each_part_is_from() {
    let files = Files::new(&[
        ("main.yaml", &main("  prometheus: {port: 1234}\n")),
        (
            "conf.d/a.yaml",
            &rules(&[("a", ", message: \"one\\ntwo\"")]),
        ),
        (
            "conf.d/b.yaml",
            "performance_monitor:\n  neo4j_metrics:\n    password: hunter2\n  prometheus:\n    default_labels: {site: x}\n",
        ),
    ]);
    let mut loaded = files.load();
    let tree = loaded.tree.take().unwrap();
    let plan = plan(loaded).unwrap_or_else(|report| panic!("{report}"));
    let text = print_with_origins(&plan.root, &tree, &plan.files).unwrap();
    for line in [
        "  - name: cpu_percent  # main.yaml:3\n",
        "    port: 1234  # main.yaml:4\n",
        "    - name: a  # conf.d/a.yaml:4\n",
        "    password: <secret>  # conf.d/b.yaml:3\n",
        "      site: x  # conf.d/b.yaml:5\n",
        "    host: 0.0.0.0\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    assert!(
        !text.contains("hunter2") && !text.contains("\ninclude:"),
        "{text}"
    );
    // The comments change nothing.
    let plain = crate::print(&plan.root).unwrap();
    let source = Source::Embedded;
    let printed = |text: &str| {
        let again = crate::decode(&source, text, &|_| None);
        crate::print(&again.root.unwrap()).unwrap()
    };
    assert_eq!(printed(&text), printed(&plain));
}

#[test]
fn new_changed_and_removed_files_are_named() {
    let files = Files::new(&[
        ("main.yaml", &main("")),
        ("conf.d/a.yaml", &rules(&[("a", "")])),
        ("conf.d/b.yaml", &rules(&[("b", "")])),
    ]);
    let before = files.plan();
    files.write("conf.d/a.yaml", &rules(&[("a", ", duration: 1m")]));
    fs::remove_file(files.at("conf.d/b.yaml")).unwrap();
    files.write("conf.d/c.yaml", &rules(&[("c", "")]));
    let after = files.plan();
    let changes = changed_files(&before.files, &after.files);
    let expected = [("changed", "a"), ("new", "c"), ("removed", "b")].map(|(word, name)| {
        format!(
            "{word} {}",
            files.at(&format!("conf.d/{name}.yaml")).display()
        )
    });
    assert_eq!(changes, expected.join(", "));
    assert_ne!(before.checksum, after.checksum);
    assert_eq!(changed_files(&after.files, &after.files), "");
}

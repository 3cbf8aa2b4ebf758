//! Files that a configuration includes, and the merge of all of them.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_schema::{
    Decode, DecodeContext, Diagnostics, Environment, Key, Node, SourceLocation, Spanned, Value,
    YamlError, merge, parse_numbered, section,
};

use super::files::{expanded, has_wildcard};
use super::load::{MAX_BYTES, Source, read};

/// Maximum number of files of a configuration.
const MAX_FILES: usize = 1000;
/// Maximum number of files that include each other in a row.
const MAX_DEPTH: usize = 10;

section! {
    /// Files that belong to the configuration.
    pub struct Include {
        /// Further files of the configuration, as paths or patterns (`conf.d/*.yaml`). A relative
        /// path starts at the directory of the file that has it. A pattern that matches nothing is
        /// no error; its files are read in the order of their names, without hidden ones. Sections
        /// merge key by key, lists are appended. An entry whose `name` is in an earlier file is an
        /// error, unless it has `override: true`: then it replaces that entry as a whole. A value
        /// outside of lists that two files set is an error.
        pub include: Vec<Spanned<PathBuf>> = Vec::new(),
    }
}

/// One file of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// Path; that of an included file begins with the directory of the file that includes it.
    pub path: PathBuf,
    /// CRC-32 of the text.
    pub checksum: u32,
}

/// Describes the differences of two lists of files: `new conf.d/a.yaml, removed conf.d/b.yaml`;
/// empty if there are none. The first file is left out, whose changes nobody has to find.
#[must_use]
pub fn changed_files(before: &[ConfigFile], after: &[ConfigFile]) -> String {
    let old: HashMap<&Path, u32> = checksums(before);
    let new: HashMap<&Path, u32> = checksums(after);
    let added_or_changed = after.iter().skip(1).filter_map(|file| {
        let word = match old.get(&*file.path) {
            None => "new",
            Some(checksum) if *checksum != file.checksum => "changed",
            Some(_) => return None,
        };
        Some((word, &file.path))
    });
    let removed = before
        .iter()
        .skip(1)
        .filter(|file| !new.contains_key(&*file.path))
        .map(|file| ("removed", &file.path));
    let changes: Vec<String> = added_or_changed
        .chain(removed)
        .map(|(word, path)| format!("{word} {}", path.display()))
        .collect();
    changes.join(", ")
}

fn checksums(files: &[ConfigFile]) -> HashMap<&Path, u32> {
    files
        .iter()
        .map(|file| (&*file.path, file.checksum))
        .collect()
}

/// The files of a configuration as one.
pub(super) struct Merged {
    /// Merged tree; `None` if the first file is no YAML.
    pub(super) tree: Option<Node>,
    /// The files in the order in which they were read; the first includes the others.
    pub(super) files: Vec<ConfigFile>,
    /// Names of the files for locations; none if there is only one.
    pub(super) names: Vec<Arc<str>>,
    /// CRC-32 of all texts.
    pub(super) checksum: u32,
}

/// Reads the files that `text` includes, and merges all of them.
pub(super) fn read_included(
    source: &Source,
    text: &str,
    environment: Environment<'_>,
    problems: &mut Diagnostics,
) -> Merged {
    let path = match source {
        Source::Embedded | Source::Demo => PathBuf::new(),
        Source::File(path) => path.clone(),
    };
    let mut reader = Reader::new(environment, problems);
    if let Ok(metadata) = fs::metadata(&path) {
        reader.read.insert(id(&metadata), 1);
    }
    // An embedded configuration is in no directory in which files could be.
    let follow = matches!(source, Source::File(_));
    reader.file(path, text, follow);
    reader.finish()
}

/// Device and inode: two names may be those of one file.
type FileId = (u64, u64);

fn id(metadata: &Metadata) -> FileId {
    (metadata.dev(), metadata.ino())
}

struct Reader<'a> {
    environment: Environment<'a>,
    problems: &'a mut Diagnostics,
    files: Vec<ConfigFile>,
    names: Vec<Arc<str>>,
    trees: Vec<Node>,
    /// Numbers of the files that were read, from 1.
    read: HashMap<FileId, usize>,
    /// Location of the entry that includes each file; the first has none.
    included_at: Vec<Option<SourceLocation>>,
    /// Numbers of the files that are being read, each included by the one before.
    open: Vec<usize>,
    bytes: u64,
    hasher: crc32fast::Hasher,
    is_full: bool,
}

impl<'a> Reader<'a> {
    fn new(environment: Environment<'a>, problems: &'a mut Diagnostics) -> Self {
        Self {
            environment,
            problems,
            files: Vec::new(),
            names: Vec::new(),
            trees: Vec::new(),
            read: HashMap::new(),
            included_at: vec![None],
            open: Vec::new(),
            bytes: 0,
            hasher: crc32fast::Hasher::new(),
            is_full: false,
        }
    }

    /// Adds a file and those that it includes, which follow it.
    fn file(&mut self, path: PathBuf, text: &str, follow: bool) {
        self.bytes += text.len() as u64;
        self.hasher.update(text.as_bytes());
        self.names.push(path.display().to_string().into());
        self.files.push(ConfigFile {
            path,
            checksum: crc32fast::hash(text.as_bytes()),
        });
        let number = self.files.len();
        let mut tree = match parse_numbered(text, number as u16) {
            Ok(tree) => tree,
            Err(YamlError { at: pos, message }) => {
                let at = SourceLocation {
                    pos,
                    file: Some(self.names[number - 1].clone()),
                    ..SourceLocation::default()
                };
                self.problems.error(&at, message);
                return;
            }
        };
        let included = self.take_include(&mut tree);
        self.trees.push(tree);
        if follow {
            self.open.push(number);
            included.iter().for_each(|entry| self.entry(number, entry));
            self.open.pop();
        }
    }

    /// Removes the key `include` from a file, and returns its value.
    fn take_include(&mut self, tree: &mut Node) -> Vec<Spanned<PathBuf>> {
        let Value::Map(entries) = &mut tree.value else {
            return Vec::new();
        };
        let is_include = |(key, _): &mut (Key, Node)| key.text == "include";
        let taken = Node {
            pos: tree.pos,
            value: Value::Map(entries.extract_if(.., is_include).collect()),
        };
        let mut cx = DecodeContext::for_files(self.problems, self.environment, &self.names);
        Include::decode(&taken, &mut cx)
            .map(|include| include.include)
            .unwrap_or_default()
    }

    /// Reads the files of one entry of the file `number`.
    fn entry(&mut self, number: usize, entry: &Spanned<PathBuf>) {
        let folder = self.files[number - 1].path.parent().map(Path::to_owned);
        let pattern = folder.unwrap_or_default().join(&entry.value);
        if !has_wildcard(&entry.value) {
            self.include(pattern, &entry.at);
            return;
        }
        let paths = match expanded(&pattern) {
            Ok(paths) => paths,
            Err(error) => {
                let message = format!("cannot find files {}: {error}", entry.value.display());
                self.problems.error(&entry.at, message);
                return;
            }
        };
        let shows_hidden = is_hidden(&pattern);
        for path in paths {
            if shows_hidden || !is_hidden(&path) {
                self.include(path, &entry.at);
            }
        }
    }

    fn include(&mut self, path: PathBuf, at: &SourceLocation) {
        if self.is_full {
            return;
        }
        let shown = path.display().to_string();
        let metadata = fs::metadata(&path).ok();
        if let Some(first) = metadata.as_ref().and_then(|it| self.read.get(&id(it))) {
            let first = *first;
            self.repeated(first, &shown, at);
            return;
        }
        if self.open.len() >= MAX_DEPTH {
            self.problems
                .error(
                    at,
                    format!("more than {MAX_DEPTH} files include each other in a row"),
                )
                .hint("include the files of a directory from one file: conf.d/*.yaml");
            return;
        }
        if self.files.len() >= MAX_FILES {
            self.stop(at, &format!("it has more than {MAX_FILES} files"));
            return;
        }
        let text = match read(&path) {
            Ok(text) => text,
            Err(error) => {
                let hint = hint(&path);
                self.problems
                    .error(at, format!("{shown}: {error}"))
                    .hint_if(error.hint.or(hint));
                return;
            }
        };
        if self.bytes + text.len() as u64 > MAX_BYTES {
            let limit = MAX_BYTES >> 20;
            self.stop(at, &format!("with {shown} it is larger than {limit} MiB"));
            return;
        }
        if let Some(metadata) = metadata {
            self.read.insert(id(&metadata), self.files.len() + 1);
        }
        self.included_at.push(Some(at.clone()));
        self.file(path, &text, true);
    }

    /// Reports a file that was read before.
    fn repeated(&mut self, first: usize, shown: &str, at: &SourceLocation) {
        let name = self.names[first - 1].clone();
        let circle = self.open.iter().position(|number| *number == first);
        let Some(start) = circle else {
            let same = match *name == *shown {
                true => String::new(),
                false => format!(", it is the same file as {name}"),
            };
            let before = self.included_at[first - 1].as_ref();
            let hint = before.map(|at| {
                let place = at.words();
                format!("it is also included on {place}; a pattern may match it too: keep one")
            });
            self.problems
                .error(at, format!("{shown} is included twice{same}"))
                .hint_if(hint);
            return;
        };
        let names = self.open[start..]
            .iter()
            .map(|number| &*self.names[number - 1]);
        let circle: Vec<&str> = names.chain([&*name]).collect();
        let message = match circle.len() {
            2 => format!("{name} includes itself"),
            _ => format!("files include each other: {}", circle.join(" -> ")),
        };
        self.problems
            .error(at, message)
            .hint("put files that are included into a directory of their own: conf.d/*.yaml");
    }

    fn stop(&mut self, at: &SourceLocation, reason: &str) {
        self.problems
            .error(at, format!("the configuration is too large: {reason}"));
        self.is_full = true;
    }

    fn finish(self) -> Merged {
        let names = match self.names.len() {
            1 => Vec::new(),
            _ => self.names,
        };
        let first_is_read = self.trees.first().is_some_and(|tree| tree.pos.file == 1);
        let tree = first_is_read.then(|| {
            let mut cx = DecodeContext::for_files(self.problems, self.environment, &names);
            let trees = only_mappings(self.trees, &mut cx);
            merge(trees, &mut cx)
        });
        Merged {
            tree,
            files: self.files,
            names,
            checksum: self.hasher.finalize(),
        }
    }
}

/// Removes included files that are no mapping, and reports them. The first file is reported when it
/// is decoded.
fn only_mappings(trees: Vec<Node>, cx: &mut DecodeContext<'_>) -> Vec<Node> {
    let fits =
        |tree: &Node| tree.pos.file == 1 || matches!(tree.value, Value::Map(_) | Value::Null);
    let (fitting, others): (Vec<Node>, Vec<Node>) = trees.into_iter().partition(fits);
    for tree in others {
        let message = format!("expected a mapping, found {}", tree.form());
        cx.error(tree.pos, message).hint(
            "an included file has the sections of the configuration: performance_monitor, ...",
        );
    }
    fitting
}

/// Returns how to include what `path` is, or what to do if it is missing.
fn hint(path: &Path) -> Option<&'static str> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            Some("to include the files in it, write a pattern: conf.d/*.yaml")
        }
        Ok(_) => None,
        Err(_) => Some("create it, or write a pattern, which may match nothing: conf.d/*.yaml"),
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fmt::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use tempfile::TempDir;

    use super::*;
    use crate::config::{Loaded, Plan, load, plan, print_with_origins};

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
             hint: known keys: collection_interval, collection_timeout, enabled_collectors, system_metrics, system, application_metrics, application, neo4j_metrics, prometheus, alerting, state_directory"
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
            report.starts_with(
                "9.yaml:1:11: include[0]: more than 10 files include each other in a row"
            ),
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
        let plain = crate::config::print(&plan.root).unwrap();
        let source = Source::Embedded;
        let printed = |text: &str| {
            let again = crate::config::decode(&source, text, &|_| None);
            crate::config::print(&again.root.unwrap()).unwrap()
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
}

//! Files of the configuration for an editor: shown without secrets, checked, and changed.
//!
//! Owns what a client may learn and do: only files that are part of the configuration on disk are
//! read or written, and neither their secrets nor those of the environment are in an answer. A check
//! reads no other file, so that it cannot be used to look into one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_config::{
    self as config, FileKind, Loaded, Plan, ReadError, Report, Source, hide_secrets,
    restore_secrets, secret_values,
};
use bellwether_schema::Diagnostic;
use bellwether_server::{
    ConfigApplied, ConfigChanges, ConfigDraft, ConfigError, ConfigFile, ConfigFiles, ConfigProblem,
    ConfigReport,
};

use super::App;
use super::config_changes::changes;
use super::config_writer::{Edit, Written};
use super::launch::Launch;

/// Shortest value that is hidden in messages: shorter ones are part of ordinary words.
const SHORTEST_SECRET: usize = 4;

/// The configuration as it is on disk.
struct Disk {
    source: Source,
    /// Texts of all files that were read.
    texts: BTreeMap<PathBuf, String>,
    /// Files that are shown, in the order in which they are read.
    shown: Vec<(PathBuf, FileKind)>,
    plan: Result<Plan, Report>,
}

impl Disk {
    /// Reads all files. Blocks on the file system.
    fn read(launch: &Launch) -> Result<Self, ReadError> {
        let texts = RefCell::new(BTreeMap::new());
        let read = |path: &Path| -> Result<String, ReadError> {
            let text = config::read_of(&launch.source, path)?;
            texts.borrow_mut().insert(path.to_owned(), text.clone());
            Ok(text)
        };
        let loaded = load(launch, &|name| launch.environment(name), &read).map_err(|report| {
            let message = report.to_string();
            ReadError {
                message,
                hint: None,
            }
        })?;
        let of_configuration = loaded
            .files
            .iter()
            .map(|file| (&file.path, FileKind::Configuration));
        let rules = loaded
            .rule_files
            .iter()
            .map(|file| (&file.path, FileKind::Rules));
        let shown = of_configuration.chain(rules);
        let shown = shown.map(|(path, kind)| (path.clone(), kind)).collect();
        let plan = config::plan(loaded);
        Ok(Self {
            source: launch.source.clone(),
            texts: texts.into_inner(),
            shown,
            plan,
        })
    }

    /// Name of a file for the client.
    fn name(&self, path: &Path) -> String {
        match path == Path::new("") {
            true => self.source.to_string(),
            false => path.display().to_string(),
        }
    }

    /// Returns the path, the kind and the text of the file of this name.
    fn file(&self, name: &str) -> Result<(&Path, FileKind, &str), ConfigError> {
        let mut shown = self.shown.iter();
        let file = shown.find(|(path, _)| self.name(path) == name);
        let file = file.and_then(|(path, kind)| Some((&**path, *kind, &**self.texts.get(path)?)));
        file.ok_or_else(|| ConfigError::UnknownFile(name.to_owned()))
    }

    fn view(&self, (path, kind): &(PathBuf, FileKind)) -> Option<ConfigFile> {
        let text = self.texts.get(path)?;
        Some(ConfigFile {
            path: self.name(path),
            kind: match kind {
                FileKind::Configuration => "configuration",
                FileKind::Rules => "rules",
            },
            text: hide_secrets(text, *kind).map_err(|error| error.to_string()),
            checksum: checksum(text),
        })
    }
}

fn checksum(text: &str) -> String {
    format!("{:08x}", crc32fast::hash(text.as_bytes()))
}

fn load(
    launch: &Launch,
    environment: &dyn Fn(&str) -> Option<OsString>,
    read: config::ReadFile<'_>,
) -> Result<Loaded, Report> {
    let mut loaded = config::load_with(&launch.source, environment, read)?;
    // The flags were valid at the start.
    launch.overrides.apply(&mut loaded).ok();
    Ok(loaded)
}

/// Changed texts, checked.
struct Checked {
    /// Path, text before and new text of each file that changes.
    edits: Vec<Edit>,
    report: ConfigReport,
}

/// Returns the files with their texts, without secrets. Blocks on the file system.
pub(super) fn show(app: &App) -> Result<ConfigFiles, ReadError> {
    let disk = Disk::read(&app.launch)?;
    Ok(ConfigFiles {
        files: disk
            .shown
            .iter()
            .filter_map(|file| disk.view(file))
            .collect(),
        may_edit: may_edit(app),
    })
}

fn may_edit(app: &App) -> bool {
    matches!(app.launch.source, Source::File(_)) && app.current.load().plan.root.web.allow_edit
}

/// Checks the configuration with `drafts`. Blocks on the file system.
pub(super) fn check(app: &App, drafts: &[ConfigDraft]) -> Result<ConfigReport, ConfigError> {
    checked(app, drafts).map(|checked| checked.report)
}

fn checked(app: &App, drafts: &[ConfigDraft]) -> Result<Checked, ConfigError> {
    let disk = Disk::read(&app.launch).map_err(|error| ConfigError::Failed(error.to_string()))?;
    let mut secrets = Secrets::default();
    for (path, kind) in &disk.shown {
        let text = disk.texts.get(path).map(String::as_str);
        secrets.add(secret_values(text.unwrap_or_default(), *kind));
    }
    let mut texts = disk.texts.clone();
    let (mut edits, mut report) = (Vec::new(), ConfigReport::default());
    for draft in drafts {
        let (path, kind, before) = disk.file(&draft.path)?;
        let expected = draft.checksum.as_ref();
        if expected.is_some_and(|expected| *expected != checksum(before)) {
            return Err(ConfigError::Conflict(draft.path.clone()));
        }
        match restore_secrets(&draft.text, before, kind) {
            Ok(after) => {
                secrets.add(secret_values(&after, kind));
                texts.insert(path.to_owned(), after.clone());
                edits.push(Edit {
                    path: path.to_owned(),
                    before: before.to_owned(),
                    after,
                });
            }
            Err(problems) => {
                let problems = problems
                    .iter()
                    .map(|problem| view(problem, &draft.path, &secrets));
                report.problems.extend(problems);
            }
        }
    }
    if report.problems.is_empty() {
        report = check_texts(app, &disk, &texts, secrets);
    }
    Ok(Checked { edits, report })
}

/// Checks the configuration with these texts, and compares it with that on disk.
fn check_texts(
    app: &App,
    disk: &Disk,
    texts: &BTreeMap<PathBuf, String>,
    mut secrets: Secrets,
) -> ConfigReport {
    let variables = RefCell::new(Vec::new());
    let environment = |name: &str| {
        let value = app.launch.environment(name)?;
        // These two are in every path and message.
        if !["HOME", "HOSTNAME"].contains(&name) {
            variables
                .borrow_mut()
                .extend(value.to_str().map(str::to_owned));
        }
        Some(value)
    };
    let read = |path: &Path| {
        texts.get(path).cloned().ok_or_else(|| ReadError {
            message: "not a file of the active config".to_owned(),
            hint: Some(
                "a check over HTTP reads no other files: reload first, or run `bellwether check`",
            ),
        })
    };
    let planned = load(&app.launch, &environment, &read).and_then(config::plan);
    secrets.add(variables.into_inner());
    let source = disk.source.to_string();
    let views = |problems: &[Diagnostic]| -> Vec<ConfigProblem> {
        let views = problems
            .iter()
            .map(|problem| view(problem, &source, &secrets));
        views.collect()
    };
    match planned {
        Err(report) => ConfigReport {
            problems: views(&report.problems),
            ..ConfigReport::default()
        },
        Ok(plan) => ConfigReport {
            problems: views(&config::check_external(&plan)),
            warnings: views(&plan.warnings),
            changes: disk
                .plan
                .as_ref()
                .ok()
                .map(|before| secrets.hide_changes(changes(before, &plan))),
        },
    }
}

/// Values that no answer has.
#[derive(Default)]
struct Secrets(Vec<String>);

impl Secrets {
    fn add(&mut self, values: Vec<String>) {
        let values = values.into_iter().map(|value| value.trim().to_owned());
        self.0
            .extend(values.filter(|value| value.len() >= SHORTEST_SECRET));
        // A value that contains another one goes first.
        self.0.sort_by_key(|value| std::cmp::Reverse(value.len()));
        self.0.dedup();
    }

    fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            // As messages quote it, too.
            let quoted = format!("{secret:?}");
            for form in [secret.as_str(), quoted.trim_matches('"')] {
                if text.contains(form) {
                    text = text.replace(form, "<secret>");
                }
            }
        }
        text
    }

    fn hide_changes(&self, mut changes: ConfigChanges) -> ConfigChanges {
        for difference in [
            &mut changes.metrics,
            &mut changes.rules,
            &mut changes.channels,
        ] {
            for names in [
                &mut difference.added,
                &mut difference.removed,
                &mut difference.altered,
            ] {
                names.iter_mut().for_each(|name| *name = self.hide(name));
            }
        }
        changes
    }
}

fn view(problem: &Diagnostic, source: &str, secrets: &Secrets) -> ConfigProblem {
    let at = &problem.location;
    ConfigProblem {
        file: at.file.as_deref().unwrap_or(source).to_owned(),
        line: at.pos.line,
        column: at.pos.column,
        path: secrets.hide(&at.path),
        message: secrets.hide(&problem.message),
        hint: problem.help.as_deref().map(|help| secrets.hide(help)),
    }
}

/// Writes `drafts` to their files and reloads; if that fails, the files are what they were.
pub(super) async fn apply(
    app: &Arc<App>,
    drafts: Vec<ConfigDraft>,
) -> Result<ConfigApplied, ConfigError> {
    let _editing = app.editing.lock().await;
    if !may_edit(app) {
        return Err(ConfigError::NotAllowed);
    }
    let writing = app.clone();
    let written = tokio::task::spawn_blocking(move || write(&writing, &drafts));
    let (written, changes) = joined(written.await)?;
    match app.reload().await {
        Ok(summary) => {
            let kept = tokio::task::spawn_blocking(move || written.keep());
            Ok(ConfigApplied {
                summary,
                changes,
                backups: joined(kept.await.map(Ok))?,
            })
        }
        Err(error) => {
            let undone = tokio::task::spawn_blocking(move || written.undo());
            joined(undone.await)?;
            Err(ConfigError::Failed(format!(
                "the reload failed, and the files are as before: {error}"
            )))
        }
    }
}

fn joined<T>(
    result: Result<Result<T, ConfigError>, tokio::task::JoinError>,
) -> Result<T, ConfigError> {
    result.unwrap_or_else(|error| Err(ConfigError::Failed(error.to_string())))
}

/// Checks `drafts` and writes them.
fn write(
    app: &App,
    drafts: &[ConfigDraft],
) -> Result<(Written, Option<ConfigChanges>), ConfigError> {
    if let Some(draft) = drafts.iter().find(|draft| draft.checksum.is_none()) {
        return Err(ConfigError::Conflict(draft.path.clone()));
    }
    let checked = checked(app, drafts)?;
    if !checked.report.problems.is_empty() {
        return Err(ConfigError::Problems(checked.report.problems));
    }
    let mut written = Written::default();
    for edit in checked.edits {
        if let Err(error) = written.replace(&edit) {
            written.undo()?;
            return Err(error);
        }
    }
    Ok((written, checked.report.changes))
}

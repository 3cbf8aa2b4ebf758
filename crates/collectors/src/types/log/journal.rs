//! The collector of the journal, which `journalctl` prints.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_collector::{Collecting, Collector};
use bellwether_core::{Batch, Failure, Now, Origin, SeriesBatch};
use bellwether_program::{Invocation, PATH, Running};
use parking_lot::Mutex;
use tokio::task::spawn_blocking;
use tokio_util::task::AbortOnDropHandle;

use super::Start;
use super::checkpoint::{Checkpoint, Checkpoints, Writer};
use super::json::Fields;
use super::lines::{Line, Splitter};
use super::rules::{Counting, Rules};
use super::values::Values;

/// Fields of an entry that labels and conditions may have, beside those of its message.
pub(super) const SOURCE_FIELDS: [&str; 6] = [
    "_SYSTEMD_UNIT",
    "SYSLOG_IDENTIFIER",
    "PRIORITY",
    "_COMM",
    "_HOSTNAME",
    "_TRANSPORT",
];
/// Slots of the fields that each entry has, behind those of the source.
const MESSAGE: usize = SOURCE_FIELDS.len();
const CURSOR: usize = MESSAGE + 1;
/// Paths of the program. They are no setting: it would start programs of the configuration.
const PROGRAMS: [&str; 2] = ["/usr/bin/journalctl", "/bin/journalctl"];
/// Longest entry, in bytes. The journal itself has none that is longer by default.
const MAX_ENTRY: usize = 16 << 20;

/// Settings of the collector.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) origin: Origin,
    pub(super) program: String,
    pub(super) units: Vec<String>,
    pub(super) directory: Option<PathBuf>,
    pub(super) start: Start,
    pub(super) max_line: usize,
    pub(super) rules: Rules,
}

/// Returns the path of the program.
pub(super) fn program() -> String {
    let found = PROGRAMS.into_iter().find(|path| Path::new(path).exists());
    found.unwrap_or(PROGRAMS[0]).to_owned()
}

impl Plan {
    fn invocation(&self, cursor: Option<&str>) -> Invocation {
        let mut command: Vec<String> = [&self.program, "--output=json", "--all", "--follow"]
            .map(str::to_owned)
            .into();
        command.push(match (cursor, self.start) {
            (Some(cursor), _) => format!("--after-cursor={cursor}"),
            (None, Start::Beginning) => "--no-tail".to_owned(),
            (None, Start::End) => "--lines=0".to_owned(),
        });
        if cursor.is_some() {
            command.push("--no-tail".to_owned());
        }
        command.extend(self.units.iter().map(|unit| format!("--unit={unit}")));
        let directory = self.directory.iter();
        command.extend(directory.map(|path| format!("--directory={}", path.display())));
        Invocation {
            command,
            environment: [("PATH", PATH), ("LC_ALL", "C")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            folder: "/".into(),
            output_limit: Some(0),
            ..Invocation::default()
        }
    }
}

/// Collects what a task of its own reads all the time. The program ends once the collector is dropped.
pub(super) struct JournalCollector {
    plan: Plan,
    writer: Arc<Writer>,
    entries: Arc<Mutex<Entries>>,
    task: Option<AbortOnDropHandle<Failure>>,
    notes: Vec<String>,
}

impl JournalCollector {
    pub(super) fn new(plan: Plan, checkpoints: &Arc<Checkpoints>) -> Self {
        let (writer, checkpoint) = checkpoints.begin();
        let entries = Entries::new(&plan, checkpoint);
        Self {
            plan,
            writer: Arc::new(writer),
            entries: Arc::new(Mutex::new(entries)),
            task: None,
            notes: Vec::new(),
        }
    }

    /// Starts the program if it does not run. Returns why it ended.
    async fn follow(&mut self) -> Result<(), Failure> {
        let ended = self.task.as_ref().is_some_and(|task| task.is_finished());
        let result = match self.task.take_if(|_| ended) {
            Some(task) => Err(task
                .await
                .unwrap_or_else(|error| Failure::new("panic", error.to_string()))),
            None => Ok(()),
        };
        if self.task.is_none() {
            let cursor = self.entries.lock().cursor.clone();
            let running = self.plan.invocation(cursor.as_deref()).follow();
            let running = running
                .map_err(|error| Failure::new("io", format!("{}: {error}", self.plan.program)))?;
            let read = read(running, self.entries.clone(), self.plan.program.clone());
            self.task = Some(AbortOnDropHandle::new(tokio::spawn(read)));
        }
        result
    }

    async fn run(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        let followed = self.follow().await;
        let checkpoint = {
            let entries = self.entries.lock();
            entries.fill(self.plan.origin.as_str(), &mut batch.series);
            self.notes = entries.counting.notes();
            entries.checkpoint()
        };
        let writer = self.writer.clone();
        let saved = spawn_blocking(move || writer.save(checkpoint)).await;
        followed?;
        let saved = saved.map_err(|error| Failure::new("panic", error.to_string()))?;
        saved.map_err(|error| Failure::new("io", format!("cannot save the cursor: {error}")))
    }
}

impl Collector for JournalCollector {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, _: Now) -> Collecting<'a> {
        Box::pin(self.run(batch))
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }
}

/// Reads what the program prints until it ends. Returns why it did.
async fn read(mut running: Running, entries: Arc<Mutex<Entries>>, program: String) -> Failure {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = running.read(&mut buffer).await {
        entries.lock().push(&buffer[..count]);
    }
    let (termination, stderr) = running.end().await;
    Failure::new("exit", format!("{program}: {termination}: {stderr}"))
}

/// Entries of the journal, as they come.
struct Entries {
    splitter: Splitter,
    fields: Fields,
    values: Values,
    max_line: usize,
    counting: Counting,
    /// Cursor of the last entry.
    cursor: Option<String>,
}

impl Entries {
    fn new(plan: &Plan, checkpoint: Checkpoint) -> Self {
        let mut fields = Fields::default();
        let names = SOURCE_FIELDS.into_iter().chain(["MESSAGE", "__CURSOR"]);
        for (slot, name) in names.enumerate() {
            fields.add(name, slot);
        }
        Self {
            splitter: Splitter::new(MAX_ENTRY, None),
            fields,
            values: Values::new(0, CURSOR + 1),
            max_line: plan.max_line,
            counting: Counting::new(plan.rules.clone(), &checkpoint.families, checkpoint.totals),
            cursor: checkpoint.cursor,
        }
    }

    fn push(&mut self, chunk: &[u8]) {
        self.counting.totals.bytes += chunk.len() as u64;
        let mut splitter = std::mem::replace(&mut self.splitter, Splitter::new(0, None));
        splitter.push(chunk, bellwether_core::MonoMillis::default(), &mut |line| {
            self.entry(line.text);
        });
        self.splitter = splitter;
    }

    fn entry(&mut self, text: &[u8]) {
        self.values.clear_line();
        if !self.fields.read(text, &mut self.values) {
            self.counting.totals.unparsed += 1;
            return;
        }
        let source: [&str; SOURCE_FIELDS.len()] = std::array::from_fn(|slot| self.values.get(slot));
        self.counting.set_source(&source);
        let message = self.values.get(MESSAGE).as_bytes();
        self.counting.apply(Line {
            text: &message[..message.len().min(self.max_line)],
            is_cut: message.len() > self.max_line,
        });
        self.cursor = Some(self.values.get(CURSOR).to_owned());
    }

    fn fill(&self, collector: &str, out: &mut SeriesBatch) {
        self.counting.fill(out);
        let totals = &self.counting.totals;
        totals.fill(collector, self.counting.dropped(), None, out);
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            cursor: self.cursor.clone(),
            totals: self.counting.totals.clone(),
            families: self.counting.save(),
            ..Checkpoint::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::super::tests::rules;
    use super::*;
    use bellwether_collector::Memory;
    use bellwether_collector::testing::{Collected, collect};

    const METRICS: &str = "
journal: {units: [ssh.service]}
metrics: [{name: failed_total, match: 'Failed', labels: {unit: '{{ _SYSTEMD_UNIT }}'}}]
";

    /// A stand-in for `journalctl` that notes its arguments.
    struct Rig {
        folder: TempDir,
        memory: Memory,
    }

    impl Rig {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let memory = Memory::new(Some(folder.path().into()));
            Self { folder, memory }
        }

        fn collector(&self, script: &str) -> JournalCollector {
            let path = self.folder.path().display();
            let program = self.folder.path().join("journalctl");
            let script = format!("#!/bin/sh\necho \"$@\" >>{path}/arguments\n{script}\n");
            fs::write(&program, script).unwrap();
            fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
            let plan = Plan {
                origin: Origin::new("auth"),
                program: program.display().to_string(),
                units: vec!["ssh.service".to_owned()],
                directory: None,
                start: Start::End,
                max_line: 100,
                rules: rules(METRICS),
            };
            JournalCollector::new(plan.clone(), &Checkpoints::of(&self.memory, plan.origin))
        }

        fn arguments(&self) -> String {
            fs::read_to_string(self.folder.path().join("arguments")).unwrap_or_default()
        }
    }

    /// Collects until `is_done`.
    async fn collect_until(
        collector: &mut JournalCollector,
        is_done: impl Fn(&Collected) -> bool,
    ) -> Collected {
        let polling = async {
            loop {
                let collected = collect(collector, Now::default()).await;
                if is_done(&collected) {
                    return collected;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let limit = Duration::from_secs(60);
        tokio::time::timeout(limit, polling).await.unwrap()
    }

    #[tokio::test]
    async fn a_restart_continues_behind_the_last_cursor() {
        let rig = Rig::new();
        let entry = |cursor: &str, message: &str| {
            format!(
                "echo '{{\"__CURSOR\":\"{cursor}\",\"MESSAGE\":{message},\"_SYSTEMD_UNIT\":\"ssh.service\"}}'\n"
            )
        };
        let script = entry("s=1", "\"Failed\"")
            + &entry("s=2", "[70,97,105,108,101,100,27]")
            + &entry("s=3", "null")
            + "echo garbage; exec sleep 1000";
        let mut collector = rig.collector(&script);
        let read = "log_collector_lines_unparsed_total{collector=\"auth\"}";
        let collected = collect_until(&mut collector, |collected| {
            collected.value(read) == Some(1.0)
        })
        .await;
        let failed = "failed_total{unit=\"ssh.service\"}";
        assert_eq!(
            (collected.value(failed), &collected.failure),
            (Some(2.0), &None)
        );
        drop(collector);

        let mut collector = rig.collector("exec sleep 1000");
        let collected = collect_until(&mut collector, |_| rig.arguments().lines().count() == 2);
        assert_eq!(collected.await.value(failed), Some(2.0));
        let common = "--output=json --all --follow";
        assert_eq!(
            rig.arguments(),
            format!(
                "{common} --lines=0 --unit=ssh.service\n\
                 {common} --after-cursor=s=3 --no-tail --unit=ssh.service\n"
            )
        );
    }

    #[tokio::test]
    async fn a_program_that_ends_is_started_again_and_its_error_is_shown() {
        let rig = Rig::new();
        let mut collector = rig.collector("echo 'no permission' >&2; exit 1");
        let collected = collect_until(&mut collector, |collected| collected.failure.is_some());
        let (reason, detail) = collected.await.failure.unwrap();
        assert_eq!(reason, "exit");
        assert!(detail.ends_with("exit status 1: no permission"), "{detail}");
        collect_until(&mut collector, |_| rig.arguments().lines().count() >= 3).await;
    }
}

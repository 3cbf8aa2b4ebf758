//! The output of a program that is started at each collection.

mod key_value;
mod nagios;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_collector::{Build, Collecting, Collector, EntryContext, EntryType};
use bellwether_core::{Batch, Failure, Kind, Now, SeriesBatch, is_metric_name};
use bellwether_exposition::{Format, SeriesParser};
use bellwether_http::redacted;
use bellwether_program::{Invocation, PATH, Termination};
use bellwether_schema::{Secret, Spanned, section, string_enum};
use nagios::Unit;
use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::document::{self, DocumentFormat};
use crate::mapping::{MappedMetric, Mapping, Seen};

string_enum! {
    /// Formats of the output of a program.
    pub enum OutputFormat {
        /// Text format of Prometheus; OpenMetrics, if it ends with `# EOF`.
        Prometheus = "prometheus",
        /// JSON; `metrics` says what is taken of it.
        Json = "json",
        /// Lines `key=value`. Each number becomes a gauge, or `metrics` says what is taken.
        KeyValue = "key_value",
        /// Output and exit status of a Nagios plugin.
        Nagios = "nagios",
        /// CSV with the names of the columns in the first line; `metrics` says what is taken of its rows.
        Csv = "csv",
        /// XML; `metrics` says what is taken of it.
        Xml = "xml",
    }
}

section! {
    /// Collector of type `exec`: starts a program at each collection, and reads its standard output. Needs
    /// `alerting.allow_exec`, and a configuration that only root and Bellwether's user may write. A program that fails
    /// brings nothing. At the timeout it is killed with all processes that it started.
    pub struct Exec {
        /// Absolute path of the program, and its arguments. There is no shell.
        pub command: Vec<Spanned<String>>,
        /// Format of its standard output.
        pub format: OutputFormat = OutputFormat::Prometheus,
        /// Metrics in the output, for `json`, `csv`, `xml` and `key_value`.
        pub metrics: Vec<MappedMetric> = Vec::new(),
        /// Beginning of the names of metrics, for `key_value` without `metrics`.
        pub prefix: String = String::new(),
        /// Character between the fields of `csv`.
        pub delimiter: Spanned<String> = Spanned::nowhere(",".to_owned()),
        /// Variables of the program's environment. Values are never shown. Besides them it has `PATH`,
        /// `BELLWETHER_COLLECTOR` and a mark of this start, `BELLWETHER_INVOCATION`, and nothing of Bellwether's own.
        pub environment: BTreeMap<String, Spanned<Secret>> = BTreeMap::new(),
        /// Working directory.
        pub working_directory: PathBuf = PathBuf::from("/"),
        /// User it runs as, by name or as `UID:GID`; needs Bellwether to run as root. Without it, Bellwether's own.
        pub user: Option<Spanned<String>>,
    }
}

/// Longest part of the timeout of a collection that is kept for killing the program.
const KILL: Duration = Duration::from_secs(1);
/// Exit status of a Nagios plugin that does not know the state.
const UNKNOWN: i32 = 3;

impl EntryType for Exec {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        let problems = &mut *context.problems;
        let user = self.user.as_ref();
        bellwether_program::check(&self.command, &self.environment, user, context.at, problems);
        let is_mapped = match self.format {
            OutputFormat::Json | OutputFormat::Csv | OutputFormat::Xml => true,
            OutputFormat::KeyValue => !self.metrics.is_empty(),
            OutputFormat::Prometheus | OutputFormat::Nagios => false,
        };
        let format = self.format.as_str();
        if is_mapped && self.metrics.is_empty() {
            problems
                .error(context.at, format!("no metrics for the format {format}"))
                .hint("set `metrics: [{name: backup_size_bytes, value: $.size}]`, for example");
        } else if !is_mapped && !self.metrics.is_empty() {
            problems
                .error(
                    context.at,
                    format!("metrics do not apply to the format {format}"),
                )
                .hint("to json, csv, xml and key_value; use metric_relabel_configs to drop series");
        }
        if !self.prefix.is_empty() && !is_metric_name(&self.prefix) {
            problems
                .error(
                    context.at,
                    format!("not the beginning of a metric name: {:?}", self.prefix),
                )
                .hint("letters, digits and _, not starting with a digit");
        }
        let delimiter = document::delimiter(&self.delimiter, problems);
        let mapping = Mapping::resolve(&self.metrics, problems);
        let reader = Reader {
            format: self.format,
            mapping: mapping?,
            prefix: self.prefix.clone(),
            delimiter: delimiter?,
            check: context.origin.as_str(),
        };
        let reader = Arc::new(reader);
        let settings = Arc::new(self.clone());
        let name = context.origin.as_str();
        let limit = context.timeout() - KILL.min(context.timeout() / 5);
        let output_limit = context.limits.bytes.0;
        context.build(move |_| ExecCollector {
            invocation: settings
                .invocation(name, output_limit)
                .map_err(|error| error.to_string()),
            settings: settings.clone(),
            limit,
            reader: reader.clone(),
            parser: Some(SeriesParser::default()),
            found: Found::default(),
        })
    }
}

impl Exec {
    fn invocation(
        &self,
        name: &str,
        output_limit: u64,
    ) -> Result<Invocation, bellwether_program::AccountError> {
        let own = [("PATH", PATH), ("BELLWETHER_COLLECTOR", name)];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let configured = self.environment.iter();
        let configured = configured.map(|(name, value)| (name.clone(), value.expose().to_owned()));
        Ok(Invocation {
            command: self.command.iter().map(|part| part.value.clone()).collect(),
            environment: own.into_iter().chain(configured).collect(),
            folder: self.working_directory.clone(),
            ids: bellwether_program::ids(self.user.as_ref())?,
            input: Vec::new(),
            output_limit: Some(output_limit),
        })
    }

    /// Returns a failure about the program, without secrets.
    fn failure(&self, reason: &'static str, detail: &str, stderr: &str) -> Failure {
        let program = self.command.first().map_or("", |program| &program.value);
        let mut text = format!("{program}: {detail}");
        if !stderr.is_empty() {
            text += &format!(": {stderr}");
        }
        let secrets = self.environment.values().map(|secret| secret.expose());
        Failure::new(reason, redacted(text, secrets))
    }
}

/// Runs the program.
struct ExecCollector {
    settings: Arc<Exec>,
    /// An error, if the program cannot run as its user.
    invocation: Result<Invocation, String>,
    /// Timeout of the program.
    limit: Duration,
    reader: Arc<Reader>,
    /// `None` while a blocking thread has it.
    parser: Option<SeriesParser>,
    found: Found,
}

/// Findings in outputs, for notes.
#[derive(Clone, Debug, Default)]
struct Found {
    /// Keys whose value is no number.
    left_out: BTreeSet<String>,
    seen: Seen,
}

impl Collector for ExecCollector {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, _: Now) -> Collecting<'a> {
        Box::pin(async move {
            let settings = self.settings.clone();
            let invocation = self.invocation.clone();
            let invocation = invocation.map_err(|error| settings.failure("io", &error, ""))?;
            let run = invocation.run(self.limit).await;
            let failure =
                |reason| settings.failure(reason, &run.termination.to_string(), &run.stderr);
            let is_nagios = self.reader.format == OutputFormat::Nagios;
            let (code, exit) = match run.termination {
                Termination::Code(0) => (0, Ok(())),
                Termination::Code(code @ 1..=UNKNOWN) if is_nagios => (code, Ok(())),
                Termination::Code(_) if is_nagios => (UNKNOWN, Err(failure("exit"))),
                Termination::Code(_) | Termination::Signal(_) => return Err(failure("exit")),
                Termination::TimedOut(_) => return Err(failure("timeout")),
                Termination::TooMuchOutput(_) | Termination::NotStarted(_) => {
                    return Err(failure("io"));
                }
            };
            let mut parser = self.parser.take().unwrap_or_default();
            let mut series = std::mem::take(&mut batch.series);
            let reader = self.reader.clone();
            let mut found = std::mem::take(&mut self.found);
            // A long output takes its time.
            let read = spawn_blocking(move || {
                found.left_out.clear();
                let result = reader.read(&run.output, code, &mut parser, &mut found, &mut series);
                (result, parser, found, series)
            });
            let (result, parser, found, series) = read
                .await
                .map_err(|error| Failure::new("panic", error.to_string()))?;
            self.parser = Some(parser);
            self.found = found;
            batch.series = series;
            exit?;
            result.map_err(|error| settings.failure("parse", &format!("output: {error}"), ""))
        })
    }

    fn notes(&self) -> Vec<String> {
        const SHOWN: usize = 10;
        let mut notes = self.reader.mapping.notes(&self.found.seen);
        let left_out = &self.found.left_out;
        if left_out.is_empty() {
            return notes;
        }
        let names: Vec<&str> = left_out.iter().take(SHOWN).map(String::as_str).collect();
        let more = if left_out.len() > SHOWN { ", ..." } else { "" };
        notes.push(format!(
            "keys without a number are left out: {}{more}",
            names.join(", ")
        ));
        notes
    }
}

/// Reads the output of a program.
#[derive(Debug)]
struct Reader {
    format: OutputFormat,
    mapping: Mapping,
    prefix: String,
    delimiter: char,
    /// Value of the label `check` of the series of a Nagios plugin.
    check: &'static str,
}

impl Reader {
    /// Adds the series of an output to `out`. `code` is the exit status.
    fn read(
        &self,
        output: &[u8],
        code: i32,
        parser: &mut SeriesParser,
        found: &mut Found,
        out: &mut SeriesBatch,
    ) -> Result<(), String> {
        if self.format == OutputFormat::Nagios {
            return self.read_nagios(&String::from_utf8_lossy(output), code, out);
        }
        let text = std::str::from_utf8(output)
            .map_err(|error| format!("not UTF-8 text: byte {}", error.valid_up_to()))?;
        match self.format {
            OutputFormat::Json => self.read_document(DocumentFormat::Json, text, found, out),
            OutputFormat::Csv => self.read_document(DocumentFormat::Csv, text, found, out),
            OutputFormat::Xml => self.read_document(DocumentFormat::Xml, text, found, out),
            OutputFormat::KeyValue => {
                let object = key_value::parse(text)?;
                if self.mapping.is_empty() {
                    self.add_numbers(&object, &mut found.left_out, out);
                    return Ok(());
                }
                let document = Value::Object(object).into();
                self.mapping.apply(&document, &mut found.seen, out)
            }
            _ => {
                let format = match text.trim_end().ends_with("# EOF") {
                    true => Format::OpenMetrics,
                    false => Format::Text,
                };
                // Into a batch of its own first: an invalid output brings nothing.
                let mut own = SeriesBatch::default();
                parser
                    .parse(text, format, &mut own)
                    .map_err(|error| error.to_string())?;
                out.append(&own);
                Ok(())
            }
        }
    }

    fn read_document(
        &self,
        format: DocumentFormat,
        text: &str,
        found: &mut Found,
        out: &mut SeriesBatch,
    ) -> Result<(), String> {
        let document = format.parse(text, self.delimiter)?;
        self.mapping.apply(&document, &mut found.seen, out)
    }

    fn add_numbers(
        &self,
        object: &serde_json::Map<String, Value>,
        left_out: &mut BTreeSet<String>,
        out: &mut SeriesBatch,
    ) {
        for (key, value) in object {
            let number = value.as_str().and_then(|text| text.parse::<f64>().ok());
            match number {
                Some(number) => {
                    out.begin(
                        &key_value::metric_name(&self.prefix, key),
                        Some(Kind::Gauge),
                        "",
                    );
                    out.push(&[], number);
                }
                None => drop(left_out.insert(key.clone())),
            }
        }
    }

    fn read_nagios(&self, text: &str, code: i32, out: &mut SeriesBatch) -> Result<(), String> {
        let help = "State of a Nagios plugin: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.";
        out.gauge(
            "nagios_plugin_state",
            help,
            &[("check", self.check)],
            f64::from(code),
        );
        let mut items = nagios::parse(text)?;
        let name = |unit: &Unit| match unit {
            Unit::Seconds => "nagios_plugin_perfdata_seconds",
            Unit::Bytes => "nagios_plugin_perfdata_bytes",
            Unit::Ratio => "nagios_plugin_perfdata_ratio",
            Unit::Counter => "nagios_plugin_perfdata_total",
            Unit::Other(_) => "nagios_plugin_perfdata",
        };
        items.sort_by_key(|item| name(&item.unit));
        let mut last = "";
        for item in &items {
            let (kind, unit) = match &item.unit {
                Unit::Counter => (Kind::Counter, ""),
                Unit::Other(unit) => (Kind::Gauge, unit.as_str()),
                _ => (Kind::Gauge, ""),
            };
            if last != name(&item.unit) {
                last = name(&item.unit);
                out.begin(last, Some(kind), "Performance data of a Nagios plugin.");
            }
            let labels = [
                ("check", self.check),
                ("label", item.label.as_str()),
                ("unit", unit),
            ];
            out.push(&labels, item.value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

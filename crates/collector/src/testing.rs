//! Collectors in tests: the context of their settings, one collection, and a server that they ask.

pub mod http;

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Batch, MetricDef, Now, Origin};
use bellwether_schema::{
    Decode, DecodeContext, Diagnostics, HumanDuration, MapReader, Node, Section, SourceLocation,
    Spanned, parse, section,
};

use crate::{
    Build, Collector, CollectorKind, CollectorLimits, CollectorPlan, EntryContext, EntryType,
    MetricDefaults, ResolveContext, Schedule, System, own_schedule,
};

/// Name of the collector.
pub const ORIGIN: Origin = Origin::from_static("x");

/// Schedule with an interval of 15 s.
pub const SCHEDULE: Schedule = Schedule {
    interval: Duration::from_secs(15),
    deadline: Duration::from_secs(10),
    settle: None,
};

section! {
    /// Those of the settings that all types have, which change how a type is resolved.
    pub struct Common {
        pub enabled: bool = true,
        pub interval: Option<Spanned<HumanDuration>> = None,
        pub timeout: Option<Spanned<HumanDuration>> = None,
        pub limits: CollectorLimits = CollectorLimits::default(),
    }
}

/// Calls `resolve` with the context of a collector of the list.
pub fn with_context<T>(
    host: &System,
    problems: &mut Diagnostics,
    resolve: impl FnOnce(&mut EntryContext<'_>) -> T,
) -> T {
    with_common(&Common::default(), host, problems, resolve)
}

fn with_common<T>(
    common: &Common,
    host: &System,
    problems: &mut Diagnostics,
    resolve: impl FnOnce(&mut EntryContext<'_>) -> T,
) -> T {
    let (interval, timeout) = (common.interval.as_ref(), common.timeout.as_ref());
    let schedule = own_schedule(SCHEDULE, interval, timeout, problems);
    resolve(&mut EntryContext {
        origin: ORIGIN,
        enabled: common.enabled,
        at: &SourceLocation::default(),
        schedule,
        limits: &common.limits,
        host,
        relabeling: Arc::default(),
        receiver: None,
        problems,
        warnings: &mut Vec::new(),
    })
}

/// Resolves the settings of a type in YAML, and those of [`Common`].
///
/// # Errors
/// Returns the errors with their hints, or that of invalid YAML.
pub fn resolve_type<T: EntryType + Section>(yaml: &str) -> Result<Build, Vec<String>> {
    let mut problems = Diagnostics::default();
    let node = parse(yaml).map_err(|error| vec![error.to_string()])?;
    let entry = read_entry::<T>(&node, &mut DecodeContext::new(&mut problems, &|_| None));
    let build = entry.and_then(|(settings, common)| {
        with_common(&common, &System::default(), &mut problems, |context| {
            settings.resolve(context)
        })
    });
    let problems = problems.into_sorted();
    match build {
        Some(build) if problems.is_empty() => Ok(build),
        _ => Err(problems.iter().map(ToString::to_string).collect()),
    }
}

fn read_entry<T: Section>(node: &Node, cx: &mut DecodeContext<'_>) -> Option<(T, Common)> {
    let mut map = MapReader::open(node, cx)?;
    let (settings, common) = (T::read(&mut map, None), Common::read(&mut map, None));
    map.finish();
    settings.zip(common)
}

/// Result of [`resolve_kind`].
pub struct ResolvedKind {
    pub plan: Option<CollectorPlan>,
    pub metrics: Vec<MetricDef>,
    /// Errors with their hints.
    pub problems: Vec<String>,
}

/// Resolves the settings of a kind in `yaml`, whose root is `performance_monitor`.
pub fn resolve_kind<T: CollectorKind + Decode>(yaml: &str, enabled: bool) -> ResolvedKind {
    let (mut problems, mut metrics) = (Diagnostics::default(), Vec::new());
    let node = match parse(yaml) {
        Ok(node) => node,
        Err(error) => {
            return ResolvedKind {
                plan: None,
                metrics,
                problems: vec![error.to_string()],
            };
        }
    };
    let settings = T::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None));
    let interval = Duration::from_secs(30);
    let plan = settings.and_then(|settings| {
        settings.resolve(&mut ResolveContext {
            defaults: MetricDefaults {
                origin: Origin::new("test"),
                prefix: "",
                interval,
            },
            schedule: Schedule {
                interval,
                deadline: Duration::from_secs(10),
                settle: None,
            },
            host: &System::default(),
            enabled,
            listed_at: None,
            problems: &mut problems,
            warnings: &mut Vec::new(),
            metrics: &mut metrics,
        })
    });
    let problems = problems.into_sorted();
    ResolvedKind {
        plan,
        metrics,
        problems: problems.iter().map(ToString::to_string).collect(),
    }
}

/// Result of one collection.
#[derive(Debug, Default)]
pub struct Collected {
    /// Series with their values, in their order.
    pub lines: Vec<String>,
    /// Reason and detail of the failure.
    pub failure: Option<(&'static str, String)>,
}

impl Collected {
    /// Returns the value of a series.
    #[must_use]
    pub fn value(&self, series: &str) -> Option<f64> {
        let mut lines = self.lines.iter();
        let line = lines.find_map(|line| line.strip_prefix(series))?;
        line.trim().parse().ok()
    }
}

/// Collects once.
pub async fn collect(collector: &mut dyn Collector, now: Now) -> Collected {
    let mut batch = Batch::default();
    let result = collector.collect(&mut batch, now).await;
    Collected {
        lines: batch.series.lines().collect(),
        failure: result.err().map(|failure| (failure.reason, failure.detail)),
    }
}

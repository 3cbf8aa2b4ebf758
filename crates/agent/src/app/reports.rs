//! Reports by schedule: made on a thread of low priority, then queued for their channels.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bellwether_core::{SelfMetricsBatch, UnixMillis};
use bellwether_files::durable::{JsonFile, LoadedState, Saver};
use bellwether_notify::{Bulletin, BulletinStats};
use bellwether_report::{self as report, Agent, Inquiry, ReportSettings, SavedSchedule, Schedule};
use bellwether_server::{Handle, LifecycleBackend, MetricsBackend, ReportHealth};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::{error, info, warn};

use super::App;
use super::backend::AppBackend;

/// Longest time between two looks at the schedule: clocks may be set.
const PAUSE: Duration = Duration::from_secs(30);
/// Time that the collectors have after the start before a report is made.
const START: Duration = Duration::from_secs(60);

/// Schedule of the reports, in its file of the state directory.
pub(super) struct Reports {
    schedule: Mutex<Schedule>,
    /// None if all state ends with the process.
    file: Option<Arc<Saver>>,
    failures: Mutex<BTreeMap<String, u64>>,
    /// Set by a reload.
    pub(super) changed: Notify,
}

impl Reports {
    /// Reads the file, if there is one.
    pub(super) async fn open(file: Option<Arc<Saver>>) -> Self {
        let schedule = match file.clone() {
            Some(file) => load(file).await,
            None => Schedule::default(),
        };
        Self {
            schedule: Mutex::new(schedule),
            file,
            failures: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Returns why the schedule is not on disk.
    pub(super) fn problem(&self) -> Option<String> {
        self.file.as_ref()?.problem()
    }

    async fn save(&self) {
        let Some(saver) = self.file.clone() else {
            return;
        };
        let saved = self.schedule.lock().saved().clone();
        let saving = move || saver.save(|| JsonFile::new(saver.path()).save(&saved));
        // The saver logs a failure.
        tokio::task::spawn_blocking(saving).await.ok();
    }

    fn is_due_to_save(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.is_due())
    }
}

async fn load(file: Arc<Saver>) -> Schedule {
    let path = file.path().display().to_string();
    let load = move || file.load(|| JsonFile::<SavedSchedule>::new(file.path()).load());
    match tokio::task::spawn_blocking(load).await {
        Ok(Ok(LoadedState::Loaded(saved))) => return saved.into(),
        Ok(Ok(LoadedState::Absent)) => {}
        Ok(Ok(LoadedState::Corrupt { aside, reason })) => {
            let aside = aside.display();
            warn!(path, %reason, %aside, "the schedule of reports is corrupt; a report that was missed is not made");
        }
        Ok(Err(error)) => warn!(path, %error, "cannot read the schedule of reports"),
        Err(error) => warn!(path, %error, "cannot read the schedule of reports"),
    }
    Schedule::default()
}

/// This process as the agent that a report is about.
struct ThisAgent {
    server: Handle,
    runtime: tokio::runtime::Handle,
}

impl Agent for ThisAgent {
    fn get(&self, path: &str, parameters: &[(&str, String)]) -> anyhow::Result<Value> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let query = query.extend_pairs(parameters).finish();
        Ok(self.runtime.block_on(self.server.ask(path, &query))?)
    }
}

impl App {
    /// Makes reports when they are due. Does not end.
    pub(super) async fn keep_reports(self: Arc<Self>) {
        self.until_collected().await;
        loop {
            let now = self.clock.now().wall;
            let settings = self.current.load().plan.root.reports.clone();
            let is_changed = self.reports.schedule.lock().follow(&settings, now);
            if is_changed || self.reports.is_due_to_save() {
                self.reports.save().await;
            }
            for report in &settings {
                self.make_if_due(report).await;
            }
            let is_needless = settings.is_empty() && !self.reports.is_due_to_save();
            tokio::select! {
                () = sleep(self.until_next(&settings)), if !is_needless => {}
                () = self.reports.changed.notified() => {}
            }
        }
    }

    /// Waits until every collector ran, for a while.
    async fn until_collected(self: &Arc<Self>) {
        let backend = AppBackend(self.clone());
        let ready = async {
            while !backend.is_ready() {
                sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::time::timeout(START, ready).await.ok();
    }

    fn until_next(&self, settings: &[ReportSettings]) -> Duration {
        let now = self.clock.now().wall;
        let schedule = self.reports.schedule.lock();
        let next = settings
            .iter()
            .filter_map(|report| schedule.next(report, now));
        next.min().map_or(PAUSE, |next| next.since(now).min(PAUSE))
    }

    async fn make_if_due(self: &Arc<Self>, settings: &ReportSettings) {
        let name = &settings.name.value;
        let now = self.clock.now().wall;
        let due = self.reports.schedule.lock().due(settings, now);
        let Some(due) = due else { return };
        match self.make(settings, due).await {
            Ok(bulletin) => {
                let channels: Vec<String> =
                    settings.channels.iter().map(|c| c.value.clone()).collect();
                info!(report = name, title = bulletin.title, "report made");
                // Queued first: a crash between the two makes it again, and its channels know its id.
                let missing = self.notifier.publish(bulletin, &channels).await;
                if !missing.is_empty() {
                    let channels = missing.join(", ");
                    warn!(
                        report = name,
                        channels, "report not sent to disabled channels"
                    );
                }
                self.reports.schedule.lock().mark_made(settings, due);
                self.reports.save().await;
            }
            Err(error) => {
                error!(
                    report = name,
                    error = format!("{error:#}"),
                    "cannot make a report"
                );
                *self
                    .reports
                    .failures
                    .lock()
                    .entry(name.clone())
                    .or_default() += 1;
                self.reports.schedule.lock().mark_failed(settings, now);
            }
        }
    }

    /// Makes the report of the time `due`.
    async fn make(
        self: &Arc<Self>,
        settings: &ReportSettings,
        due: UnixMillis,
    ) -> anyhow::Result<Bulletin> {
        let server = self.web.handle().context("the HTTP server is not open")?;
        let agent = ThisAgent {
            server: server.clone(),
            runtime: tokio::runtime::Handle::current(),
        };
        let backend = AppBackend(self.clone());
        let (settings, now) = (settings.clone(), backend.now().wall);
        let sender = self
            .current
            .load()
            .plan
            .sender
            .labels
            .get("instance")
            .cloned();
        let work = server.spawn_low(move || {
            let inquiry = Inquiry {
                agent: &agent,
                from: due.before(settings.range.0),
                to: due,
                now,
            };
            let mut report = inquiry.report()?;
            report.host = sender.unwrap_or(report.host);
            anyhow::Ok(report::bulletin(&settings, &report, due)?)
        });
        work.await?
    }

    /// Returns the status of each report.
    pub(super) fn report_health(&self) -> Vec<ReportHealth> {
        let now = self.clock.now().wall;
        let stats = self.notifier.bulletin_stats();
        let active = self.current.load();
        let schedule = self.reports.schedule.lock();
        let reports = active.plan.root.reports.iter();
        reports
            .map(|report| ReportHealth {
                schedule: report.schedule.to_string(),
                next: schedule.next(report, now),
                ..of_channels(report, &stats)
            })
            .collect()
    }

    pub(super) fn add_report_failures(&self, batch: &mut SelfMetricsBatch<'_>) {
        let failures = self.reports.failures.lock();
        for report in &self.current.load().plan.root.reports {
            let name = report.name.value.as_str();
            let count = failures.get(name).copied().unwrap_or_default();
            batch.push(&bellwether_report::REPORT_FAILURES, &[name], count as f64);
        }
    }
}

/// Returns what the channels say about a report.
fn of_channels(report: &ReportSettings, stats: &[BulletinStats]) -> ReportHealth {
    let topic = format!("report/{}", report.name.value);
    let of_report = || stats.iter().filter(|one| one.topic == topic);
    ReportHealth {
        name: report.name.value.clone(),
        channels: report
            .channels
            .iter()
            .map(|one| one.value.clone())
            .collect(),
        queued: of_report().map(|one| one.queued).sum(),
        last_sent: of_report().filter_map(|one| one.last_success).max(),
        last_error: of_report().find_map(|one| {
            let error = one.last_error.as_ref()?;
            Some(format!("{}: {error}", one.channel))
        }),
        ..ReportHealth::default()
    }
}

//! Times at which reports are due. Pure.
//!
//! The schedule remembers up to when each report was made. So one that was due while the agent did not run is made
//! once after the start, for the last of the times that were missed.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_core::UnixMillis;
use bellwether_files::durable::JsonState;
use serde::{Deserialize, Serialize};

use super::ReportSettings;

/// Time by which clocks are set back without a report being due again.
const CLOCK_STEP: Duration = Duration::from_secs(3600);
/// Time between attempts to make a report that could not be made.
const RETRY: Duration = Duration::from_secs(60);

/// Times up to which reports are made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    saved: SavedSchedule,
    /// Reports that could not be made, with the time of the next attempt.
    retry_at: BTreeMap<String, UnixMillis>,
}

/// Part of the schedule that outlives a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedSchedule {
    reports: BTreeMap<String, Made>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Made {
    /// Schedule and time zone: another one begins anew.
    schedule: String,
    /// Time up to which all is made.
    until: UnixMillis,
}

impl JsonState for SavedSchedule {
    const VERSION: u32 = 1;
}

impl From<SavedSchedule> for Schedule {
    fn from(saved: SavedSchedule) -> Self {
        Self {
            saved,
            retry_at: BTreeMap::new(),
        }
    }
}

impl Schedule {
    /// Returns what to save.
    #[must_use]
    pub fn saved(&self) -> &SavedSchedule {
        &self.saved
    }

    /// Begins to watch the new ones of `reports`, and forgets those that are gone. A new report, or one with another
    /// schedule, is due from `now` on. Returns whether anything changed.
    pub fn follow(&mut self, reports: &[ReportSettings], now: UnixMillis) -> bool {
        let before = self.saved.clone();
        let mut known = std::mem::take(&mut self.saved.reports);
        for report in reports {
            let schedule = described(report);
            let made = known
                .remove(&report.name.value)
                .filter(|made| made.schedule == schedule)
                .filter(|made| made.until <= now.after(CLOCK_STEP));
            let until = made.map_or(now, |made| made.until);
            let made = Made { schedule, until };
            self.saved.reports.insert(report.name.value.clone(), made);
        }
        self.saved != before
    }

    /// Returns the time at which `report` was due and is not made yet.
    #[must_use]
    pub fn due(&self, report: &ReportSettings, now: UnixMillis) -> Option<UnixMillis> {
        let name = &report.name.value;
        let made = self.saved.reports.get(name)?;
        if self.retry_at.get(name).is_some_and(|at| *at > now) {
            return None;
        }
        report
            .schedule
            .last(made.until, now, report.location.zone())
    }

    /// Returns the next time at which `report` is due.
    #[must_use]
    pub fn next(&self, report: &ReportSettings, now: UnixMillis) -> Option<UnixMillis> {
        report.schedule.next(now, report.location.zone())
    }

    /// Records that `report` of the time `due` was made.
    pub fn mark_made(&mut self, report: &ReportSettings, due: UnixMillis) {
        let name = &report.name.value;
        self.retry_at.remove(name);
        if let Some(made) = self.saved.reports.get_mut(name) {
            made.until = due;
        }
    }

    /// Records that `report` could not be made `now`.
    pub fn mark_failed(&mut self, report: &ReportSettings, now: UnixMillis) {
        let name = report.name.value.clone();
        self.retry_at.insert(name, now.after(RETRY));
    }
}

fn described(report: &ReportSettings) -> String {
    let location = serde_json::to_string(&report.location).unwrap_or_default();
    format!("{} in {location}", report.schedule)
}

#[cfg(test)]
mod tests {
    use bellwether_files::durable::JsonFile;

    use super::super::settings::testing::report;
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const DAY: Duration = Duration::from_secs(86_400);
    /// 2026-11-30 07:00 UTC, a Monday.
    const MONDAY: UnixMillis = UnixMillis(1_796_022_000_000);

    /// The schedule as the next process reads it.
    fn restarted(schedule: &Schedule) -> Schedule {
        let text = JsonFile::render(schedule.saved()).unwrap();
        JsonFile::<SavedSchedule>::parse(&text).unwrap().into()
    }

    #[test]
    fn a_report_is_due_once_at_its_time_and_a_new_one_not_for_the_past() {
        let weekly = report("0 7 * * mon");
        let mut schedule = Schedule::default();
        assert!(schedule.follow(std::slice::from_ref(&weekly), MONDAY.before(MINUTE)));
        assert_eq!(schedule.due(&weekly, MONDAY.before(MINUTE)), None);
        assert_eq!(schedule.next(&weekly, MONDAY.before(MINUTE)), Some(MONDAY));
        assert_eq!(schedule.due(&weekly, MONDAY), Some(MONDAY));
        schedule.mark_made(&weekly, MONDAY);
        let mut schedule = restarted(&schedule);
        assert!(!schedule.follow(std::slice::from_ref(&weekly), MONDAY.after(MINUTE)));
        assert_eq!(schedule.due(&weekly, MONDAY.after(MINUTE)), None);
        assert_eq!(
            schedule.next(&weekly, MONDAY),
            Some(MONDAY.after(7 * DAY)),
            "a week later"
        );
    }

    #[test]
    fn of_the_times_that_were_missed_the_last_one_is_due_once() {
        let daily = report("0 7 * * *");
        let mut schedule = Schedule::default();
        schedule.follow(std::slice::from_ref(&daily), MONDAY);
        let mut schedule = restarted(&schedule);
        let now = MONDAY.after(5 * DAY).after(MINUTE);
        schedule.follow(std::slice::from_ref(&daily), now);
        assert_eq!(schedule.due(&daily, now), Some(MONDAY.after(5 * DAY)));
        // Killed before it was made: due still. Made: not any more.
        let mut schedule = restarted(&schedule);
        assert_eq!(schedule.due(&daily, now), Some(MONDAY.after(5 * DAY)));
        schedule.mark_made(&daily, MONDAY.after(5 * DAY));
        assert_eq!(restarted(&schedule).due(&daily, now), None);
    }

    #[test]
    fn another_schedule_begins_anew_and_a_clock_that_was_far_ahead_too() {
        let mut schedule = Schedule::default();
        schedule.follow(&[report("0 7 * * mon")], MONDAY.before(7 * DAY));
        let daily = report("0 6 * * *");
        assert!(schedule.follow(std::slice::from_ref(&daily), MONDAY));
        assert_eq!(schedule.due(&daily, MONDAY), None);
        let ahead = MONDAY.after(400 * DAY);
        schedule.mark_made(&daily, ahead);
        schedule.follow(std::slice::from_ref(&daily), MONDAY);
        let next = MONDAY.after(DAY);
        assert!(schedule.due(&daily, next).is_some());
        // A step back over the time itself makes no second report.
        schedule.mark_made(&daily, next);
        schedule.follow(std::slice::from_ref(&daily), next.before(MINUTE));
        assert_eq!(schedule.due(&daily, next.after(MINUTE)), None);
    }

    #[test]
    fn a_report_that_could_not_be_made_is_tried_again_after_a_minute() {
        let weekly = report("0 7 * * mon");
        let mut schedule = Schedule::default();
        schedule.follow(std::slice::from_ref(&weekly), MONDAY.before(MINUTE));
        schedule.mark_failed(&weekly, MONDAY);
        assert_eq!(schedule.due(&weekly, MONDAY), None);
        assert_eq!(schedule.due(&weekly, MONDAY.after(MINUTE)), Some(MONDAY));
    }

    #[test]
    fn a_report_that_is_gone_is_forgotten() {
        let mut schedule = Schedule::default();
        schedule.follow(&[report("@daily")], MONDAY);
        assert!(schedule.follow(&[], MONDAY));
        assert_eq!(schedule, Schedule::default());
    }
}

//! Silences of the declaration.

use bellwether_core::UnixMillis;
use bellwether_schema::{Diagnostics, Spanned, is_file_name, section};
use globset::{Glob, GlobSet, GlobSetBuilder};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};

use super::recurs::Recurs;
use super::{NO_END, Silence};
use crate::matchers::Matchers;
use crate::time_interval::{Location, RecurringSettings, TimeIntervals};

section! {
    /// Times at which some alerts are not told: recurring ones, a single one, or both together. An
    /// alert that still fires at the end is told then.
    pub struct MaintenanceSettings {
        /// Its name; as a silence it is called `maintenance/NAME`.
        pub name: Spanned<String>,
        /// Which alerts, as with routes. None: all.
        pub matchers: Matchers = Matchers::default(),
        /// Globs of rule names; alerts of other rules are told. Empty: all rules.
        pub rules: Vec<Spanned<String>> = Vec::new(),
        /// Recurring times; one of them, or of `intervals`, must hold.
        pub times: Vec<RecurringSettings> = Vec::new(),
        /// Names of time intervals; one of them, or of `times`, must hold.
        pub intervals: Vec<Spanned<String>> = Vec::new(),
        /// Whose clocks count for `from`, `until` and those `times` that have no location.
        pub location: Location = Location::default(),
        /// Its first moment: `2026-12-24`, `2026-12-24T18:00`, or with an offset from UTC. By
        /// default it always was.
        pub from: Option<Spanned<String>> = None,
        /// The moment it is over, written like `from`. By default it never is.
        pub until: Option<Spanned<String>> = None,
        /// What for.
        pub comment: String = String::new(),
    }
}

impl MaintenanceSettings {
    /// Compiles what is declared; what is wrong goes to `problems`.
    pub(crate) fn compile(
        all: &[Self],
        intervals: &TimeIntervals,
        problems: &mut Diagnostics,
    ) -> Vec<Silence> {
        for (index, one) in all.iter().enumerate() {
            if all[..index].iter().any(|other| *other.name == *one.name) {
                let message = format!("maintenance {:?} is declared twice", one.name.value);
                problems.error(&one.name.at, message);
            }
        }
        all.iter()
            .map(|one| compiled(one, intervals, problems))
            .collect()
    }
}

fn compiled(
    one: &MaintenanceSettings,
    intervals: &TimeIntervals,
    problems: &mut Diagnostics,
) -> Silence {
    if !is_file_name(&one.name) {
        problems
            .error(&one.name.at, format!("not a name: {:?}", one.name.value))
            .hint("up to 64 letters, digits, dashes, underscores and dots");
    }
    let recurs = Recurs {
        times: one.times.clone(),
        intervals: one.intervals.clone(),
        location: one.location.clone(),
    };
    if recurs.is_always() && one.from.is_none() && one.until.is_none() {
        problems.error(&one.name.at, "it does not say when").hint(
            "give `times` or `intervals` for what recurs, `from` and `until` for a single time",
        );
    }
    let from = one
        .from
        .as_ref()
        .and_then(|at| moment(at, &one.location, problems));
    let until = one
        .until
        .as_ref()
        .and_then(|at| moment(at, &one.location, problems));
    let starts_at = from.unwrap_or(UnixMillis(0));
    let ends_at = until.unwrap_or(NO_END);
    if let Some(until) = one.until.as_ref().filter(|_| ends_at <= starts_at) {
        problems.error(&until.at, "must be later than `from`");
    }
    Silence {
        id: format!("maintenance/{}", one.name.value),
        matchers: one.matchers.clone(),
        rules: rules(&one.rules, problems),
        starts_at,
        ends_at,
        created_by: "maintenance".to_owned(),
        comment: one.comment.clone(),
        updated_at: UnixMillis(0),
        times: recurs.compile(intervals, problems),
        recurs,
        source: Some("alerting.maintenance".into()),
    }
}

/// The globs as one; `None` where there are none.
fn rules(globs: &[Spanned<String>], problems: &mut Diagnostics) -> Option<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        match Glob::new(glob) {
            Ok(glob) => {
                set.add(glob);
            }
            Err(error) => {
                problems
                    .error(
                        &glob.at,
                        format!("invalid glob {:?}: {}", glob.value, error.kind()),
                    )
                    .hint("use the name of a rule, or * and ? and [a-z] in it");
            }
        }
    }
    (!globs.is_empty()).then(|| set.build().unwrap_or_default())
}

/// A point in time, on the clocks of `location` unless it says its offset.
pub(super) fn moment(
    text: &Spanned<String>,
    location: &Location,
    problems: &mut Diagnostics,
) -> Option<UnixMillis> {
    let local = |time: DateTime| location.zone().to_timestamp(time).ok();
    let at = text.parse::<Timestamp>().ok();
    let at = at.or_else(|| text.parse::<DateTime>().ok().and_then(local));
    let at = at.or_else(|| {
        text.parse::<Date>()
            .ok()
            .and_then(|date| local(date.at(0, 0, 0, 0)))
    });
    if at.is_none() {
        problems
            .error(&text.at, format!("not a point in time: {:?}", text.value))
            .hint("2026-12-24, 2026-12-24T18:00 or 2026-12-24T18:00:00+01:00");
    }
    at.map(|at| UnixMillis(at.as_millisecond()))
}

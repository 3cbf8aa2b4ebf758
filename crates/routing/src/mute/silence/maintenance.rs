//! Maintenance: silences of the configuration.

use bellwether_calendar::Location;
use bellwether_core::UnixMillis;
use bellwether_schema::{Diagnostics, Override, Spanned, is_file_name, section};
use globset::{Glob, GlobSet, GlobSetBuilder};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};

use super::recurrence::Recurs;
use super::{NO_END, Silence};
use crate::mute::time_interval::{RecurringSettings, TimeIntervals};
use crate::route::matchers::Matchers;

section! {
    /// Times at which some alerts are not notified: recurring times, a single time, or both together.
    /// An alert that still fires at the end is notified then.
    pub struct MaintenanceSettings {
        /// Name; the id of the silence is `maintenance/NAME`.
        pub name: Spanned<String>,
        /// If true, this entry replaces the one of its name of an earlier file, as `include` describes.
        pub r#override: Override,
        /// Matchers as in routes. Without any, all alerts match.
        pub matchers: Matchers = Matchers::default(),
        /// Globs of rule names; alerts of other rules are notified. Empty: all rules.
        pub rules: Vec<Spanned<String>> = Vec::new(),
        /// Recurring times; the silence is in force within any of them or of `intervals`.
        pub times: Vec<RecurringSettings> = Vec::new(),
        /// Names of time intervals; the silence is in force within any of them or of `times`.
        pub intervals: Vec<Spanned<String>> = Vec::new(),
        /// Time zone of `from`, `until` and those `times` that have no location.
        pub location: Location = Location::default(),
        /// Start: `2026-12-24`, `2026-12-24T18:00`, or with an offset from UTC. By default there is
        /// none.
        pub from: Option<Spanned<String>> = None,
        /// End, written like `from`. By default there is none.
        pub until: Option<Spanned<String>> = None,
        /// Comment.
        pub comment: String = String::new(),
    }
}

impl MaintenanceSettings {
    /// Compiles the settings; errors go to `diagnostics`.
    pub(crate) fn compile(
        all: &[Self],
        intervals: &TimeIntervals,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Silence> {
        for (index, settings) in all.iter().enumerate() {
            let name = &settings.name;
            if all[..index].iter().any(|other| *other.name == **name) {
                let message = format!("duplicate maintenance {:?}", name.value);
                diagnostics.error(&name.at, message);
            }
        }
        all.iter()
            .map(|settings| compile(settings, intervals, diagnostics))
            .collect()
    }
}

fn compile(
    settings: &MaintenanceSettings,
    intervals: &TimeIntervals,
    diagnostics: &mut Diagnostics,
) -> Silence {
    let recurs = Recurs {
        times: settings.times.clone(),
        intervals: settings.intervals.clone(),
        location: settings.location.clone(),
    };
    check_name_and_times(settings, &recurs, diagnostics);
    let mut parse_time =
        |text: &Option<Spanned<String>>| moment(text.as_ref()?, &settings.location, diagnostics);
    let starts_at = parse_time(&settings.from).unwrap_or(UnixMillis(0));
    let ends_at = parse_time(&settings.until).unwrap_or(NO_END);
    if let Some(until) = settings.until.as_ref().filter(|_| ends_at <= starts_at) {
        diagnostics.error(&until.at, "must be later than `from`");
    }
    Silence {
        id: format!("maintenance/{}", settings.name.value),
        matchers: settings.matchers.clone(),
        rules: rules(&settings.rules, diagnostics),
        starts_at,
        ends_at,
        created_by: "maintenance".to_owned(),
        comment: settings.comment.clone(),
        updated_at: UnixMillis(0),
        times: recurs.compile(intervals, diagnostics),
        recurs,
        source: Some("alerting.maintenance".into()),
    }
}

fn check_name_and_times(
    settings: &MaintenanceSettings,
    recurs: &Recurs,
    diagnostics: &mut Diagnostics,
) {
    let name = &settings.name;
    if !is_file_name(name) {
        diagnostics
            .error(&name.at, format!("invalid name: {:?}", name.value))
            .hint("up to 64 letters, digits, dashes, underscores and dots");
    }
    if recurs.is_always() && settings.from.is_none() && settings.until.is_none() {
        diagnostics.error(&name.at, "no times").hint(
            "set `times` or `intervals` for recurring times, `from` and `until` for a single time",
        );
    }
}

/// Compiles the globs; `None` without any.
fn rules(globs: &[Spanned<String>], diagnostics: &mut Diagnostics) -> Option<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        match Glob::new(glob) {
            Ok(glob) => {
                set.add(glob);
            }
            Err(error) => {
                diagnostics
                    .error(
                        &glob.at,
                        format!("invalid glob {:?}: {}", glob.value, error.kind()),
                    )
                    .hint("use the name of a rule, with *, ? or [a-z] in it");
            }
        }
    }
    (!globs.is_empty()).then(|| set.build().unwrap_or_default())
}

/// Parses a time, in the zone of `location` unless it has an offset from UTC.
pub(crate) fn moment(
    text: &Spanned<String>,
    location: &Location,
    diagnostics: &mut Diagnostics,
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
        diagnostics
            .error(&text.at, format!("invalid time: {:?}", text.value))
            .hint("2026-12-24, 2026-12-24T18:00 or 2026-12-24T18:00:00+01:00");
    }
    at.map(|at| UnixMillis(at.as_millisecond()))
}

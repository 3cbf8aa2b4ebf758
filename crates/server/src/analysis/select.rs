//! Which series a question is about.

use std::time::Duration;

use bellwether_core::{Kind, LabelSet, METRIC_NAME, MetricDef, UnixMillis};
use bellwether_matcher::{LabelMatcher, ValueTest};
use bellwether_promql::{Guard, Queryable, SampledSeries, StorageError, selector_within};

use super::Desk;
use super::params::no_answer;
use crate::answer::Trouble;
use crate::query::{Parameters, bad_data, trouble};

/// Most series that one answer tells about.
pub(super) const MOST: usize = 1000;

/// What `metric` selects.
pub(super) struct Selected<'a> {
    /// As it was asked for.
    pub(super) asked: String,
    /// What selects its series.
    pub(super) matchers: Vec<LabelMatcher>,
    /// Its declaration, where it is declared.
    pub(super) def: Option<&'a MetricDef>,
    /// Whether it is a running total: then it is judged by its rate.
    pub(super) total: bool,
    /// The end of the time looked at.
    pub(super) at: UnixMillis,
}

impl<'a> Selected<'a> {
    /// Reads `metric`, a declared name, a name of the page or a selector with labels, and `time`.
    pub(super) fn read(params: &Parameters, desk: &Desk<'a>) -> Result<Self, Trouble> {
        let missing = || {
            bad_data(
                "parameter \"metric\" is missing: the name of a metric, or a selector such as cpu_percent{instance=\"a\"}",
            )
        };
        let asked = params.given("metric").ok_or_else(missing)?;
        let all = selector_within(asked, desk.guard);
        let mut all = all.map_err(trouble)?;
        let (Some(mut matchers), true) = (all.pop(), all.is_empty()) else {
            return Err(bad_data(format!(
                "one selector is wanted, without \"or\": {asked}"
            )));
        };
        let def = declared(&mut matchers, desk.metrics);
        // A summary has series of its own name, its quantiles; a histogram has none.
        if let Some(def) = def.filter(|def| def.kind == Kind::Histogram) {
            let name = &def.exported;
            return Err(no_answer(format!(
                "{} is a histogram; ask for {name}_count (how many) or {name}_sum (how much)",
                def.name
            )));
        }
        let name = name_of(&matchers);
        let total = Self::is_total(name, desk.metrics);
        let at = params.time("time")?.unwrap_or(desk.now);
        Ok(Self {
            asked: asked.to_owned(),
            matchers,
            def,
            total,
            at,
        })
    }

    /// Whether the series of that name on the page grow by nature: a declared counter, a part of a
    /// declared histogram or summary; of what is not declared the name tells.
    pub(super) fn is_total(name: &str, metrics: &[MetricDef]) -> bool {
        let declared = |name: &str| metrics.iter().find(|def| *def.exported == *name);
        if let Some(def) = declared(name) {
            return def.kind == Kind::Counter;
        }
        let part = ["_bucket", "_count", "_sum"]
            .iter()
            .find_map(|end| name.strip_suffix(end));
        part.is_some_and(|whole| declared(whole).is_some()) || name.ends_with("_total")
    }

    /// Its name on the page; empty where a selector names none.
    pub(super) fn name(&self) -> &str {
        name_of(&self.matchers)
    }

    /// What it is judged by.
    pub(super) fn judged_by(&self) -> &'static str {
        if self.total {
            "change per second"
        } else {
            "value"
        }
    }

    /// Where its samples are; of a total, their rates.
    pub(super) fn source<'s>(&self, desk: &Desk<'s>) -> Source<'s> {
        Source {
            inner: desk.source,
            rates: self.total,
        }
    }

    /// Its series over `window` before the end, sorted; at least one, and at most [`MOST`].
    pub(super) fn series(
        &self,
        desk: &Desk<'_>,
        window: Duration,
    ) -> Result<Vec<SampledSeries>, Trouble> {
        let source = self.source(desk);
        let found = source.select(&self.matchers, self.at.before(window), self.at, desk.guard);
        let mut found = found.map_err(storage)?;
        self.check(found.len(), desk)?;
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(found)
    }

    /// Whether so many series can be told about.
    pub(super) fn check(&self, found: usize, desk: &Desk<'_>) -> Result<(), Trouble> {
        if found > MOST {
            return Err(
                no_answer(format!("{found} series, more than {MOST}: {}", self.asked))
                    .hint("select fewer by labels, such as cpu_percent{instance=\"a\"}"),
            );
        }
        if found > 0 {
            return Ok(());
        }
        let known = self.def.is_some() || is_known(name_of(&self.matchers), desk);
        let trouble = no_answer(format!("no samples in that time: {}", self.asked));
        Err(trouble.hint(if known {
            "it is known; ask for a longer window, an earlier time, or other labels"
        } else {
            "no such metric; /api/v1/metrics lists the declared ones"
        }))
    }
}

/// What reading samples failed with.
pub(super) fn storage(error: StorageError) -> Trouble {
    match error {
        StorageError::Stopped(stopped) => {
            no_answer(stopped.to_string()).hint("ask for a shorter window or fewer series")
        }
        StorageError::Unreadable(message) => {
            Trouble::new(hyper::StatusCode::INTERNAL_SERVER_ERROR, message)
        }
    }
}

fn name_of(matchers: &[LabelMatcher]) -> &str {
    let name = matchers
        .iter()
        .find(|matcher| *matcher.name == *METRIC_NAME);
    name.and_then(|name| name.test.exact()).unwrap_or_default()
}

/// The metric that is meant, by its declared name or that of the page; the matcher is given the
/// latter.
fn declared<'a>(matchers: &mut [LabelMatcher], metrics: &'a [MetricDef]) -> Option<&'a MetricDef> {
    let matcher = matchers
        .iter_mut()
        .find(|matcher| *matcher.name == *METRIC_NAME)?;
    let name = matcher.test.exact()?;
    let by_page = metrics.iter().find(|def| *def.exported == *name);
    let def = by_page.or_else(|| metrics.iter().find(|def| *def.name == *name))?;
    matcher.test = ValueTest::equal(&def.exported, false);
    Some(def)
}

fn is_known(name: &str, desk: &Desk<'_>) -> bool {
    let matchers = [LabelMatcher {
        name: METRIC_NAME.into(),
        test: ValueTest::equal(name, false),
    }];
    let found = desk.source.series(
        &matchers,
        UnixMillis(i64::MIN),
        UnixMillis(i64::MAX),
        desk.guard,
    );
    found.is_ok_and(|found| !found.is_empty())
}

/// Samples as they are or, of totals, as change per second; a total that falls began anew.
pub(super) struct Source<'a> {
    inner: &'a dyn Queryable,
    rates: bool,
}

impl Queryable for Source<'_> {
    fn select(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<SampledSeries>, StorageError> {
        let found = self.inner.select(matchers, from, to, guard)?;
        Ok(if self.rates {
            found.into_iter().map(rates).collect()
        } else {
            found
        })
    }

    fn series(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<LabelSet>, StorageError> {
        self.inner.series(matchers, from, to, guard)
    }
}

/// Totals as change per second.
pub(super) fn rates(series: SampledSeries) -> SampledSeries {
    let SampledSeries {
        labels,
        times,
        values,
    } = series;
    let steps = times.windows(2).zip(values.windows(2));
    let rate = |(times, values): (&[i64], &[f64])| {
        let seconds = times[1].saturating_sub(times[0]) as f64 / 1000.0;
        let added = if values[1] < values[0] {
            values[1]
        } else {
            values[1] - values[0]
        };
        (times[1], added / seconds)
    };
    let (times, values) = steps.map(rate).unzip();
    SampledSeries {
        labels,
        times,
        values,
    }
}

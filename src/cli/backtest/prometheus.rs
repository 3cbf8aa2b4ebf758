//! Recorded samples from a server with Prometheus's query API: Prometheus, VictoriaMetrics or
//! Bellwether.

use std::collections::BTreeMap;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable, SampledSeries, StorageError};
use form_urlencoded::Serializer;
use serde::Deserialize;

use crate::cli::Global;
use crate::cli::client::Target;

/// Server of a [`Target`].
pub(super) struct Server<'a> {
    pub(super) global: &'a Global,
    pub(super) target: &'a Target,
}

/// Response of the API.
#[derive(Deserialize)]
struct Answer<T> {
    data: Option<T>,
    error: Option<String>,
}

/// Range vector.
#[derive(Deserialize)]
struct Matrix {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

impl Server<'_> {
    fn get<T: for<'de> Deserialize<'de>>(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<T, StorageError> {
        let query = Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        let answer = self
            .target
            .get(self.global, &format!("{path}?{query}"))
            .map_err(|error| StorageError::Unreadable(format!("{error:#}")))?;
        let body: Answer<T> = serde_json::from_str(&answer.body).map_err(|_| {
            StorageError::Unreadable(format!(
                "{path}: {}: not a response of Prometheus's API",
                answer.status
            ))
        })?;
        body.data.ok_or_else(|| {
            StorageError::Unreadable(body.error.unwrap_or_else(|| "no data".to_owned()))
        })
    }
}

impl Queryable for Server<'_> {
    fn select(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<SampledSeries>, StorageError> {
        // A range vector has the samples as they are. It leaves out its beginning (before
        // Prometheus 3 it did not), so it begins a millisecond earlier, and that is taken off.
        let query = format!("{}[{}ms]", selector(matchers), to.0 - from.0 + 1);
        let time = format!("{}.{:03}", to.0.div_euclid(1000), to.0.rem_euclid(1000));
        let matrix: Matrix = self.get("/api/v1/query", &[("query", &query), ("time", &time)])?;
        let mut all = Vec::new();
        for one in matrix.result {
            guard.charge(one.values.len())?;
            let mut series = SampledSeries {
                labels: LabelSet::new(one.metric),
                ..Default::default()
            };
            for (seconds, value) in one.values {
                let at = (seconds * 1000.0).round() as i64;
                if at >= from.0
                    && let Ok(value) = value.parse()
                {
                    series.times.push(at);
                    series.values.push(value);
                }
            }
            if !series.times.is_empty() {
                all.push(series);
            }
        }
        Ok(all)
    }

    fn series(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<LabelSet>, StorageError> {
        guard.check()?;
        let (start, end) = (seconds(from), seconds(to));
        let parameters = [
            ("match[]", &*selector(matchers)),
            ("start", &start),
            ("end", &end),
        ];
        let all: Vec<BTreeMap<String, String>> = self.get("/api/v1/series", &parameters)?;
        Ok(all.into_iter().map(LabelSet::new).collect())
    }
}

/// Formats a time in whole Unix seconds.
fn seconds(at: UnixMillis) -> String {
    at.0.div_euclid(1000).to_string()
}

/// Formats matchers as PromQL.
fn selector(matchers: &[LabelMatcher]) -> String {
    let matchers = matchers.iter();
    let texts: Vec<String> = matchers
        .map(|one| {
            format!(
                "{}{}{:?}",
                one.name,
                one.test.operator(),
                one.test.operand()
            )
        })
        .collect();
    format!("{{{}}}", texts.join(","))
}

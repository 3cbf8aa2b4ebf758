//! PromQL: parsing, and evaluation over any source of samples.
//!
//! [`parse`] turns text into a [`Query`]. A [`ParseError`] has the message of Prometheus, and its
//! [`Position`] as a field.
//! [`Query::instant`] and [`Query::range`] evaluate it over a [`Queryable`]. All steps of a range
//! query are evaluated at once, series by series, and each selector is read once.
//!
//! A [`Guard`] limits the samples and bytes that a query holds, and cancels it from another thread.
//! No I/O and no clock: samples come from the [`Queryable`], time is an argument.
//!
//! Results are those of Prometheus, with the exception of native histograms, which are not
//! supported.
//!
//! # Example
//!
//! ```
//! use bellwether_core::{LabelSet, UnixMillis};
//! use bellwether_matcher::LabelMatcher;
//! use bellwether_promql::{
//!     Guard, Options, Queryable, SampledSeries, StorageError, Value, parse,
//! };
//!
//! /// One series with a sample per minute.
//! struct Source;
//!
//! impl Queryable for Source {
//!     fn select(
//!         &self,
//!         matchers: &[LabelMatcher],
//!         from: UnixMillis,
//!         to: UnixMillis,
//!         guard: &Guard,
//!     ) -> Result<Vec<SampledSeries>, StorageError> {
//!         let labels = LabelSet::new([("__name__", "hits_total"), ("path", "/")]);
//!         if !matchers.iter().all(|matcher| matcher.matches(&labels)) {
//!             return Ok(Vec::new());
//!         }
//!         let times: Vec<i64> = (0..10)
//!             .map(|minute| minute * 60_000)
//!             .filter(|time| (from.0..=to.0).contains(time))
//!             .collect();
//!         guard.charge(times.len())?;
//!         let values = times.iter().map(|time| *time as f64 / 1000.0).collect();
//!         Ok(vec![SampledSeries { labels, times, values }])
//!     }
//!
//!     fn series(
//!         &self,
//!         matchers: &[LabelMatcher],
//!         from: UnixMillis,
//!         to: UnixMillis,
//!         guard: &Guard,
//!     ) -> Result<Vec<LabelSet>, StorageError> {
//!         let series = self.select(matchers, from, to, guard)?;
//!         Ok(series.into_iter().map(|series| series.labels).collect())
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let query = parse("sum by (path) (rate(hits_total[5m]))")?;
//! let guard = Guard::new(1_000_000);
//! let answer = query.instant(&Source, UnixMillis(540_000), &Options::default(), &guard)?;
//! let Value::Vector(samples) = answer.value else { panic!() };
//! assert_eq!(samples[0].labels, LabelSet::new([("path", "/")]));
//! assert_eq!(samples[0].value, 1.0);
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]

mod aggregate;
mod ast;
mod binary;
mod eval;
mod functions;
mod guard;
mod hash;
mod histogram;
mod labels;
mod notes;
mod parse;
mod print;
mod query;
mod queryable;
mod selector;
mod sum;
mod tree;

pub use guard::{Guard, Pool, Stopped, Usage};
pub use query::{
    Answer, Options, ParseError, Position, Query, QueryError, Sample, Selector, Value, parse,
    parse_selector, parse_within, selector_within,
};
pub use queryable::{Queryable, SampledSeries, StorageError};

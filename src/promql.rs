//! PromQL over anything that can be asked for samples.
//!
//! `promql-parser` reads the language, evaluation is ours: all steps of a query at once, series by
//! series, each selector read once. Pure: what is asked is behind [`Queryable`], time is an
//! argument, and who wants a query to end tells its [`Guard`].

mod aggregate;
mod binary;
mod eval;
mod functions;
mod guard;
mod histogram;
mod labels;
mod nesting;
mod notes;
mod query;
mod queryable;
mod selector;
mod sum;

pub use guard::{Guard, Stopped};
pub use query::{
    Answer, Options, ParseError, Query, QueryError, Sample, Selector, Value, parse, parse_selector,
};
pub use queryable::{Queryable, SampledSeries, StorageError};

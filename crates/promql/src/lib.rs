//! PromQL over anything that can be asked for samples.
//!
//! All steps of a query are evaluated at once, series by series, and each selector is read once. Pure: what is asked is behind [`Queryable`], time is an
//! argument, and who wants a query to end tells its [`Guard`].

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

pub use guard::{Guard, Held, Pool, Stopped};
pub use query::{
    Answer, Options, ParseError, Query, QueryError, Sample, Selector, Value, parse, parse_selector,
    parse_within, selector_within,
};
pub use queryable::{Queryable, SampledSeries, StorageError};

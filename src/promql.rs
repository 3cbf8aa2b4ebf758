//! PromQL over anything that can be asked for samples.
//!
//! `promql-parser` reads the language, evaluation is ours. Pure: what is asked is behind
//! [`Queryable`], time is an argument, and who wants a query to end tells its [`Guard`].

mod guard;
mod queryable;

pub use guard::{Guard, Stopped};
pub use queryable::{Queryable, SampledSeries, StorageError};

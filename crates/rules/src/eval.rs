//! Evaluation of rules: from the series of the store, or the results of a query, to transitions.
//!
//! Sends nothing, writes nothing, and knows the time only as an argument.

pub(crate) mod aggregate;
pub(crate) mod condition;
pub(crate) mod engine;
pub(crate) mod evaluation;
pub(crate) mod histogram;
pub(crate) mod index;
pub(crate) mod input;
pub(crate) mod join;
pub(crate) mod reading;
pub(crate) mod schedule;

//! PromQL against Prometheus: its own scripts, and its program.

mod answers;
mod conformance;
mod differential;
mod properties;
mod script;

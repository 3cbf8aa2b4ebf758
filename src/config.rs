//! The configuration: YAML to settings ([`load`]) to a plan that can run ([`plan`]).
//!
//! Combines the sections of all crates and checks what no crate can check alone. Uses no network.

mod check;
mod exec;
mod files;
mod folders;
mod json_schema;
mod load;
mod metrics;
mod outside;
mod print;
mod reference;
mod sections;

pub use check::{Plan, RuleGroup, plan, plan_at_start};
pub use files::{expanded, read_files};
pub use folders::{alert_history_folder, history_folder, state_directory};
pub use json_schema::json_schema;
pub use load::{
    EMBEDDED, Loaded, ReadError, Report, Source, decode, load, process_environment, read,
    set_fallback_environment,
};
pub use metrics::metrics;
pub use outside::check_outside;
pub use print::{print, print_rules};
pub use reference::reference;
pub use sections::Root;

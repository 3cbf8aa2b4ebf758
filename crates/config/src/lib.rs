//! The configuration: YAML to settings ([`load`]) to a plan that can run ([`plan`]).
//!
//! Combines the sections and [self-metrics](self_metrics) of all crates and checks what no crate can check alone. Uses no network.

mod check;
mod exec;
mod external;
mod files;
mod folders;
mod include;
mod json_schema;
mod load;
mod metrics;
mod print;
mod reference;
mod secrets;
mod sections;
pub mod self_metrics;

pub use check::{Plan, RuleGroup, plan, plan_at_start};
pub use external::check_external;
pub use files::expanded;
pub use folders::{
    alert_history_folder, history_folder, runtime_directory, state_directory, user_state_directory,
};
pub use include::{ConfigFile, changed_files};
pub use json_schema::{json_schema, json_schema_value};
pub use load::{
    DEMO, EMBEDDED, Loaded, ReadError, ReadFile, Report, Source, decode, decode_with_included,
    load, load_with, process_environment, read, read_argument, read_files, read_of,
    set_fallback_environment,
};
pub use metrics::metrics;
pub use print::{print, print_dashboard, print_rules, print_with_origins};
pub use reference::reference;
pub use secrets::{FileKind, hide_secrets, restore_secrets, secret_values};
pub use sections::Root;

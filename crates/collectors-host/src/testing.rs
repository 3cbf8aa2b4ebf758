//! Context of settings of the list `collectors`, for tests.

use std::sync::Arc;
use std::time::Duration;

use bellwether_collector::{CollectorLimits, EntryContext, Schedule, System};
use bellwether_core::Origin;
use bellwether_schema::{Diagnostics, SourceLocation};

/// Calls `resolve` with the context of a collector of the list.
pub(crate) fn with_context<T>(
    host: &System,
    problems: &mut Diagnostics,
    resolve: impl FnOnce(&mut EntryContext<'_>) -> T,
) -> T {
    resolve(&mut EntryContext {
        origin: Origin::new("host"),
        at: &SourceLocation::default(),
        enabled: true,
        schedule: Schedule {
            interval: Duration::from_secs(15),
            deadline: Duration::from_secs(10),
            settle: None,
        },
        limits: &CollectorLimits::default(),
        host,
        relabeling: Arc::default(),
        receiver: None,
        problems,
        warnings: &mut Vec::new(),
    })
}

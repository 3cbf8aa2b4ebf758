//! `/api/v1/record`: the result of a request that records values. Pure.

use bellwether_core::Recorded;
use serde_json::{Value, json};

/// Returns the data of `/api/v1/record`.
pub(crate) fn view(recorded: &Recorded) -> Value {
    let rejected = recorded.rejected.iter().map(
        |record| json!({ "index": record.index, "reason": record.reason, "error": record.message }),
    );
    json!({
        "accepted": recorded.accepted,
        "rejectedTotal": recorded.rejected_total,
        "rejected": rejected.collect::<Vec<_>>(),
    })
}

//! Functions of services that have an incident per alert.

use std::collections::BTreeMap;
use std::future::Future;

use bellwether_core::{Notification, Severity};
use bellwether_schema::{Diagnostics, Spanned};

use super::{Batch, DeliveryError};

/// Most notifications of a batch: each is a request, and an attempt should end soon.
pub(super) const MAX_BATCH: usize = 20;

/// Checks that the keys of a mapping are severities.
pub(super) fn check_severities<T>(
    by_severity: &BTreeMap<String, Spanned<T>>,
    problems: &mut Diagnostics,
) {
    for (name, value) in by_severity {
        if !Severity::ALL.iter().any(|ours| ours.as_str() == name) {
            problems
                .error(&value.at, format!("not a severity: {name:?}"))
                .hint("info, warning, critical or emergency");
        }
    }
}

/// Sends the notifications of `batch` in their order, up to the first failure.
pub(super) async fn send_each<'a, F>(
    batch: &'a Batch,
    send: impl Fn(&'a Notification) -> F,
) -> Result<(), DeliveryError>
where
    F: Future<Output = Result<(), DeliveryError>>,
{
    for (index, notification) in batch.notifications.iter().enumerate() {
        if let Err(error) = send(notification).await {
            let delivered = (0..index).collect();
            return Err(DeliveryError { delivered, ..error });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bellwether_core::Status;

    use super::*;
    use crate::testing::{batch, notification};

    #[tokio::test]
    async fn notifications_before_a_failure_are_delivered() {
        let mounts = ["/a", "/b", "/c", "/d"];
        let batch = batch(mounts.map(|mount| notification("disk", mount, Status::Firing)));
        let send_until = |last: &'static str| {
            send_each(&batch, move |notification| async move {
                match notification.alert.labels["mount"] == last {
                    true => Err(DeliveryError::transient("not now")),
                    false => Ok(()),
                }
            })
        };
        let failed = DeliveryError {
            delivered: vec![0, 1],
            ..DeliveryError::transient("not now")
        };
        assert_eq!(send_until("/c").await, Err(failed));
        assert_eq!(send_until("none").await, Ok(()));
    }
}

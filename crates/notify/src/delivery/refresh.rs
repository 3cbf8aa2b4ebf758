//! Refresh of services that forget alerts, such as Alertmanager.

use std::future::pending;
use std::sync::Arc;

use bellwether_core::Alert;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use super::Delivery;
use crate::error::DeliveryError;

impl Delivery {
    /// Sends all firing alerts at the channel's refresh interval, beginning at once. Does not end.
    pub(crate) async fn refresh(self: Arc<Self>) {
        let Some(every) = self.channel.refresh_interval() else {
            return pending().await;
        };
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            ticks.tick().await;
            let firing_alerts = self.firing_alerts();
            let failed = self.refresh_once(firing_alerts).await.err();
            if let Some(error) = failed.as_ref().filter(|_| !failing) {
                let (channel, error) = (self.name(), &error.message);
                warn!(channel, error, "cannot refresh the firing alerts");
            }
            failing = failed.is_some();
        }
    }

    /// Returns the firing alerts that the channel was or will be notified of.
    fn firing_alerts(&self) -> Vec<Arc<Alert>> {
        self.state
            .outbox
            .lock()
            .open()
            .map(|(alert, _)| alert.clone())
            .collect()
    }

    /// Makes one refresh. A panic of the channel fails only this refresh.
    async fn refresh_once(
        self: &Arc<Self>,
        firing_alerts: Vec<Arc<Alert>>,
    ) -> Result<(), DeliveryError> {
        let delivery = self.clone();
        let reminder = tokio::spawn(async move { delivery.channel.refresh(&firing_alerts).await });
        match AbortOnDropHandle::new(reminder).await {
            Ok(result) => result,
            Err(error) => Err(DeliveryError::transient(format!(
                "the refresh was aborted: {error}"
            ))),
        }
    }
}

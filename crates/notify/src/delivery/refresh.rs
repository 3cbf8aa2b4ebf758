//! Receivers that forget what they are not reminded of.

use std::future::pending;
use std::sync::Arc;

use bellwether_core::Alert;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use super::Delivery;
use crate::channels::DeliveryError;

impl Delivery {
    /// Reminds the receiver of what stands as often as the channel asks for, beginning at once.
    /// Does not end.
    pub(crate) async fn refresh(self: Arc<Self>) {
        let Some(every) = self.channel.refresh_interval() else {
            return pending().await;
        };
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            ticks.tick().await;
            let standing = self.standing();
            let failed = self.remind(standing).await.err();
            if let Some(error) = failed.as_ref().filter(|_| !failing) {
                let (channel, error) = (self.name(), &error.message);
                warn!(channel, error, "cannot remind the receiver of what stands");
            }
            failing = failed.is_some();
        }
    }

    /// Alerts that the channel was told of or is about to be.
    fn standing(&self) -> Vec<Arc<Alert>> {
        self.mailbox
            .outbox
            .lock()
            .open()
            .map(|(alert, _)| alert.clone())
            .collect()
    }

    /// One reminder. A channel that panics costs it and no more.
    async fn remind(self: &Arc<Self>, standing: Vec<Arc<Alert>>) -> Result<(), DeliveryError> {
        let delivery = self.clone();
        let reminder = tokio::spawn(async move { delivery.channel.refresh(&standing).await });
        match AbortOnDropHandle::new(reminder).await {
            Ok(result) => result,
            Err(error) => Err(DeliveryError::transient(format!("it broke off: {error}"))),
        }
    }
}

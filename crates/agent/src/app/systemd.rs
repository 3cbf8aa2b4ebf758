//! Notifies systemd of the state of the service; does nothing without systemd.

use sd_notify::NotifyState;

/// Sends `states`; a failure is logged at debug.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "cannot notify systemd");
    }
}

/// Notifies that the service is ready, or that a reload is done.
pub(super) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// Notifies that a reload begins; `Type=notify-reload` needs the monotonic clock.
pub(super) fn reloading() {
    if let Ok(stamp) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, stamp]);
    }
}

/// Notifies that the service stops.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Resets the watchdog.
pub(super) fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// Returns the interval for [`alive`], half of the watchdog's timeout; `None` without a watchdog.
pub(super) fn watchdog() -> Option<std::time::Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

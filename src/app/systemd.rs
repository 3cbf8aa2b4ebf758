//! Tells systemd how it goes; does nothing where there is no systemd.

use sd_notify::NotifyState;

/// Sends `states`; that nobody listens is no error.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "cannot notify systemd");
    }
}

/// Up and serving, or done with a reload.
pub(super) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// A reload begins; `mono_us` is the monotonic clock that `Type=notify-reload` wants.
pub(super) fn reloading() {
    if let Ok(stamp) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, stamp]);
    }
}

/// On the way out.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Still alive.
pub(super) fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// How often [`alive`] must be said, half of what systemd waits; `None` where it does not watch.
pub(super) fn watchdog() -> Option<std::time::Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

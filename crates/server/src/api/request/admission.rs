//! Admission: permits for responses, and the end of work that no client waits for.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::RETRY_AFTER;
use tokio::time::{interval, sleep, timeout};

use super::RequestContext;
use crate::api::response::ApiError;
use crate::net::permits::{Permit, PermitKind};
use crate::net::stream::Stream;

/// Time for which a scrape waits while all responses under way are stuck or busy.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time after which a response that its client does not read may be closed for another scrape.
const STUCK_AFTER: Duration = Duration::from_millis(500);
/// Time for which work goes on after the client has closed its sending half: it may have left, or
/// have closed only that half.
const HALF_CLOSED_GRACE: Duration = Duration::from_secs(1);

impl RequestContext<'_> {
    /// Waits for a permit to make a response that is not small, or to change state.
    ///
    /// # Errors
    /// None became free in time.
    pub(crate) async fn permit(&self) -> Result<Permit, ApiError> {
        self.permit_of(PermitKind::Other).await
    }

    /// Waits for a permit to make an exposition.
    ///
    /// # Errors
    /// None became free in time.
    pub(crate) async fn scrape_permit(&self) -> Result<Permit, ApiError> {
        self.permit_of(PermitKind::Scrape).await
    }

    async fn permit_of(&self, kind: PermitKind) -> Result<Permit, ApiError> {
        timeout(PERMIT_TIMEOUT, self.wait_for_permit(kind))
            .await
            .ok()
            .flatten()
            .ok_or_else(busy)
    }

    /// While no permit is free, connections whose clients do not read give way.
    async fn wait_for_permit(&self, kind: PermitKind) -> Option<Permit> {
        let client = self.peer.client();
        let mut permit = std::pin::pin!(self.shared.permits.acquire(client, kind));
        let mut patience = interval(STUCK_AFTER);
        loop {
            tokio::select! {
                biased;
                permit = &mut permit => return permit,
                _ = patience.tick() => self.shared.registry.evict_stuck(STUCK_AFTER, client),
            };
        }
    }
}

fn busy() -> ApiError {
    let message = "too many responses are in progress";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message).header(RETRY_AFTER, "5")
}

/// Runs `work` until the client of `stream` leaves.
///
/// # Errors
/// The error of `work`, or that the client left.
pub(crate) async fn unless_disconnected<T>(
    stream: &Stream,
    work: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let left = async {
        stream.ended().await;
        sleep(HALF_CLOSED_GRACE).await;
    };
    tokio::select! {
        result = work => result,
        () = left => Err(ApiError::with_kind(
            StatusCode::SERVICE_UNAVAILABLE,
            "canceled",
            "the client disconnected",
        )),
    }
}

//! Work beside the task of a connection.

use tokio::task::JoinHandle;

use crate::api::response::{ApiError, internal};

/// Runs `work` on a blocking thread.
///
/// # Errors
/// It panicked.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    joined(tokio::task::spawn_blocking(work)).await
}

/// Runs `work` in a task of its own, to its end: a client that goes away must not leave half of a
/// change behind.
///
/// # Errors
/// It panicked.
pub(crate) async fn detached<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, ApiError> {
    joined(tokio::spawn(work)).await
}

/// Waits for the result of `work`.
///
/// # Errors
/// It panicked.
pub(crate) async fn joined<T>(work: JoinHandle<T>) -> Result<T, ApiError> {
    work.await
        .map_err(|_| internal("this request failed: see the log"))
}

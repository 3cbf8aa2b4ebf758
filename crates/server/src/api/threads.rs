//! Threads of low priority, for queries and views.
//!
//! Scrapes and collections go first where cores are scarce.

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// Niceness of the threads.
const NICENESS: i32 = 10;

/// Threads of low priority: the blocking ones of a runtime that drives nothing. If it cannot be
/// built, those of the caller's runtime.
#[derive(Debug)]
pub(crate) struct Threads(Option<Runtime>);

impl Threads {
    /// Creates at most `most` threads, each when it is needed.
    pub(crate) fn new(most: u32) -> Self {
        let runtime = Builder::new_current_thread()
            .thread_name("bellwether-low")
            .max_blocking_threads(most.max(1) as usize)
            .on_thread_start(|| {
                rustix::process::nice(NICENESS).ok();
            })
            .build();
        Self(runtime.ok())
    }

    /// Runs `work` on one of the threads.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        match &self.0 {
            Some(runtime) => runtime.spawn_blocking(work),
            None => Handle::current().spawn_blocking(work),
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Waiting for work that runs would block the caller's runtime; queries end by their guards.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_runs_at_a_low_priority_and_ends_with_its_owner() {
        let threads = Threads::new(1);
        let own = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
            fields.skip(16).map(str::to_owned).next().unwrap()
        };
        let before: i32 = own().parse().unwrap();
        let nice: i32 = threads.spawn(own).await.unwrap().parse().unwrap();
        assert_eq!(nice, (before + NICENESS).min(19));
        assert_eq!(own().parse::<i32>().unwrap(), before);
    }
}

//! State that all connections of a server share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::api::query::Jobs;
use crate::api::threads::Threads;
use crate::audit::Rejections;
use crate::auth::access::Access;
use crate::auth::reader::Rights;
use crate::auth::session::Sessions;
use crate::auth::users::Verifier;
use crate::backend::Backend;
use crate::live::{self, Hub};
use crate::net::activity::Activity;
use crate::net::peer::Peer;
use crate::net::permits::Permits;
use crate::net::registry::Registry;
use crate::net::stream::Stream;
use crate::stats::Stats;

/// State shared by all connections.
pub(crate) struct Shared {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) access: ArcSwap<Access>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) stats: Arc<Stats>,
    /// Permits for responses.
    pub(crate) permits: Arc<Permits>,
    /// True if the last snapshot for `/metrics` was short.
    pub(crate) has_short_snapshots: AtomicBool,
    /// Jobs that read history.
    pub(crate) jobs: Jobs,
    /// Threads of jobs and views.
    pub(crate) threads: Arc<Threads>,
    /// Clients of live updates.
    pub(crate) live: Arc<Hub>,
    pub(crate) verifier: Verifier,
    pub(crate) sessions: Sessions,
    /// Limit of audit entries about rejected requests.
    pub(crate) rejections: Mutex<Rejections>,
    /// Notified after a reload has replaced `access`.
    pub(crate) access_applied: Notify,
}

impl Shared {
    pub(crate) fn new(access: Access, backend: Arc<dyn Backend>, stats: Arc<Stats>) -> Self {
        let (limits, query) = (&access.limits, &access.query);
        let requests = *limits.max_concurrent_requests;
        let most = query.max_concurrency.saturating_add(requests) + live::JOBS;
        let threads = Arc::new(Threads::new(most));
        let jobs = Jobs::new(
            *query.max_concurrency,
            *limits.max_connections,
            query.total_memory(),
            Arc::clone(stats.queries()),
            Arc::clone(&threads),
        );
        let live = Arc::new(Hub::new(&access, &threads, Arc::clone(stats.live())));
        Self {
            backend,
            live,
            permits: Arc::new(Permits::new(requests as usize)),
            access: ArcSwap::from_pointee(access),
            registry: Arc::new(Registry::new(Arc::clone(&stats))),
            stats,
            has_short_snapshots: AtomicBool::new(false),
            jobs,
            threads,
            verifier: Verifier::new(),
            sessions: Sessions::new(),
            rejections: Mutex::default(),
            access_applied: Notify::new(),
        }
    }
}

impl Shared {
    /// Users, tokens and sessions now, by the rules of `access`.
    pub(crate) fn rights<'a>(&'a self, access: &'a Access) -> Rights<'a> {
        Rights {
            access,
            sessions: &self.sessions,
            now_ms: self.registry.now(),
        }
    }

    /// Ends the live updates of clients whose session has ended.
    pub(crate) fn session_ended(&self) {
        let access = self.access.load();
        self.live.dismiss_ended(&self.rights(&access));
    }

    /// Ends the live updates of clients that may no longer read now that the rules were `old` before.
    pub(crate) fn access_changed(&self, old: &Access) {
        let access = self.access.load();
        self.live.access_changed(old, &self.rights(&access));
    }
}

/// Client, activity and socket of a connection.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) peer: Peer,
    pub(crate) activity: Arc<Activity>,
    pub(crate) stream: Arc<Stream>,
}

//! State of collectors that outlives a reload.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_core::Origin;
use parking_lot::Mutex;

type State = Arc<dyn Any + Send + Sync>;

/// State of collectors that outlives a reload: counters, for example. A collector that is built again
/// finds it by its type.
#[derive(Clone, Default)]
pub struct Memory(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// `None`: nothing outlives the process.
    directory: Option<PathBuf>,
    states: Mutex<HashMap<(Origin, TypeId), State>>,
}

impl Memory {
    /// Creates an empty memory. Collectors may keep files in `directory`.
    #[must_use]
    pub fn new(directory: Option<PathBuf>) -> Self {
        let states = Mutex::default();
        Self(Arc::new(Inner { directory, states }))
    }

    /// Drops the state of a collector that is no longer configured.
    pub fn forget(&self, origin: Origin) {
        let mut states = self.0.states.lock();
        states.retain(|(owner, _), _| *owner != origin);
    }

    /// Returns the state of type `T` of the collector `origin`; the first call creates it.
    #[must_use]
    pub fn get<T: Default + Send + Sync + 'static>(&self, origin: Origin) -> Arc<T> {
        self.get_or_load(origin, |_| T::default())
    }

    /// Returns the state of type `T` of the collector `origin`. The first call creates it with `load`,
    /// which gets the state directory and may block.
    pub fn get_or_load<T: Send + Sync + 'static>(
        &self,
        origin: Origin,
        load: impl FnOnce(Option<&Path>) -> T,
    ) -> Arc<T> {
        let key = (origin, TypeId::of::<T>());
        let known = self.0.states.lock().get(&key).cloned();
        if let Some(state) = known.and_then(|state| state.downcast().ok()) {
            return state;
        }
        // Without the lock: others need not wait for a file.
        let loaded = Arc::new(load(self.0.directory.as_deref()));
        let mut states = self.0.states.lock();
        let state = states.entry(key).or_insert_with(|| loaded.clone());
        state.clone().downcast().unwrap_or(loaded)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Memory")
            .field("directory", &self.0.directory)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn a_collector_finds_its_own_state_again() {
        let memory = Memory::new(Some("/state".into()));
        let (a, b) = (Origin::new("a"), Origin::new("b"));
        memory.get::<AtomicU32>(a).store(7, Ordering::Relaxed);
        assert_eq!(
            memory.clone().get::<AtomicU32>(a).load(Ordering::Relaxed),
            7
        );
        assert_eq!(memory.get::<AtomicU32>(b).load(Ordering::Relaxed), 0);
        memory.forget(a);
        assert_eq!(memory.get::<AtomicU32>(a).load(Ordering::Relaxed), 0);
        let directory = memory.get_or_load(a, |directory| directory.map(PathBuf::from));
        assert_eq!(directory.as_deref(), Some(Path::new("/state")));
    }
}

//! Packs what the head has sealed, outside of its lock.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::chunk::{pack_times, pack_values};
use super::head::{Body, Chunk, Head};

/// Series whose chunks are packed between two turns of the lock.
const AT_ONCE: usize = 256;

/// Time columns to compare with: as many as collectors that fill a tail at the same moment.
const REMEMBERED: usize = 8;

/// Times as they are, and packed.
type Columns = Vec<(Vec<i64>, Arc<[u8]>)>;

/// Packs chunks; those of series that are collected together share their times.
#[derive(Debug, Default)]
pub(super) struct Packer {
    recent: Mutex<Columns>,
}

impl Packer {
    /// Packs all that waits.
    pub fn run(&self, head: &RwLock<Head>) {
        let mut recent = self.recent.lock();
        loop {
            let Some(waiting) = head.write().take_sealed(AT_ONCE) else {
                return;
            };
            let packed: Vec<Arc<Chunk>> = waiting
                .iter()
                .map(|(_, chunk)| pack(chunk, &mut recent))
                .collect();
            let mut head = head.write();
            for ((number, open), packed) in waiting.iter().zip(packed) {
                head.replace(*number, open, packed);
            }
        }
    }
}

fn pack(chunk: &Arc<Chunk>, recent: &mut Columns) -> Arc<Chunk> {
    let Body::Open { times, values } = &chunk.body else {
        return Arc::clone(chunk);
    };
    let known = recent.iter().position(|(known, _)| known == times);
    let shared = match known {
        Some(at) => Arc::clone(&recent[at].1),
        None => {
            let packed: Arc<[u8]> = pack_times(times).into();
            if recent.len() >= REMEMBERED {
                recent.remove(0);
            }
            recent.push((times.clone(), Arc::clone(&packed)));
            packed
        }
    };
    let values = pack_values(values).into_boxed_slice();
    let body = Body::Packed {
        count: times.len(),
        times: shared,
        values,
    };
    Arc::new(Chunk {
        start: chunk.start,
        end: chunk.end,
        body,
    })
}

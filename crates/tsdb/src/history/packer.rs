//! Packer of sealed chunks, which works outside of the lock of the head.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::chunk::{pack_times, pack_values};
use super::head::{Body, Chunk, Head};

/// Series whose chunks are packed between two locks of the head.
const SERIES_PER_LOCK: usize = 256;

/// Number of recent time columns to compare with: that of collectors that fill a tail at the same time.
const RECENT_COLUMNS: usize = 8;

/// Times, unpacked and packed.
type Columns = Vec<(Vec<i64>, Arc<[u8]>)>;

/// Packs chunks. Chunks of series that are collected together share their times.
#[derive(Debug, Default)]
pub(super) struct Packer {
    recent: Mutex<Columns>,
}

impl Packer {
    /// Packs all sealed chunks.
    pub fn run(&self, head: &RwLock<Head>) {
        let mut recent = self.recent.lock();
        loop {
            let Some(waiting) = head.write().take_sealed(SERIES_PER_LOCK) else {
                return;
            };
            let packed: Vec<Arc<Chunk>> = waiting
                .iter()
                .map(|(_, chunk)| pack(chunk, &mut recent))
                .collect();
            let mut head = head.write();
            for ((id, open), packed) in waiting.iter().zip(packed) {
                head.replace(*id, open, packed);
            }
        }
    }
}

fn pack(chunk: &Arc<Chunk>, recent: &mut Columns) -> Arc<Chunk> {
    let Body::Open { times, values } = &chunk.body else {
        return Arc::clone(chunk);
    };
    let column = recent.iter().position(|(column, _)| column == times);
    let shared = match column {
        Some(at) => Arc::clone(&recent[at].1),
        None => {
            let packed: Arc<[u8]> = pack_times(times).into();
            if recent.len() >= RECENT_COLUMNS {
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
        span: chunk.span,
        body,
    })
}

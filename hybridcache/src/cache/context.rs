//! What a loader may say about the value it loaded.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::time::nanos;

/// Handed to a loader, so that it can decide by the value what becomes of it. Clones speak for the same
/// load.
#[derive(Clone, Debug, Default)]
pub struct LoadContext(Arc<Mutex<Said>>);

/// What a loader has said.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    pub(crate) lifetime: Option<u64>,
    pub(crate) do_not_keep: bool,
}

impl LoadContext {
    /// The value lives for this long from the start of the load, whatever the cache's own lifetimes are, and does not slide.
    /// Zero means that it is not kept.
    pub fn ttl(&self, ttl: Duration) {
        self.0.lock().lifetime = Some(nanos(ttl));
    }

    /// The value is returned to everybody who waits for it, but not kept.
    pub fn do_not_keep(&self) {
        self.0.lock().do_not_keep = true;
    }

    pub(crate) fn said(&self) -> Said {
        *self.0.lock()
    }
}

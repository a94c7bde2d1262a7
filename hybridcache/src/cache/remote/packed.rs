//! What is sent of a value, by a fill and by a put.

use std::hash::Hash;
use std::time::Duration;

use super::Remote;
use super::lead::Loaded;
use crate::cache::Inner;
use crate::coherence::floors::Born;
use crate::driver::Lives;
use crate::entry::{Movement, View};
use crate::key::Stored;
use crate::key::text::KeyText;
use crate::nonce::Nonce;
use crate::observe::Event;
use crate::record::Stamp;
use crate::time::NEVER;

/// A result, ready to be sent.
pub(super) struct Packed {
    /// Its record; `None` if it is not to be kept, is an error, or cannot be encoded.
    pub(super) record: Option<Vec<u8>>,
    /// When it ends, and what of that moves.
    pub(super) ends: u64,
    pub(super) moving: Option<Movement>,
    /// Whether entries of its cache slide, so that a hit may renew it.
    slides: bool,
}

impl<K, V> Inner<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The record of a result by that version, and born then.
    pub(super) fn pack(
        &self,
        remote: &Remote<K, V>,
        key: &Stored<K>,
        text: &KeyText,
        Loaded { view, start, said }: Loaded<'_, V>,
        version: Nonce,
        born: Born,
    ) -> Packed {
        let (ends, moving) = self.rules.lifetime(view, start, 0, said.lifetime);
        let stamp = Stamp { version, ends_at: 0, epoch: born.epoch, born: born.clock, tags: &[] };
        let encoded = match view {
            View::Value(value) if self.wants(view, said) => Some(remote.options.wire.encode(text, Some(value), &stamp)),
            View::Nothing if self.wants(view, said) => Some(remote.options.wire.encode(text, None, &stamp)),
            _ => None,
        };
        let record = encoded.and_then(|encoded| {
            let sent = encoded.inspect_err(|why| {
                self.meter.count(Event::Unencodable);
                tracing::warn!(cache = %self.name, key = %self.digest(key), %why, "a value was not sent");
            });
            sent.ok()
        });
        Packed { record, ends, moving, slides: remote.options.slides }
    }
}

impl Packed {
    /// How long it lives in the remote tier from `now` on: until it ends, and if it moves it slides until then. Who finds it there
    /// cannot know whether it does, and learns from its end that it does not.
    pub(super) fn lives(&self, now: u64) -> Lives {
        let left =
            |ends: u64| if ends == NEVER { Duration::MAX } else { Duration::from_nanos(ends.saturating_sub(now)) };
        let idle = self.moving.map_or(0, |moving| moving.idle);
        let soonest = if idle == 0 { self.ends } else { self.ends.min(now.saturating_add(idle)) };
        Lives { now: left(soonest), at_most: (self.slides && self.ends != NEVER).then(|| left(self.ends)) }
    }
}

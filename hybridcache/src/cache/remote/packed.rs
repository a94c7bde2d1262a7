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
use crate::record::{self, FIXED, Stamp};
use crate::time::NEVER;

/// A result, ready to be sent.
pub(super) struct Packed {
    /// Its record; `None` if it is not to be kept, is an error, or cannot be encoded.
    pub(super) record: Option<Vec<u8>>,
    /// When it ends, and what of that moves.
    pub(super) ends: u64,
    pub(super) moving: Option<Movement>,
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
        // Interleaving that this defeats: entries slide in the cache of this name in another process, which was told otherwise; a hit there
        // prolongs what does not, time and again, and it never ends.
        let ends_at = if slide(moving) == 0 { FIXED } else { 0 };
        let stamp = Stamp { version, ends_at, epoch: born.epoch, born: born.clock, tags: &[] };
        let encoded = match view {
            View::Value(value) if self.wants(view, said) => Some(remote.options.wire.encode(text, Some(value), &stamp)),
            View::Nothing if self.wants(view, said) => Some(remote.options.wire.encode(text, None, &stamp)),
            _ => None,
        };
        let record = encoded.and_then(|encoded| {
            let sent = encoded.inspect_err(|why| {
                self.meter.count(Event::Unencodable);
                if remote.complains_of_values.may(remote.fleet.clock.now()) {
                    tracing::warn!(cache = %self.name, key = %self.digest(key), %why, "a value was not sent");
                }
            });
            sent.ok()
        });
        Packed { record, ends, moving }
    }
}

impl Packed {
    /// How long it lives in the remote tier from `now` on: until it ends, and if it moves it slides until then. The record says so, too.
    pub(super) fn lives(&mut self, now: u64) -> Lives {
        let left =
            |ends: u64| if ends == NEVER { Duration::MAX } else { Duration::from_nanos(ends.saturating_sub(now)) };
        let lives = match slide(self.moving) {
            0 => Lives { now: left(self.ends), at_most: None },
            idle => Lives {
                now: left(self.ends.min(now.saturating_add(idle))),
                at_most: (self.ends != NEVER).then(|| left(self.ends)),
            },
        };
        if let Some(record) = &mut self.record {
            record::say_lives(record, lives.now);
        }
        lives
    }
}

/// By how much a hit prolongs it; 0 if it does not.
fn slide(moving: Option<Movement>) -> u64 {
    moving.map_or(0, |moving| moving.idle)
}

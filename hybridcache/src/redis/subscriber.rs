//! The side of the bus that listens.
//!
//! Everything here happens on the thread of connections, one thing after another: that is the order of the events, and no
//! lock is held while the listener runs.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use redis::{PushInfo, PushKind, Value};

use crate::bus;
use crate::coherence::node::Partition;
use crate::driver::{BusEvent, Listener};
use crate::nonce::{Nonce, nonce};

/// Who hears what comes on the channels of a namespace.
pub(super) struct Subscriber {
    /// That of the meta partition, and that of the keys.
    pub(super) channels: [String; 2],
    listener: OnceLock<Listener>,
    /// The generation of the connection that is up; 0 for none.
    up: AtomicU64,
    echo: Nonce,
    echoed: [AtomicBool; 2],
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").field("channels", &self.channels).field("up", &self.up).finish_non_exhaustive()
    }
}

impl Subscriber {
    pub(super) fn new(channels: [String; 2]) -> Self {
        Self { channels, listener: OnceLock::new(), up: AtomicU64::new(0), echo: nonce(), echoed: Default::default() }
    }

    pub(super) fn is_up(&self) -> bool {
        self.up.load(SeqCst) != 0
    }

    /// Sends all events to `listener`.
    pub(super) fn subscribe(&self, listener: Listener) {
        let _ = self.listener.set(listener);
        if self.is_up() {
            self.tell(BusEvent::Up);
        }
    }

    /// Something came on the connection of this generation. `confirm` opens it for commands, before anybody hears that the bus
    /// is up: who hears it asks where the partitions stand.
    pub(super) fn hear(&self, generation: u64, push: PushInfo, confirm: impl FnOnce() -> bool) {
        match push.kind {
            PushKind::Subscribe => {
                // `[channel, how many there are now]`
                let channels = push.data.get(1) == Some(&Value::Int(self.channels.len() as i64));
                if channels && confirm() {
                    self.down();
                    self.up.store(generation, SeqCst);
                    self.tell(BusEvent::Up);
                }
            }
            PushKind::Message if self.up.load(SeqCst) == generation => {
                let [Value::BulkString(channel), Value::BulkString(bytes)] = &push.data[..] else { return };
                let Some(at) = self.channels.iter().position(|name| name.as_bytes() == channel) else { return };
                if let Ok(bus::Message::Probe(echo)) = bus::Message::decode(bytes) {
                    if echo == self.echo {
                        self.echoed[at].store(true, SeqCst);
                    }
                    return;
                }
                let partition = [Partition::Meta, Partition::Keys][at];
                self.tell(BusEvent::Message { partition, bytes });
            }
            PushKind::Disconnection if self.up.load(SeqCst) == generation => self.down(),
            _ => {}
        }
    }

    /// The connection is gone.
    pub(super) fn down(&self) {
        if self.up.swap(0, SeqCst) != 0 {
            self.tell(BusEvent::Down);
        }
    }

    fn tell(&self, event: BusEvent<'_>) {
        if let Some(listener) = self.listener.get() {
            listener(event);
        }
    }

    /// A message that only this subscriber minds.
    pub(super) fn echo(&self) -> Vec<u8> {
        bus::probe(self.echo)
    }

    /// The channels on which it has not come in.
    pub(super) fn silent(&self) -> Vec<&str> {
        let silent = self.channels.iter().zip(&self.echoed).filter(|(_, echoed)| !echoed.load(SeqCst));
        silent.map(|(channel, _)| channel.as_str()).collect()
    }
}

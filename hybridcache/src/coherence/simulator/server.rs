//! Redis, as far as the protocol sees it: records that end, numbered messages with a log, floors, a replica that lags.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Key, caches};
use crate::coherence::deferred::Body;
use crate::coherence::floors::Born;
use crate::coherence::history::Message;
use crate::coherence::node::{Mark, Nonce, Partition};

/// How many messages the log keeps.
const LOG: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Lease(Nonce),
    Value { version: u64, born: Born },
}

#[derive(Clone, Debug)]
pub(super) struct Numbered {
    pub(super) message: Message,
    pub(super) sender: usize,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    /// With when they end.
    records: BTreeMap<Key, (Record, u64)>,
    marks: [Option<Mark>; 2],
    logs: [Vec<Numbered>; 2],
    floors: BTreeMap<Arc<str>, u64>,
    /// Ghost: the newest version of each key that an eviction covers, and that anything does.
    pub(super) evicted: BTreeMap<Key, u64>,
    pub(super) covered: BTreeMap<Key, u64>,
}

impl Server {
    pub(super) fn get(&self, key: Key, now: u64) -> Option<Record> {
        self.records.get(&key).filter(|(_, end)| *end > now).map(|(record, _)| *record)
    }

    pub(super) fn set(&mut self, key: Key, record: Record, end: u64) {
        self.records.insert(key, (record, end));
    }

    /// Eviction for want of memory, of anything.
    pub(super) fn lose(&mut self, key: Key) {
        self.records.remove(&key);
    }

    pub(super) fn lose_floors(&mut self, epoch: Option<Nonce>) {
        self.floors.clear();
        if let Some(epoch) = epoch {
            self.begin(Partition::Meta, epoch);
        }
    }

    pub(super) fn lose_everything(&mut self) {
        let Self { evicted, covered, .. } = std::mem::take(self);
        (self.evicted, self.covered) = (evicted, covered);
    }

    fn begin(&mut self, partition: Partition, epoch: Nonce) {
        self.marks[partition as usize] = Some(Mark { epoch, number: 0, chain: epoch });
        self.logs[partition as usize].clear();
    }

    /// Where a partition stands; one that was lost begins anew.
    pub(super) fn mark(&mut self, partition: Partition, link: &mut impl FnMut() -> Nonce) -> Mark {
        if self.marks[partition as usize].is_none() {
            self.begin(partition, link());
        }
        self.marks[partition as usize].expect("it was begun")
    }

    pub(super) fn floors(&self) -> Vec<(Arc<str>, u64)> {
        self.floors.iter().map(|(name, floor)| (Arc::clone(name), *floor)).collect()
    }

    /// Removes, numbers, and returns what is to be published.
    pub(super) fn invalidate(
        &mut self,
        sender: usize,
        body: &Body,
        db: &BTreeMap<Key, u64>,
        mut link: impl FnMut() -> Nonce,
    ) -> (Partition, Numbered) {
        let partition = if let Body::Clear(_) = body { Partition::Meta } else { Partition::Keys };
        let Mark { epoch, number, chain } = self.mark(partition, &mut link);
        let number = number + 1;
        match body {
            Body::Keys(texts) => {
                for text in texts.iter() {
                    let key = super::key_of(text);
                    self.records.remove(&key);
                    self.evicted.insert(key, db[&key]);
                    self.covered.insert(key, db[&key]);
                }
            }
            Body::Clear(name) => {
                self.floors.insert(Arc::clone(name), number);
                for key in caches(name) {
                    self.covered.insert(key, db[&key]);
                }
            }
            Body::Floor => {}
        }
        let mark = Mark { epoch, number, chain: link() };
        self.marks[partition as usize] = Some(mark);
        let numbered = Numbered { message: Message { mark, previous: chain, own: false, body: body.clone() }, sender };
        let log = &mut self.logs[partition as usize];
        log.push(numbered.clone());
        if log.len() > LOG {
            log.remove(0);
        }
        (partition, numbered)
    }

    pub(super) fn log_after(&self, partition: Partition, number: u64) -> Vec<Numbered> {
        let log = &self.logs[partition as usize];
        log.iter().filter(|numbered| numbered.message.mark.number > number).cloned().collect()
    }
}

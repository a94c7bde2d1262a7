//! Redis, as far as the protocol sees it: records that end, numbered messages with a log, floors, a replica that lags.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Key, caches};
use crate::coherence::deferred::Body;
use crate::coherence::floors::Born;
use crate::coherence::history::Message;
use crate::coherence::model::Broken;
use crate::coherence::node::{Mark, Nonce, Partition};

/// How many messages the log keeps.
const LOG: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Lease(Nonce),
    Value { version: u64, born: Born },
    Intents,
}

/// What an invalidation does to its keys beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    Evict,
    /// Plants an intent, until then.
    Begin(Nonce, u64),
    /// Ends one.
    End(Nonce),
    /// Ends one, and puts a value until then if nobody else touched the key.
    Put(Nonce, u64, Born, u64),
}

/// Who has an intent, and until when.
#[derive(Clone, Debug, Default)]
struct Intents {
    of: Vec<(Nonce, u64)>,
    touched: bool,
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
    intents: BTreeMap<Key, Intents>,
    marks: [Option<Mark>; 2],
    logs: [Vec<Numbered>; 2],
    floors: BTreeMap<Arc<str>, u64>,
    /// Ghost: the newest version of each key that an eviction covers, and that anything does.
    pub(super) evicted: BTreeMap<Key, u64>,
    pub(super) covered: BTreeMap<Key, u64>,
}

impl Server {
    pub(super) fn get(&self, key: Key, now: u64) -> Option<Record> {
        let writers = self.intents.get(&key).is_some_and(|intents| intents.of.iter().any(|(_, end)| *end > now));
        if writers {
            return Some(Record::Intents);
        }
        self.records.get(&key).filter(|(_, end)| *end > now).map(|(record, _)| *record)
    }

    pub(super) fn set(&mut self, key: Key, record: Record, end: u64) {
        self.records.insert(key, (record, end));
    }

    /// Removes what is there but for the intents of others. Whether the one that ended was there alone from its beginning.
    fn remove(&mut self, key: Key, own: Option<Nonce>, now: u64) -> bool {
        self.records.remove(&key);
        let Intents { mut of, touched } = self.intents.remove(&key).unwrap_or_default();
        let before = of.len();
        of.retain(|(writer, end)| Some(*writer) != own && *end > now);
        let alone = of.is_empty() && before == 1 && !touched && own.is_some();
        if !of.is_empty() {
            self.intents.insert(key, Intents { of, touched: true });
        }
        alone
    }

    /// Eviction for want of memory, of anything but an intent.
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

    /// Numbers an invalidation, and returns what is to be published.
    pub(super) fn number(
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
            Body::Clear(name) => {
                self.floors.insert(Arc::clone(name), number);
                for key in caches(name) {
                    self.covered.insert(key, db[&key]);
                }
            }
            Body::Keys(_) | Body::Floor => {}
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

    /// Removes what is under a key, or puts a value there. Returns whether it did that.
    pub(super) fn write(&mut self, key: Key, write: Write, now: u64, newest: u64, broken: Option<Broken>) -> bool {
        let put = self.remove_or_put(key, write, now, broken);
        // What is put covers itself, not what was committed after it and is yet to be evicted.
        let covers = if let (Write::Put(_, version, ..), true) = (write, put) { version } else { newest };
        self.cover(key, covers);
        put
    }

    fn cover(&mut self, key: Key, version: u64) {
        for ghost in [&mut self.evicted, &mut self.covered] {
            let known = ghost.entry(key).or_default();
            *known = version.max(*known);
        }
    }

    fn remove_or_put(&mut self, key: Key, write: Write, now: u64, broken: Option<Broken>) -> bool {
        if broken == Some(Broken::TakesIntents) && !matches!(write, Write::Put(..)) {
            self.intents.remove(&key);
        }
        let own = match write {
            Write::Evict => None,
            Write::Begin(own, _) | Write::End(own) | Write::Put(own, ..) => Some(own),
        };
        let there = self.intents.get(&key).is_some_and(|intents| intents.of.iter().any(|of| Some(of.0) == own));
        let alone = self.remove(key, own, now);
        match write {
            Write::Begin(own, end) if broken != Some(Broken::NoIntent) => {
                let intents = self.intents.entry(key).or_default();
                intents.touched = !intents.of.is_empty();
                intents.of.push((own, end));
            }
            Write::Put(_, version, born, end) => {
                let put = match broken {
                    Some(Broken::BarePut) => true,
                    Some(Broken::PutBesideOthers) => there,
                    _ => alone,
                };
                if put {
                    self.intents.remove(&key);
                    self.set(key, Record::Value { version, born }, end);
                }
                return put;
            }
            _ => {}
        }
        false
    }

    /// An intent is over, under which a version was committed: from here on that is as good as evicted. What is there that is older?
    pub(super) fn guarded(&mut self, key: Key, version: u64, now: u64) -> Option<u64> {
        self.cover(key, version);
        match self.get(key, now) {
            Some(Record::Value { version: there, .. }) if there < version => Some(there),
            _ => None,
        }
    }

    pub(super) fn log_after(&self, partition: Partition, number: u64) -> Vec<Numbered> {
        let log = &self.logs[partition as usize];
        log.iter().filter(|numbered| numbered.message.mark.number > number).cloned().collect()
    }
}

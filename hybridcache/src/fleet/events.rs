//! What the bus brings is told to the node, and what the node answers is done.

use std::sync::atomic::Ordering;

use super::Fleet;
use super::members::AllDoomed;
use super::steward::Job;
use crate::bus::{self, Message};
use crate::coherence::deferred::{Body, EVERY_CACHE};
use crate::coherence::effect::Effect;
use crate::coherence::history::Message as Numbered;
use crate::coherence::node::Node;
use crate::driver::BusEvent;

impl Fleet {
    pub(super) fn on_bus(&self, event: BusEvent<'_>) {
        match event {
            BusEvent::Up => {
                tracing::debug!(namespace = %self.namespace, "the bus is up");
                self.act(|node, now| ((), node.up(now)));
                // Their announcements may be lost.
                self.wakes.wake_all();
            }
            BusEvent::Down => {
                if self.steward.crew.is_dismissed() {
                    tracing::debug!(namespace = %self.namespace, "the bus is closed");
                } else {
                    tracing::warn!(namespace = %self.namespace, "the bus is down");
                }
                self.act(|node, _| {
                    node.down();
                    ((), Vec::new())
                });
            }
            BusEvent::Message { partition, bytes } => match Message::decode(bytes) {
                Ok(Message::Numbered(numbered)) => {
                    let message = self.numbered(&numbered);
                    let mut doomed = self.doomed(&message.body);
                    self.act_on(&mut doomed, |node, now| ((), node.message(partition, &message, now)));
                    self.heard(&message);
                }
                Ok(Message::Wake(wake)) => self.wakes.wake(wake.key.name, wake.key.text),
                Ok(Message::Probe(_)) => {}
                // Its number is missed at the next one, or at the next heartbeat.
                Err(why) => {
                    tracing::warn!(namespace = %self.namespace, ?why, "the bus brought something that is not a message")
                }
            },
        }
    }

    pub(super) fn numbered(&self, numbered: &bus::Numbered<'_>) -> Numbered {
        let body = match numbered.body {
            bus::Body::Keys(keys) => Body::Keys(keys.map(|key| self.members.text(key)).collect()),
            bus::Body::Clear(name) => Body::Clear(self.members.name(name)),
            bus::Body::Floor => Body::Floor,
        };
        Numbered { mark: numbered.mark, previous: numbered.previous, own: numbered.sender == self.id, body }
    }

    pub(super) fn doomed(&self, body: &Body) -> AllDoomed {
        match body {
            Body::Keys(keys) => AllDoomed(keys.iter().flat_map(|text| self.members.doomed(text)).collect()),
            Body::Clear(_) | Body::Floor => AllDoomed::default(),
        }
    }

    /// What else a message brings about, where no lock is held.
    pub(super) fn heard(&self, message: &Numbered) {
        match &message.body {
            Body::Keys(keys) => keys.iter().for_each(|text| {
                if let Ok(key) = str::from_utf8(&text.key) {
                    self.wakes.wake(&text.cache, key);
                }
            }),
            Body::Clear(name) => {
                // Who clears a cache gives back what it held.
                if !message.own {
                    self.members.empty(name);
                }
                self.wakes.wake_all();
            }
            Body::Floor => self.wakes.wake_all(),
        }
    }

    pub(super) fn raise_floor(&self) {
        tracing::debug!(namespace = %self.namespace, "invalidations may be lost: memory starts anew");
        self.floors_raised.fetch_add(1, Ordering::Relaxed);
        self.members.raise_floor();
    }

    pub(super) fn act<T>(&self, event: impl FnOnce(&mut Node, u64) -> (T, Vec<Effect>)) -> T {
        self.act_on(&mut AllDoomed::default(), event)
    }

    /// Tells the node of an event and does what it answers, as one step.
    ///
    /// Interleaving that one step defeats: a message moves the watermark; before its key is out of memory a fence is answered, finds
    /// the watermark abreast and vouches for memory; a hit serves what was evicted longer ago than it may be.
    pub(super) fn act_on<T>(
        &self,
        doomed: &mut AllDoomed,
        event: impl FnOnce(&mut Node, u64) -> (T, Vec<Effect>),
    ) -> T {
        let mut killed = false;
        let mut node = self.node.lock();
        let (answer, effects) = event(&mut node, self.clock.now_precise());
        self.generation.store(node.generation(), Ordering::Release);
        for effect in effects {
            match effect {
                // Whatever an event kills was read for it; killing all of that at its first word is as good.
                Effect::Kill(_) => {
                    if !std::mem::replace(&mut killed, true) {
                        doomed.0.iter_mut().for_each(|doomed| doomed.kill());
                    }
                }
                Effect::Clear(name) if *name == *EVERY_CACHE => self.members.raise_floor(),
                Effect::Clear(name) => self.members.raise_floor_of(&name),
                Effect::RaiseFloor => self.raise_floor(),
                Effect::Synced(at) => {
                    self.synced_at.store(at, Ordering::Release);
                    let until = match at {
                        0 => 0,
                        at => at.saturating_add(self.fresh_for).saturating_sub(self.lag),
                    };
                    self.vouched_until.store(until, Ordering::Release);
                }
                Effect::SendFence => self.steward.fence(),
                Effect::LoadFloors => self.run(Job::LoadFloors),
                Effect::ReadLog(partition, after) => {
                    self.gaps.fetch_add(1, Ordering::Relaxed);
                    self.run(Job::ReadLog(partition, after));
                }
                Effect::Replay(body) => self.run(Job::Replay(body)),
            }
        }
        drop(node);
        self.steward.tell();
        answer
    }
}

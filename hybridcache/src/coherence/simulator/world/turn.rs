//! The server's turn: what a command does there, and what it answers.

use super::{Command, Event, LEASE, Pushed, Reply, TIMEOUT, World};
use crate::coherence::deferred::Body;
use crate::coherence::history::Message;
use crate::coherence::model::Broken;
use crate::coherence::node::{Mark, Nonce, Partition};
use crate::coherence::simulator::server::{Numbered, Record, Write};
use crate::coherence::simulator::{KEYS, NODES, key_of};

impl World {
    pub(super) fn arrive(&mut self, n: usize, life: u64, command: Command) {
        let now = self.now;
        let without_leases = self.broken(Broken::NoLease) || self.broken(Broken::FillIfAbsent);
        let reply = match command.clone() {
            Command::Get { flight, key, lease } => {
                let record = self.server.get(key, now);
                if record.is_none() && !without_leases {
                    self.server.set(key, Record::Lease(lease), now + LEASE);
                }
                Reply::Got { flight, record }
            }
            Command::Over { flight, key, found, lease } => {
                let granted = self.server.get(key, now) == Some(found);
                if granted && !without_leases {
                    self.server.set(key, Record::Lease(lease), now + LEASE);
                }
                Reply::Over { flight, granted }
            }
            Command::Fill { flight, key, lease, record } => {
                let standing = self.server.get(key, now);
                let kept = match self.broken {
                    Some(Broken::NoLease) => true,
                    Some(Broken::FillIfAbsent) => standing.is_none(),
                    _ => standing == Some(Record::Lease(lease)),
                };
                if kept && let Record::Value { version, .. } = record {
                    let evicted = self.server.evicted.get(&key).copied().unwrap_or(0);
                    self.promises.filled(key, version, evicted);
                    let end = now + 50 + self.random.below(1_000);
                    self.server.set(key, record, end);
                }
                Reply::Filled { flight, kept }
            }
            Command::Invalidate { write, body, written } => {
                let (partition, Numbered { message, sender }, put) = self.execute(n, &body, written);
                for to in 0..NODES {
                    let lost = self.faulty() && self.random.one_in(50);
                    if !lost {
                        let message = Message { own: to == sender, ..message.clone() };
                        self.push(to, Pushed::Message(partition, message));
                    }
                }
                Reply::Invalidated { write, mark: (partition, message.mark), put }
            }
            Command::Floors { ticket, flight } => {
                let mark = self.mark(Partition::Meta);
                Reply::Floors { ticket, mark, table: self.server.floors(), flight }
            }
            Command::Log { generation, partition, after } => {
                let log = self.server.log_after(partition, after);
                let own = |logged: Numbered| Message { own: logged.sender == n, ..logged.message };
                Reply::Log { generation, partition, messages: log.into_iter().map(own).collect() }
            }
            Command::Fence { connection, ticket } => {
                let marks = [Partition::Meta, Partition::Keys].map(|partition| self.mark(partition));
                if connection == self.buses[n].connection {
                    self.push(n, Pushed::Fence(ticket, marks));
                }
                return;
            }
        };
        if life != self.lives[n] {
            return;
        }
        let lost = self.faulty() && self.random.one_in(200);
        let (delay, reply) = if lost { (TIMEOUT, Reply::Failed(command)) } else { (self.latency(), reply) };
        self.after(delay, Event::Reply(n, reply));
    }

    fn execute(&mut self, n: usize, body: &Body, written: Write) -> (Partition, Numbered, bool) {
        let mut put = false;
        if let Body::Keys(texts) = body {
            for key in texts.iter().map(key_of) {
                let evicted = self.server.evicted.get(&key).copied().unwrap_or(0);
                put = self.server.write(key, written, self.now, self.db[&key], self.broken);
                if let (Write::Put(_, version, ..), true) = (written, put) {
                    self.promises.filled(key, version, evicted);
                }
            }
        }
        let (mut drawn, no_chain) = (self.drawn, self.broken(Broken::NoChain));
        let link = || {
            drawn += 1;
            if no_chain { 1 } else { Nonce::from(drawn) }
        };
        let (partition, numbered) = self.server.number(n, body, &self.db, link);
        self.drawn = drawn;
        for key in 0..KEYS {
            let covered = self.server.covered.get(&key).copied().unwrap_or(0);
            self.promises.executed(key, covered, self.now);
        }
        (partition, numbered, put)
    }

    fn mark(&mut self, partition: Partition) -> Mark {
        let mut drawn = self.drawn;
        let mark = self.server.mark(partition, &mut || {
            drawn += 1;
            Nonce::from(drawn)
        });
        self.drawn = drawn;
        mark
    }
}

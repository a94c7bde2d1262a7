//! What is done to the fleet.

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use super::harness::{Fleet, redis};
use super::judge::Lapse;
use super::{NODES, STALENESS_BOUND, now};
use crate::proxy::{Lane, Proxy};
use crate::redis_server::RedisServer;
use crate::until_blocking;

/// Time to connect again, and to repeat what was lost.
const HEALS: Duration = Duration::from_secs(3);

/// A fault. Each begins and ends by itself; afterwards the fleet may be as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection of the bus ends.
    CutBus,
    /// The other connections end.
    CutData,
    /// Nothing of what a node says arrives.
    HoldUp,
    /// Nothing of what Redis says arrives.
    HoldDown,
    /// Nothing arrives on the connection of the bus.
    DeafBus,
    /// Small commands do not arrive.
    DumbData,
    /// Everything takes up to two bounds longer.
    Delay,
    /// A node is stopped, and goes on.
    StopNode,
    /// A node is killed, and another takes its place.
    KillNode,
    /// A node is killed between a commit and its evict.
    KillWriter,
    /// The server is stopped, and goes on.
    StopRedis,
    /// The server is killed, and comes back empty.
    EmptyRedis,
    /// The server is killed, and comes back as it was some time before.
    StaleRedis,
    /// Everything is removed.
    FlushAll,
    /// The scripts are removed.
    ScriptFlush,
    /// The server ends connections.
    ClientKill,
    /// The server ends subscribers that are slow.
    TinyBuffers,
    /// The server has hardly more memory than it has taken, and makes room by this policy.
    Starve(&'static str),
    /// The server refuses to remove keys, and goes on to answer reads.
    Forbid,
    /// A replica takes the server's place that has all that was acknowledged.
    Failover,
    /// One does that has not heard the last of it.
    LossyFailover,
    /// The server does nothing for a while.
    DebugSleep,
}

impl Fault {
    /// All there are.
    pub const ALL: [Self; 29] = [
        Self::CutBus,
        Self::CutData,
        Self::HoldUp,
        Self::HoldDown,
        Self::DeafBus,
        Self::DumbData,
        Self::Delay,
        Self::StopNode,
        Self::KillNode,
        Self::KillWriter,
        Self::StopRedis,
        Self::EmptyRedis,
        Self::StaleRedis,
        Self::FlushAll,
        Self::ScriptFlush,
        Self::ClientKill,
        Self::TinyBuffers,
        Self::Starve("allkeys-lru"),
        Self::Starve("allkeys-lfu"),
        Self::Starve("allkeys-random"),
        Self::Starve("volatile-lru"),
        Self::Starve("volatile-lfu"),
        Self::Starve("volatile-random"),
        Self::Starve("volatile-ttl"),
        Self::Starve("noeviction"),
        Self::Forbid,
        Self::Failover,
        Self::LossyFailover,
        Self::DebugSleep,
    ];

    /// Whether the server loses what it should have kept, with or without a word.
    fn loses(self) -> bool {
        match self {
            Self::Starve(policy) => policy != "noeviction",
            Self::FlushAll | Self::EmptyRedis | Self::StaleRedis | Self::LossyFailover => true,
            _ => false,
        }
    }
}

impl Fleet {
    /// A fault, from its begin to its end.
    pub(super) fn suffer(&mut self, fault: Fault) {
        let begin = now();
        self.inflict(fault);
        if fault.loses() {
            self.losses.push((begin, now()));
        }
    }

    fn inflict(&mut self, fault: Fault) {
        let node = self.random.below(NODES) as usize;
        let some_time = Duration::from_millis(100 + self.random.below(1_200));
        let proxy = &self.nodes[node].proxy;
        let last = || sleep(some_time);
        match fault {
            Fault::CutBus => proxy.cut_lane(Lane::Bus),
            Fault::CutData => {
                proxy.cut_lane(Lane::Data);
                proxy.cut_lane(Lane::Large);
            }
            Fault::HoldUp => {
                proxy.blackhole(true, false);
                last();
                proxy.blackhole(false, false);
            }
            Fault::HoldDown => {
                proxy.blackhole(false, true);
                last();
                proxy.blackhole(false, false);
            }
            Fault::DeafBus => {
                proxy.blackhole_lane(Lane::Bus, false, true);
                // Longer than its memory may answer.
                sleep(some_time + 2 * STALENESS_BOUND);
                proxy.blackhole_lane(Lane::Bus, false, false);
            }
            Fault::DumbData => {
                proxy.blackhole_lane(Lane::Data, true, false);
                // Longer than an evict waits for its answer.
                sleep(some_time + Duration::from_millis(500));
                proxy.blackhole_lane(Lane::Data, false, false);
            }
            Fault::Delay => {
                proxy.delay(Duration::ZERO, 2 * STALENESS_BOUND);
                last();
                proxy.delay(Duration::ZERO, Duration::ZERO);
            }
            Fault::StopNode => {
                self.nodes[node].running.signal(Signal::STOP);
                sleep(STALENESS_BOUND.mul_f64(0.5 + self.random.below(950) as f64 / 100.0));
                self.nodes[node].running.signal(Signal::CONT);
            }
            Fault::KillNode => {
                self.nodes[node].running.signal(Signal::KILL);
                self.restart(node);
            }
            Fault::KillWriter => {
                self.nodes[node].running.order("die");
                self.restart(node);
            }
            Fault::StopRedis => {
                self.redis.pause();
                last();
                self.redis.resume();
            }
            Fault::EmptyRedis => {
                // What it said last does not arrive everywhere.
                proxy.blackhole_lane(Lane::Bus, false, true);
                sleep(STALENESS_BOUND / 2);
                self.redis.kill();
                self.redis.forget();
                proxy.cut_lane(Lane::Bus);
                proxy.blackhole_lane(Lane::Bus, false, false);
                last();
                self.redis.restart();
            }
            Fault::StaleRedis => {
                let saved = now();
                self.redis.ask(&["SAVE"]);
                last();
                let killed = now();
                self.redis.kill();
                self.redis.restart();
                sleep(HEALS);
                self.lapses.push(Lapse { saved, killed, healed: now() });
                self.redis.forget();
            }
            Fault::FlushAll => self.command(&["FLUSHALL"]),
            Fault::ScriptFlush => self.command(&["SCRIPT", "FLUSH"]),
            Fault::ClientKill => self.command(&["CLIENT", "KILL", "TYPE", ["normal", "pubsub"][node % 2]]),
            Fault::TinyBuffers => {
                self.command(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 16kb 0 0"]);
                let junk = "\0".repeat(64 * 1024);
                self.command(&["PUBLISH", "{hc:histories:0}b0", &junk]);
                last();
                self.command(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 32mb 8mb 60"]);
            }
            Fault::Starve(policy) => self.starve(policy, some_time),
            Fault::Forbid => {
                self.command(&["ACL", "SETUSER", "default", "-unlink"]);
                last();
                self.command(&["ACL", "SETUSER", "default", "+unlink"]);
            }
            Fault::Failover => self.fail_over(None),
            Fault::LossyFailover => self.fail_over(Some(some_time)),
            Fault::DebugSleep => {
                self.command(&["DEBUG", "SLEEP", &format!("{:.1}", some_time.as_secs_f64())]);
            }
        }
    }

    /// Has a replica take the server's place. With `without` it lacks what was acknowledged in the last such time.
    fn fail_over(&mut self, without: Option<Duration>) {
        let link = Proxy::before(self.redis.port());
        let replica = redis();
        let (host, port) = link.address();
        assert_eq!(replica.ask(&["REPLICAOF", &host, &port]).text(), "OK");
        self.catch_up(&replica);
        let saved = now();
        if without.is_none() {
            // Whoever writes waits, and is not answered any more.
            self.command(&["CLIENT", "PAUSE", "60000", "WRITE"]);
        }
        // Whatever was acknowledged before has arrived there.
        self.catch_up(&replica);
        if let Some(long) = without {
            link.blackhole(false, true);
            sleep(long);
        }
        let killed = now();
        self.redis.kill();
        link.cut();
        assert_eq!(replica.ask(&["REPLICAOF", "NO", "ONE"]).text(), "OK");
        for node in &self.nodes {
            node.proxy.lead_to(replica.port());
            node.proxy.cut();
        }
        self.redis = replica;
        // What it took over by way of its disk.
        self.redis.forget();
        if without.is_some() {
            sleep(HEALS);
            self.lapses.push(Lapse { saved, killed, healed: now() });
        }
    }

    /// Returns when a replica has heard all that the server has said until now.
    fn catch_up(&self, replica: &RedisServer) {
        let offset = |server: &RedisServer, name: &str| {
            let info = server.ask(&["INFO", "replication"]).text();
            info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok())
        };
        let said = offset(&self.redis, "master_repl_offset:").expect("it is a master");
        until_blocking("the replica has caught up", || {
            let info = replica.ask(&["INFO", "replication"]).text();
            info.contains("master_link_status:up")
                && offset(replica, "slave_repl_offset:").is_some_and(|heard| heard >= said)
        });
    }

    /// Leaves the server hardly more memory than it has taken.
    fn starve(&self, policy: &str, long: Duration) {
        let info = self.redis.ask(&["INFO", "memory"]).text();
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("it says so").trim();
        let most = used.parse::<u64>().unwrap() + 2_000;
        self.command(&["CONFIG", "SET", "maxmemory-policy", policy]);
        self.command(&["CONFIG", "SET", "maxmemory", &most.to_string()]);
        sleep(long);
        self.command(&["CONFIG", "SET", "maxmemory", "0"]);
    }

    fn command(&self, words: &[&str]) {
        let reply = self.redis.ask(words);
        assert!(!matches!(reply, crate::redis_server::Reply::Error(_)), "{words:?}: {reply:?}");
    }
}

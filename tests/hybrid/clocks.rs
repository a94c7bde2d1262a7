//! The wall clock of the server is stepped. What lives by it ends early, or lives on; what is promised of evicts does not depend on it.
//!
//! No test can set that clock without setting everybody's. To a server a step is that the end of everything it keeps is nearer by as
//! much, or farther: so that is what is done, in one step of its own, to the ends of its keys and to those that scripts wrote into
//! records by its clock.

use std::time::Duration;

use hybridcache::codec::MsgPack;
use hybridcache::{Cache, CacheManager, Evicted, Tier};
use hybridcache_tests::redis_server::{RedisServer, Reply};
use hybridcache_tests::{Gate, MINUTE, Runs, until};

use crate::{ends_within, in_step, load, node, numbers, outlives, remaining};

const HOUR: i64 = 3_600_000;

/// Lets so many milliseconds pass on the wall clock of a server, or come again.
fn step(server: &RedisServer, ms: i64) {
    let script = r"
        local step = tonumber(ARGV[1])
        local function nearer(key, at)
            local ends = struct.unpack('>I8', redis.call('GETRANGE', key, at, at + 7))
            if ends ~= 0 then redis.call('SETRANGE', key, at, struct.pack('>I8', math.max(1, ends - step))) end
        end
        for _, key in ipairs(redis.call('KEYS', '*')) do
            local head = redis.call('TYPE', key).ok == 'string' and redis.call('GETRANGE', key, 0, 3)
            if head == '\193h\1\4' then
                for at = 24, redis.call('STRLEN', key) - 8, 24 do nearer(key, at) end
            elseif head == '\193h\1\1' or head == '\193h\1\2' then
                nearer(key, 32)
            end
            local ends = redis.call('PEXPIRETIME', key)
            if ends > 0 then redis.call('PEXPIREAT', key, string.format('%.0f', ends - step)) end
        end";
    let done = server.ask(&["EVAL", script, "0", &ms.to_string()]);
    assert_eq!(done, Reply::Nil);
}

/// Two nodes that both have key 1 in memory, and are in step.
async fn pair(server: &RedisServer, runs: &Runs) -> ([CacheManager; 2], [Cache<u64, u64>; 2]) {
    let nodes = [node(server).await, node(server).await];
    let caches = nodes.each_ref().map(numbers);
    for (node, cache) in nodes.iter().zip(&caches) {
        in_step(node).await;
        load(cache, 1, runs).await;
        assert_eq!(load(cache, 1, runs).await, (1, Tier::Memory));
    }
    (nodes, caches)
}

/// A load that is under way, and comes to an end when the gate opens.
async fn under_way(cache: &Cache<u64, u64>, key: u64, value: u64) -> (Gate, tokio::task::JoinHandle<u64>) {
    let (gate, cache) = (Gate::default(), cache.clone());
    let held = gate.clone();
    let body = async move || {
        held.pass().await;
        value
    };
    let task = tokio::spawn(async move { cache.get_or_load(&key, || Box::pin(body())).await });
    until("it loads", || gate.arrived() == 1).await;
    (gate, task)
}

/// What is promised of evicts holds, and nobody was put out of step.
async fn evicts_work([a, b]: &[CacheManager; 2], [here, there]: &[Cache<u64, u64>; 2], runs: &Runs) {
    for node in [a, b] {
        assert_eq!(node.remote_health().unwrap().floors_raised, 1, "at the start");
    }
    for _ in 0..3 {
        let before = load(there, 1, runs).await.0;
        assert_eq!(here.evict(&1).await, Ok(Evicted::Acknowledged));
        b.after(a.token().unwrap()).await;
        assert!(load(there, 1, runs).await.0 > before);
    }
    assert_eq!(here.clear().await, Ok(Evicted::Acknowledged));
    b.after(a.token().unwrap()).await;
    let before = runs.count();
    assert_eq!(load(there, 1, runs).await, (before + 1, Tier::Source));
}

#[tokio::test]
async fn a_step_forward_ends_what_lives_by_the_clock_of_the_server_and_nothing_else() {
    let server = RedisServer::start();
    let runs = Runs::default();
    let (nodes, caches) = pair(&server, &runs).await;
    let [here, _] = &caches;
    let (gate, overtaken) = under_way(here, 2, 20).await;
    let write = here.write(&3).await.unwrap();

    step(&server, HOUR);
    for key in 1..=3 {
        assert_eq!(remaining(&server, "numbers", key), -2, "it is an hour after its end");
    }
    // By their own clocks no time has passed.
    for cache in &caches {
        assert_eq!(load(cache, 1, &runs).await, (1, Tier::Memory));
    }
    // The right to fill has ended, and the guard: nothing is kept that may be old.
    gate.open();
    assert_eq!(overtaken.await.unwrap(), 20);
    write.put(30).await.unwrap();
    assert_eq!((here.peek(&2).await, here.peek(&3).await), (None, None));
    evicts_work(&nodes, &caches, &runs).await;
    for node in nodes {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn a_step_back_lets_live_on_what_lives_by_the_clock_of_the_server_and_evicts_remove_it() {
    let server = RedisServer::start();
    let runs = Runs::default();
    let (nodes, caches) = pair(&server, &runs).await;
    let [here, there] = &caches;
    let (gate, loading) = under_way(here, 2, 20).await;
    let write = here.write(&3).await.unwrap();

    step(&server, -HOUR);
    for key in 1..=3 {
        assert!(remaining(&server, "numbers", key) > HOUR - 1_000, "it has an hour more");
    }
    // Who lives renews its lease, and from then on it is as long as any.
    until("the lease is renewed", || remaining(&server, "numbers", 2) <= 5_000).await;
    gate.open();
    assert_eq!(loading.await.unwrap(), 20);
    assert_eq!(load(there, 2, &runs).await, (20, Tier::Redis));
    assert!(remaining(&server, "numbers", 2) <= 60_000, "what is written from here on lives as long as it should");
    write.put(30).await.unwrap();
    assert_eq!(load(there, 3, &runs).await, (30, Tier::Redis));
    // What a dead process left stands for an hour more, and goes with an evict.
    assert_eq!(load(here, 1, &runs).await, (1, Tier::Memory));
    evicts_work(&nodes, &caches, &runs).await;
    for node in nodes {
        node.shutdown().await;
    }
}

/// Its end is written into a record by the clock of the server: what it says there is not believed to be of today.
#[tokio::test]
async fn a_record_that_ended_long_ago_slides_no_further_and_one_of_the_far_future_slides_on() {
    const IDLE: Duration = Duration::from_millis(600);
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache: Cache<u64, u64> =
        Cache::builder("numbers").sliding(IDLE).max_age(MINUTE).hybrid(MsgPack).manager(&node).build().unwrap();
    let runs = Runs::default();
    for (ends, slides) in [(1_u64, false), (u64::MAX, true), (1 << 63, true)] {
        cache.evict(&7).await.unwrap();
        let read = async || {
            let (number, tier) = load(&cache, 7, &runs).await;
            if tier == Tier::Source {
                server.ask(&[&b"SETRANGE"[..], b"{hc:test:0}numbers:v1:7", b"32", &ends.to_be_bytes()]);
            }
            number
        };
        if slides {
            outlives(3 * IDLE, read).await;
        } else {
            ends_within(3 * IDLE, read).await;
        }
        assert!(remaining(&server, "numbers", 7) <= 600, "{ends}");
    }
    node.shutdown().await;
}

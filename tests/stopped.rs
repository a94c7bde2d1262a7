//! A Redis that stops in the middle of whatever it does, for twenty seconds and under load, and then goes on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use hybridcache::codec::MsgPack;
use hybridcache::{Cache, CacheManager, Consistency, Evicted, Fetched, Share};
use hybridcache_tests::history::judge::{History, Promises, judge};
use hybridcache_tests::history::node::what;
use hybridcache_tests::history::operation::{Operation, What};
use hybridcache_tests::history::{database::Commit, now};
use hybridcache_tests::proxy::Proxy;
use hybridcache_tests::redis_server::RedisServer;
use hybridcache_tests::{Random, SECOND, say, until};

const OUTAGE: Duration = Duration::from_secs(20);
const TTL: Duration = Duration::from_secs(120);
/// Of each cache.
const KEYS: u64 = 200;
/// What a read and a write may wait for Redis, as it is by default.
const READ: Duration = Duration::from_millis(250);
const WRITE: Duration = Duration::from_millis(500);
/// The managers' bound, as it is by default.
const BOUND: Duration = Duration::from_secs(2);
/// How late a call may be told by a machine that has other things to do.
const BUSY: Duration = Duration::from_millis(150);

/// A version, the load that brought it, and when that began.
type Value = (u64, u64, u64);

/// What is true, and what everybody saw of it.
#[derive(Default)]
struct World {
    versions: Mutex<HashMap<u64, u64>>,
    commits: Mutex<Vec<Commit>>,
    operations: Mutex<Vec<Operation>>,
    loads: AtomicU64,
    over: AtomicBool,
}

impl World {
    fn load(&self, key: u64) -> Value {
        let loaded_at = now();
        let version = self.versions.lock().unwrap().get(&key).copied().unwrap_or(0);
        (version, self.loads.fetch_add(1, SeqCst), loaded_at)
    }

    fn commit(&self, key: u64) -> u64 {
        let mut versions = self.versions.lock().unwrap();
        let version = versions.entry(key).or_insert(0);
        *version += 1;
        self.commits.lock().unwrap().push(Commit { key, version: *version, at: now() });
        *version
    }

    fn note_read(&self, process: u64, key: u64, start: u64, fetched: &Fetched<Value>) {
        let (version, load, loaded_at) = fetched.result;
        let read = Operation { process, what: what(fetched), key, start, end: now(), version, load, loaded_at };
        self.operations.lock().unwrap().push(read);
    }
}

/// A process that reads: in each cache, from an async function and from a plain one.
struct Reader {
    process: u64,
    world: Arc<World>,
    cache: Cache<u64, Value>,
    /// Its keys are this and the following.
    first: u64,
}

impl Reader {
    async fn read(self, seed: u64) {
        let Self { process, world, cache, first } = self;
        let mut random = Random::seeded(seed);
        while !world.over.load(SeqCst) {
            let (key, start) = (first + random.below(KEYS), now());
            let fetched = cache.fetch(&key).load(Share::none(), |_| async { world.load(key) }).await;
            world.note_read(process, key, start, &fetched);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn read_plainly(self, seed: u64) {
        let Self { process, world, cache, first } = self;
        let mut random = Random::seeded(seed);
        while !world.over.load(SeqCst) {
            let (key, start) = (first + random.below(KEYS), now());
            let fetched = cache.fetch(&key).load_blocking(Share::none(), |_| world.load(key));
            world.note_read(process, key, start, &fetched);
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Time passes, and two keys of each cache are written meanwhile.
async fn while_some_are_written(world: &World, caches: &[(u64, Cache<u64, Value>)], keys: [u64; 2]) {
    let began = Instant::now();
    for (key, after) in keys.into_iter().zip([0, 12]) {
        tokio::time::sleep_until((began + after * SECOND).into()).await;
        for (first, cache) in caches {
            let (key, start) = (first + key, now());
            let version = world.commit(key);
            let what = match cache.evict(&key).await.unwrap() {
                Evicted::Acknowledged => What::Evicted,
                _ => What::Deferred,
            };
            let write = Operation { process: 1, what, key, start, end: now(), version, load: 0, loaded_at: 0 };
            world.operations.lock().unwrap().push(write);
        }
    }
    tokio::time::sleep_until((began + OUTAGE).into()).await;
}

fn nanos(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

/// The share of reads that memory answered.
fn from_memory<'o>(reads: impl Iterator<Item = &'o Operation>) -> f64 {
    let (mut memory, mut all) = (0, 0);
    for read in reads {
        memory += u64::from(read.what == What::Memory);
        all += 1;
    }
    assert!(all > 1_000, "{all} reads show nothing");
    memory as f64 / all as f64
}

/// Notes when it is woken, of a millisecond's sleep each time: how long something took is how often it was meanwhile, so that a machine
/// that is held up holds up that clock as well.
fn tick(world: &World) -> Vec<u64> {
    let mut ticks = Vec::new();
    while !world.over.load(SeqCst) {
        thread::sleep(Duration::from_millis(1));
        ticks.push(now());
    }
    ticks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_seconds_without_an_answer_cost_nobody_more_than_a_deadline() {
    let server = RedisServer::start();
    let world = Arc::new(World::default());
    let (mut nodes, mut proxies, mut writes, mut readers, mut threads) = (vec![], vec![], vec![], vec![], vec![]);
    for process in [1, 2] {
        let proxy = Proxy::before(server.port());
        let node = CacheManager::builder().namespace("test").redis(proxy.url()).build().await.unwrap();
        for (first, name, consistency) in
            [(0, "eventual", Consistency::Eventual), (KEYS, "bounded", Consistency::Bounded)]
        {
            let cache = Cache::builder(name).ttl(TTL).consistency(consistency).hybrid(MsgPack).manager(&node);
            let cache: Cache<u64, Value> = cache.build().unwrap();
            let reader = || Reader { process, world: Arc::clone(&world), cache: cache.clone(), first };
            let (reader, plain, seed) = (reader(), reader(), 10 * process + first);
            readers.push(tokio::spawn(reader.read(seed + 1)));
            threads.push(thread::spawn(move || plain.read_plainly(seed + 2)));
            if process == 1 {
                writes.push((first, cache));
            }
        }
        proxies.push(proxy);
        nodes.push(node);
    }
    let ticks = {
        let world = Arc::clone(&world);
        thread::spawn(move || tick(&world))
    };
    tokio::time::sleep(3 * SECOND).await;
    let began = now();
    while_some_are_written(&world, &writes, [10, 20]).await;

    let (stopped, stopped_at) = (now(), Instant::now());
    server.pause();
    while_some_are_written(&world, &writes, [30, 40]).await;
    server.resume();
    let (back, back_at) = (now(), Instant::now());

    until("all are in step and owe nothing", || {
        nodes.iter().filter_map(CacheManager::remote_health).all(|health| health.in_step && !health.deferred)
    })
    .await;
    let in_step = now();
    tokio::time::sleep(BOUND).await;
    let settled = now();
    tokio::time::sleep(2 * SECOND).await;
    world.over.store(true, SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let ticks = ticks.join().unwrap();
    for node in &nodes {
        node.shutdown().await;
    }

    let took = |from: u64, to: u64| {
        let before = |at| ticks.partition_point(|tick| *tick < at) as u64;
        Duration::from_millis(before(to) - before(from))
    };
    let operations = world.operations.lock().unwrap();
    let reads = || operations.iter().filter(|operation| operation.is_read());
    let during = |from: u64, to: u64| reads().filter(move |read| (from..to).contains(&read.start));
    let eventual = |read: &&Operation| read.key < KEYS;
    let bounded = |read: &&Operation| read.key >= KEYS;

    // No call exceeds its deadline: one to ask, and one to fill for who was about to when it happened.
    let longest = |operation: &Operation| took(operation.start, operation.end);
    let at_first = during(stopped - nanos(SECOND), stopped + nanos(SECOND)).map(longest).max().unwrap();
    let later = during(stopped + nanos(SECOND), back).map(longest).max().unwrap();
    let written = operations.iter().filter(|operation| !operation.is_read()).map(longest).max().unwrap();
    say(format_args!("slowest read at first {at_first:?}, later {later:?}; slowest write {written:?}"));
    assert!(at_first < READ + WRITE + BUSY, "{at_first:?}");
    assert!(later < READ + BUSY, "{later:?}");
    assert!(written < WRITE + BUSY, "{written:?}");
    let in_vain: Vec<_> = operations.iter().filter(|write| !write.is_read() && write.start >= stopped).collect();
    assert!(in_vain.len() == 4 && in_vain.iter().all(|write| write.what == What::Deferred), "{in_vain:?}");

    let before = from_memory(during(began, stopped).filter(eventual));
    let meanwhile = from_memory(during(stopped, back).filter(eventual));
    say(format_args!("eventual: {before:.4} from memory before, {meanwhile:.4} in the outage"));
    assert!(meanwhile >= 0.98 * before, "{meanwhile} after {before}");
    let bounded_after = from_memory(during(stopped + nanos(BOUND + SECOND), back).filter(bounded));
    say(format_args!("bounded: {bounded_after:.4} from memory when the bound is over"));

    let in_step = took(back, in_step);
    say(format_args!("in step, and nothing owed, {in_step:?} after the return"));
    assert!(in_step < SECOND, "{in_step:?}");
    // Hits again within a second of the return, in each process, from Redis and from the memory that depends on it.
    for process in [1, 2] {
        let hits =
            |what| during(back, u64::MAX).filter(bounded).find(|read| read.process == process && read.what == what);
        for what in [What::Redis, What::Memory] {
            let first = took(back, hits(what).expect("there are some").end);
            say(format_args!("process {process}: the first from {what:?} {first:?} after the return"));
            assert!(first < SECOND, "{first:?}");
        }
    }
    let source = |read: &&Operation| !matches!(read.what, What::Memory | What::Redis);
    let (loaded, all) =
        (during(back + nanos(SECOND), u64::MAX).filter(source).count(), during(back + nanos(SECOND), u64::MAX).count());
    assert!(loaded * 50 < all, "{loaded} of {all} reads go on to ask the source");

    // Nothing is stale: in the bounded cache ever, in the other one when all are in step again.
    for (of, staleness) in [(0..KEYS, u64::MAX), (KEYS..2 * KEYS, nanos(BOUND + BUSY))] {
        let history = History {
            operations: operations.iter().filter(|operation| of.contains(&operation.key)).copied().collect(),
            commits: world.commits.lock().unwrap().clone(),
            settled,
            alive: vec![1, 2],
            ..History::default()
        };
        let judgement = judge(&history, &Promises { staleness, overstay: 0, lifetime: |_| nanos(TTL) });
        say(&judgement);
        assert!(judgement.violations.is_empty(), "{judgement}");
    }

    // Each of the three connections of a node is attempted twice in a second.
    let most = 3 * (1 + (back_at + SECOND - stopped_at).as_millis() as usize / 500);
    for proxy in &proxies {
        let attempts = proxy.attempts().into_iter().filter(|at| (stopped_at..back_at + SECOND).contains(at)).count();
        say(format_args!("{attempts} attempts to connect"));
        assert!(
            (3..=most).contains(&attempts),
            "silence is noticed, and no more is done than what may help: {attempts}"
        );
    }
}

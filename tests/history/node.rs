//! One process of the fleet: a manager, five caches, and callers that read, write and clear until they are told to stop.
//!
//! It is told on its standard input: `quiet` (write no more), `die` (be killed between a commit and its evict), `read` (each key, now),
//! `write` (each key of which it is its turn, now), `spare` (clear nothing) and `spare not`, `stop`.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use hybridcache::codec::MsgPack;
use hybridcache::{
    Cache, CacheManager, Consistency, Evicted, Fetched, OnOutage, Outcome, RedisOptions, Share, SingleFlight, Stats,
    Tier,
};
use rustix::process::{Signal, getpid, kill_process, set_parent_process_death_signal};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use super::database::Client;
use super::operation::{Log, Operation, What};
use super::{
    ALL_KEYS, CAPACITY, DEGRADED_TTL, HEARTBEAT, KEYS, LARGE_KEY, LEASE, NODES, STALENESS_BOUND, STRICT, now,
    strict_key, ttl,
};
use crate::{Random, say};

/// How many callers there are in a process.
const CALLERS: u64 = 4;
/// What a key that is not the one asked for is called in the log: no version is as high.
const GARBAGE: u64 = u64::MAX;

/// What a process is told on its command line.
#[derive(Clone, Debug)]
pub struct Orders {
    /// Its number; each start of a node has another.
    pub process: u64,
    /// Its place in the fleet, which it takes over from who was killed.
    pub place: u64,
    /// Where Redis is, for this node.
    pub redis: String,
    /// Where the database is.
    pub database: SocketAddr,
    /// Where to write down what it does.
    pub log: PathBuf,
    /// For its choices.
    pub seed: u64,
}

impl Orders {
    /// As arguments.
    #[must_use]
    pub fn arguments(&self) -> [String; 6] {
        let log = self.log.display().to_string();
        let (process, place) = (self.process.to_string(), self.place.to_string());
        [process, place, self.redis.clone(), self.database.to_string(), log, self.seed.to_string()]
    }

    /// From arguments.
    ///
    /// # Panics
    ///
    /// If they are not what [`arguments`](Self::arguments) made.
    #[must_use]
    pub fn read(arguments: &[String]) -> Self {
        let [process, place, redis, database, log, seed] = arguments else { panic!("six arguments: {arguments:?}") };
        Self {
            process: process.parse().unwrap(),
            place: place.parse().unwrap(),
            redis: redis.clone(),
            database: database.parse().unwrap(),
            log: Path::new(log).to_owned(),
            seed: seed.parse().unwrap(),
        }
    }
}

/// What is cached: the key, its version, which load brought it, when that began; and what makes it large.
type Value = (u64, u64, u64, u64, Arc<str>);

struct Node {
    orders: Orders,
    manager: CacheManager,
    /// For even keys, for odd ones, and for strict ones; then for the even and odd ones that memory has nothing of.
    caches: [Cache<u64, Value>; 5],
    large: Arc<str>,
    log: Log,
    loads: AtomicU64,
    quiet: AtomicBool,
    spare: AtomicBool,
    die: AtomicBool,
    stop: AtomicBool,
}

/// Runs until it is told to stop, or nobody is there any more to tell it.
///
/// # Panics
///
/// If it cannot start.
pub fn run(orders: Orders) {
    // It may be stopped just when whoever would let it go on is killed.
    set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let node = Arc::new(Node::start(orders).await);
        println!("ready");
        let callers: Vec<_> = (1..=CALLERS).map(|caller| tokio::spawn(Arc::clone(&node).call(caller))).collect();
        node.listen().await;
        for caller in callers {
            caller.await.unwrap();
        }
        println!("{}", counters(&node.manager.total()));
        node.manager.shutdown().await;
    });
}

impl Node {
    async fn start(orders: Orders) -> Self {
        // What comes back after a fault comes back while another may be on.
        let mut options = RedisOptions::new(&orders.redis).connect_lazily();
        // Every other node has a connection more, and its calls one way more to go.
        if orders.place % 2 == 1 {
            options = options.runtime(Handle::current());
        }
        let manager = CacheManager::builder()
            .namespace("histories")
            .redis_options(options)
            .staleness_bound(STALENESS_BOUND)
            .heartbeat(HEARTBEAT)
            .build()
            .await
            .unwrap();
        let plain = |name| Cache::builder(name).ttl(ttl(0)).lease(LEASE).manager(&manager);
        let cache = |name| plain(name).hybrid(MsgPack).capacity(CAPACITY).degraded_ttl(DEGRADED_TTL);
        let even = cache("even");
        let odd = cache("odd").single_flight(SingleFlight::Fleet);
        // A guarded write that cannot be begun does not begin.
        let strict = cache("strict").consistency(Consistency::Strict).on_outage(OnOutage::Fail);
        let remote = plain("remote").redis(MsgPack);
        let exact = cache("exact").consistency(Consistency::Strict);
        let caches = [even, odd, strict, remote, exact].map(|cache| cache.build().unwrap());
        Self {
            caches,
            manager,
            large: "x".repeat(300_000).into(),
            log: Log::create(&orders.log).unwrap(),
            orders,
            loads: AtomicU64::new(0),
            quiet: AtomicBool::new(false),
            spare: AtomicBool::new(false),
            die: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        }
    }

    async fn listen(self: &Arc<Self>) {
        let mut orders = BufReader::new(tokio::io::stdin()).lines();
        while let Ok(Some(order)) = orders.next_line().await {
            match order.as_str() {
                "quiet" => self.quiet.store(true, SeqCst),
                "spare" => self.spare.store(true, SeqCst),
                "spare not" => self.spare.store(false, SeqCst),
                "die" => self.die.store(true, SeqCst),
                "read" => (0..ALL_KEYS).for_each(|key| self.at_once(key, false)),
                "write" => {
                    (self.orders.place..ALL_KEYS).step_by(NODES as usize).for_each(|key| self.at_once(key, true));
                }
                "stop" => break,
                order => panic!("no such order: {order}"),
            }
        }
        self.stop.store(true, SeqCst);
    }

    fn at_once(self: &Arc<Self>, key: u64, write: bool) {
        let node = Arc::clone(self);
        tokio::spawn(async move {
            let client = Arc::new(Mutex::new(Client::new(node.orders.database)));
            match write {
                true => node.write(key, &client, false).await,
                false => node.read(key, &client, false).await,
            }
        });
    }

    async fn call(self: Arc<Self>, caller: u64) {
        let mut random = Random::seeded(self.orders.seed << 8 | caller);
        let client = Arc::new(Mutex::new(Client::new(self.orders.database)));
        let strict = |place| strict_key(place, now());
        // Whoever was here before may have left something under way.
        let mut shunned = strict(self.orders.place);
        while !self.stop.load(SeqCst) {
            tokio::time::sleep(Duration::from_micros(random.below(4_000))).await;
            let key = if random.below(10) == 0 { KEYS + random.below(ALL_KEYS - KEYS) } else { zipf(&mut random) };
            match random.below(1_000) {
                _ if self.quiet.load(SeqCst) => self.read(key, &client, false).await,
                0..80 => self.write(key, &client, false).await,
                80..88 => self.write(key, &client, !self.spare.load(SeqCst)).await,
                88..100 => self.put(key, &client).await,
                100..220 => self.read(strict(random.below(NODES)), &client, false).await,
                // One writer of each, and none where an evict of before may yet arrive: it would take the guard along.
                220..250 if caller == 1 && strict(self.orders.place) != shunned => {
                    let key = strict(self.orders.place);
                    if !self.write_guarded(&[key], &client).await {
                        shunned = key;
                    }
                }
                // A caller that hangs up.
                250..274 => {
                    let patience = Duration::from_micros(random.below(20_000));
                    let keys = several(key, &mut random);
                    let call = async {
                        match random.below(4) {
                            0 => self.read_or_load_many(&keys, &client).await,
                            1 => self.write(key, &client, false).await,
                            _ => self.read(key, &client, random.below(4) == 0).await,
                        }
                    };
                    let _ = tokio::time::timeout(patience, call).await;
                }
                274..300 => self.read_or_load_many(&several(key, &mut random), &client).await,
                300..312 => self.read_many(&several(key, &mut random)).await,
                312..330 => self.get(key, random.below(4) == 0).await,
                330..338 => self.write_many(&several(key, &mut random), &client).await,
                338..344 => _ = self.write_guarded(&several(key, &mut random), &client).await,
                344..354 => self.read(key, &client, true).await,
                354..370 => self.read_plainly(key, &client).await,
                370..374 => self.write_plainly(key, &client).await,
                374..390 => self.take_over(random.below(NODES), &client).await,
                _ => {
                    for _ in 0..=random.below(3) {
                        self.read(key, &client, false).await;
                    }
                }
            }
        }
    }

    /// Through the cache, or with `reload` past what it has.
    async fn read(&self, key: u64, client: &Arc<Mutex<Client>>, reload: bool) {
        let start = now();
        let fetch = self.cache(key).fetch(&key);
        let fetch = if reload { fetch.reload() } else { fetch };
        let fetched = fetch.load(Share::none(), |context| {
            context.ttl(ttl(key));
            self.load(key, Arc::clone(client))
        });
        let fetched = fetched.await;
        self.note_read(what(&fetched), key, start, &fetched.result);
    }

    /// [`read`](Self::read) of a plain function.
    async fn read_plainly(self: &Arc<Self>, key: u64, client: &Arc<Mutex<Client>>) {
        let (node, client, runtime) = (Arc::clone(self), Arc::clone(client), Handle::current());
        let read = move || {
            let start = now();
            let fetched = node.cache(key).fetch(&key).load_blocking(Share::none(), |context| {
                context.ttl(ttl(key));
                runtime.block_on(node.load(key, client))
            });
            node.note_read(what(&fetched), key, start, &fetched.result);
        };
        tokio::task::spawn_blocking(read).await.unwrap();
    }

    /// What is there, or with `peek` what is there without a trace.
    async fn get(&self, key: u64, peek: bool) {
        let (start, cache) = (now(), self.cache(key));
        let found = if peek { cache.peek(&key).await } else { cache.get(&key).await };
        if let Some(found) = found {
            self.note_read(What::Found, key, start, &found);
        }
    }

    async fn read_many(&self, keys: &[u64]) {
        let start = now();
        let found = self.cache(keys[0]).get_many(keys).await;
        for (key, found) in keys.iter().zip(found) {
            found.iter().for_each(|found| self.note_read(What::Found, *key, start, found));
        }
    }

    async fn read_or_load_many(&self, keys: &[u64], client: &Arc<Mutex<Client>>) {
        let (start, mut loads) = (now(), Vec::new());
        let load = async |missing: Vec<u64>| {
            let mut loaded = HashMap::new();
            for key in missing {
                let value = self.load(key, Arc::clone(client)).await;
                loads.push(value.2);
                loaded.insert(key, value);
            }
            Ok::<_, ()>(loaded)
        };
        let read = self.cache(keys[0]).get_many_or_load(keys, load).await.unwrap();
        for (key, value) in keys.iter().zip(read) {
            let value = value.expect("each key has a version");
            let what = if loads.contains(&value.2) { What::Loaded } else { What::Found };
            self.note_read(what, *key, start, &value);
        }
    }

    fn load(&self, key: u64, client: Arc<Mutex<Client>>) -> impl Future<Output = Value> + Send + use<> {
        let (load, padding) = (self.next_load(), self.padding(key));
        async move {
            let loaded_at = now();
            let version = client.lock().await.load(key, load).await.unwrap_or_else(|why| gone(&why));
            (key, version, load, loaded_at, padding)
        }
    }

    /// Commits, and then evicts the key, or clears its cache.
    async fn write(&self, key: u64, client: &Mutex<Client>, clear: bool) {
        let start = now();
        let version = client.lock().await.commit(key).await.unwrap_or_else(|why| gone(&why));
        self.die_if_told();
        let cache = self.cache(key);
        let evicted = if clear { cache.clear().await } else { cache.evict(&key).await };
        let what = match evicted.unwrap() {
            Evicted::Acknowledged if clear => What::Cleared,
            Evicted::Acknowledged => What::Evicted,
            Evicted::Deferred => What::Deferred,
            other => panic!("no evict here ends so: {other:?}"),
        };
        self.note_write(what, key, start, version);
        if what == What::Evicted {
            self.hand_on(key, version);
        }
    }

    /// Commits several keys, and then evicts them at once.
    async fn write_many(&self, keys: &[u64], client: &Mutex<Client>) {
        let (start, mut versions) = (now(), Vec::new());
        for key in keys {
            versions.push(client.lock().await.commit(*key).await.unwrap_or_else(|why| gone(&why)));
        }
        self.die_if_told();
        let evicted = self.cache(keys[0]).evict_many(keys).await.unwrap();
        let what = if evicted == Evicted::Acknowledged { What::Evicted } else { What::Deferred };
        keys.iter().zip(versions).for_each(|(key, version)| self.note_write(what, *key, start, version));
    }

    /// Commits, and then evicts the key from a plain function.
    async fn write_plainly(self: &Arc<Self>, key: u64, client: &Mutex<Client>) {
        let start = now();
        let version = client.lock().await.commit(key).await.unwrap_or_else(|why| gone(&why));
        let node = Arc::clone(self);
        let evict = move || node.cache(key).blocking().evict(&key).unwrap();
        let evicted = tokio::task::spawn_blocking(evict).await.unwrap();
        let what = if evicted == Evicted::Acknowledged { What::Evicted } else { What::Deferred };
        self.note_write(what, key, start, version);
    }

    /// Leaves a token for others.
    fn hand_on(&self, key: u64, version: u64) {
        let token = self.manager.token().map(|token| token.to_string());
        if let Some(token) = token {
            let draft = self.orders.log.with_extension(format!("{key}-{version}"));
            std::fs::write(&draft, format!("{key} {version} {token}")).unwrap();
            std::fs::rename(draft, self.token_of(self.orders.place)).unwrap();
        }
    }

    /// Reads what the node in this place has written, by its token.
    async fn take_over(&self, place: u64, client: &Arc<Mutex<Client>>) {
        let Ok(handed) = std::fs::read_to_string(self.token_of(place)) else { return };
        let [key, version, token] = handed.split(' ').collect::<Vec<_>>()[..] else { panic!("no token: {handed}") };
        let (start, key) = (now(), key.parse().unwrap());
        self.manager.after(token.parse().unwrap()).await;
        self.note_write(What::Told, key, start, version.parse().unwrap());
        self.read(key, client, false).await;
    }

    fn token_of(&self, place: u64) -> PathBuf {
        self.orders.log.with_file_name(format!("token-{place}"))
    }

    /// Commits under a write lease, and puts what it committed.
    async fn put(&self, key: u64, client: &Mutex<Client>) {
        let (start, load) = (now(), self.next_load());
        let write = self.cache(key).write(&key).await.unwrap();
        let loaded_at = now();
        let version = client.lock().await.commit(key).await.unwrap_or_else(|why| gone(&why));
        write.put((key, version, load, loaded_at, self.padding(key))).await.unwrap();
        self.note_write(What::Put, key, start, version);
    }

    /// Commits under guard. Returns whether all that it sent is known to be acknowledged.
    async fn write_guarded(&self, keys: &[u64], client: &Mutex<Client>) -> bool {
        let (start, mut committed, cache) = (now(), Vec::new(), self.cache(keys[0]));
        let written = cache.guarded_write(keys, || async {
            for key in keys {
                committed.push(client.lock().await.commit(*key).await.unwrap_or_else(|why| gone(&why)));
            }
            self.die_if_told();
        });
        let acknowledged = written.await.is_ok();
        // Where an evict may be queued it is not told whether it was.
        let told = if keys[0] < STRICT { What::Put } else { What::Guarded };
        let what = if acknowledged { told } else { What::Unsure };
        keys.iter().zip(committed).for_each(|(key, version)| self.note_write(what, *key, start, version));
        acknowledged
    }

    /// Between a commit and its evict.
    fn die_if_told(&self) {
        if self.die.load(SeqCst) {
            kill_process(getpid(), Signal::KILL).unwrap();
        }
    }

    fn cache(&self, key: u64) -> &Cache<u64, Value> {
        &self.caches[match key {
            STRICT.. => 2,
            KEYS.. => 3 + key as usize % 2,
            _ => key as usize % 2,
        }]
    }

    fn note_read(&self, what: What, key: u64, start: u64, value: &Value) {
        let (of, version, load, loaded_at, _) = *value;
        let version = if of == key { version } else { GARBAGE };
        let process = self.orders.process;
        self.log.append(&Operation { process, what, key, start, end: now(), version, load, loaded_at });
    }

    fn note_write(&self, what: What, key: u64, start: u64, version: u64) {
        let process = self.orders.process;
        self.log.append(&Operation { process, what, key, start, end: now(), version, load: 0, loaded_at: 0 });
    }

    fn next_load(&self) -> u64 {
        self.orders.process << 32 | self.loads.fetch_add(1, SeqCst)
    }

    fn padding(&self, key: u64) -> Arc<str> {
        if key == LARGE_KEY { Arc::clone(&self.large) } else { "".into() }
    }
}

/// The database is, and with it everybody.
fn gone(why: &io::Error) -> ! {
    say(format_args!("process {}: the database is gone: {why}", std::process::id()));
    std::process::exit(1)
}

/// How a read ended.
///
/// # Panics
///
/// If it ended in a way in which no read of a value does.
#[must_use]
pub fn what<R: std::fmt::Debug>(fetched: &Fetched<R>) -> What {
    match (fetched.outcome, fetched.tier) {
        (Outcome::Hit, Tier::Memory) => What::Memory,
        (Outcome::Hit, Tier::Redis) => What::Redis,
        (Outcome::Loaded, Tier::Source) => What::Loaded,
        (Outcome::Uncached, Tier::Source) => What::Uncached,
        (Outcome::Shared, _) => What::Shared,
        _ => panic!("no read here ends so: {fetched:?}"),
    }
}

/// A key and some others of its cache, by chance the same ones again.
fn several(key: u64, random: &mut Random) -> Vec<u64> {
    let (first, last) = if key < KEYS { (0, KEYS) } else { (KEYS, ALL_KEYS) };
    let other = |_| first + (key + 2 * random.below(last)) % (last - first);
    std::iter::once(key).chain((0..2 + key % 4).map(other)).collect()
}

/// The first key as often as the second and third together, and so on.
fn zipf(random: &mut Random) -> u64 {
    let weight = |key: u64| 1_000 / (key + 1);
    let mut at = random.below((0..KEYS).map(weight).sum());
    for key in 0..KEYS {
        match at.checked_sub(weight(key)) {
            Some(rest) => at = rest,
            None => return key,
        }
    }
    0
}

/// Everything that is to have happened at least once, by name.
fn counters(stats: &Stats) -> String {
    let remote = &stats.remote;
    let counters = [
        ("hits", stats.hits),
        ("misses", stats.misses),
        ("loads", stats.loads),
        ("waits", stats.waits),
        ("expired", stats.evictions.expired),
        ("capacity", stats.evictions.capacity),
        ("explicit", stats.evictions.explicit),
        ("redis-hits", remote.hits),
        ("redis-misses", remote.misses),
        ("faults", remote.faults),
        ("fills", remote.fills),
        ("fills-rejected", remote.fills_rejected),
        ("fleet-waits", remote.waits),
        ("unfilled", remote.unfilled),
        ("degraded", remote.degraded),
    ];
    counters.map(|(name, count)| format!("{name}={count}")).join(" ")
}

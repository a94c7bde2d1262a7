//! Loads that others overtake, and what they find when they come to an end.

use std::collections::HashMap;
use std::pin::{Pin, pin};

use hybridcache::codec::MsgPack;
use hybridcache::{Builder, Cache, CacheManager, Consistency, Evicted, Policy, SingleFlight};
use hybridcache_tests::proxy::{Lane, Proxy};
use hybridcache_tests::redis_server::RedisServer;
use hybridcache_tests::{Gate, MINUTE, SECOND, until};
use tokio::task::JoinHandle;

use crate::{hasty, in_step, in_step_again, is_out_of_step, node, node_at, patient};

/// Large enough for a connection of its own.
const LARGE: usize = 300_000;
const PLACE: &str = "{hc:test:0}texts:v1:7";

fn texts(node: &CacheManager) -> Builder<u64, String> {
    Cache::builder("texts").ttl(MINUTE).hybrid(MsgPack).manager(node)
}

/// How often a server has executed a command; `None` if never.
pub(crate) fn calls(server: &RedisServer, command: &str) -> Option<String> {
    let stats = server.ask(&["INFO", "commandstats"]).text();
    let (_, calls) = stats.split_once(&format!("cmdstat_{command}:calls="))?;
    calls.split(',').next().map(str::to_owned)
}

/// A node that hears nothing on the bus, and does not mind for half a minute. Nor is it answered where a large value is on its way: Redis
/// keeps what it loads, and it has not heard so.
struct Deaf {
    server: RedisServer,
    proxy: Proxy,
    node: CacheManager,
    cache: Cache<u64, String>,
    other: CacheManager,
}

impl Deaf {
    async fn start() -> Self {
        let server = RedisServer::start();
        let proxy = Proxy::before(server.port());
        let other = node(&server).await;
        let node = patient(proxy.url()).staleness_bound(30 * SECOND).heartbeat(10 * SECOND).build().await.unwrap();
        in_step(&node).await;
        let cache = texts(&node).build().unwrap();
        // The server knows the script from here on, or it would be asked for that first.
        cache.get_or_load(&1, || async { "small".to_owned() }).await;
        assert_eq!(server.ask(&["EXISTS", PLACE]).text(), "0");
        proxy.blackhole_lane(Lane::Bus, false, true);
        proxy.blackhole_lane(Lane::Large, false, true);
        Self { server, proxy, node, cache, other }
    }

    /// The cache of another process.
    fn elsewhere(&self) -> Cache<u64, String> {
        texts(&self.other).build().unwrap()
    }

    /// A batch whose value Redis keeps.
    async fn batch(&self) -> JoinHandle<Result<Vec<Option<String>>, ()>> {
        let cache = self.cache.clone();
        let load = async |_| Ok::<_, ()>(HashMap::from([(7, "x".repeat(LARGE))]));
        let batch = tokio::spawn(async move { cache.get_many_or_load(&[7], load).await });
        self.is_filled().await;
        batch
    }

    /// A load whose value Redis keeps.
    async fn load(&self) -> JoinHandle<String> {
        let cache = self.cache.clone();
        let load = tokio::spawn(async move { cache.get_or_load(&7, || async { "x".repeat(LARGE) }).await });
        self.is_filled().await;
        load
    }

    async fn is_filled(&self) {
        let length = || self.server.ask(&["STRLEN", PLACE]).text().parse::<usize>().unwrap();
        until("Redis has it", || length() >= LARGE).await;
    }

    /// It hears what Redis keeps.
    fn answers(&self) {
        self.proxy.blackhole_lane(Lane::Large, false, false);
    }

    /// Reads go on from what is newer.
    async fn ends_with_the_new(self) {
        assert!(self.cache.get(&7).await.is_some_and(|text| text == "new"), "time does not run backwards");
        self.end().await;
    }

    async fn end(self) {
        self.other.shutdown().await;
        self.node.shutdown().await;
    }

    /// Has Redis answer what a call asks as soon as it is polled, and leaves it alone.
    async fn begin(&self, call: Pin<&mut impl Future>) {
        // Where many ask at once, it looks as if something large were sent.
        let answers = |hold| [Lane::Data, Lane::Large].map(|lane| self.proxy.blackhole_lane(lane, false, hold));
        let asked = calls(&self.server, "pttl");
        answers(true);
        tokio::select! {
            biased;
            _ = call => panic!("it has not been answered"),
            () = until("Redis was asked", || calls(&self.server, "pttl") != asked) => {}
        }
        answers(false);
    }
}

/// Redis keeps what a batch loaded, and its answer is on its way. Another process evicts the key, which is not heard of here, and
/// the key is loaded here anew.
#[tokio::test]
async fn what_a_batch_has_loaded_takes_the_place_of_nothing_that_was_loaded_later() {
    let here = Deaf::start().await;
    let batch = here.batch().await;
    here.elsewhere().evict(&7).await.unwrap();
    assert_eq!(here.cache.get_or_load(&7, || async { "new".to_owned() }).await, "new");
    here.answers();
    assert_eq!(batch.await.unwrap().unwrap()[0].as_ref().unwrap().len(), LARGE);
    here.ends_with_the_new().await;
}

/// Of two batches the older one comes to its end first, and is kept until the other does.
#[tokio::test]
async fn of_two_batches_each_is_kept_and_the_later_one_stays() {
    let here = Deaf::start().await;
    let first = here.batch().await;
    here.elsewhere().evict(&7).await.unwrap();
    let (second, gate) = (here.cache.clone(), Gate::default());
    let held = gate.clone();
    let second = tokio::spawn(async move {
        let load = async |_| {
            held.pass().await;
            Ok::<_, ()>(HashMap::from([(7, "new".to_owned())]))
        };
        second.get_many_or_load(&[7], load).await
    });
    until("it loads", || gate.arrived() == 1).await;
    here.answers();
    first.await.unwrap().unwrap();
    assert_eq!(here.cache.len(), 2, "else nothing would ever be kept where one batch follows the other");
    gate.open();
    assert_eq!(second.await.unwrap().unwrap(), [Some("new".to_owned())]);
    here.ends_with_the_new().await;
}

/// The later one may not fill, because the older one has the lease, and returns first.
#[tokio::test]
async fn what_an_older_batch_has_loaded_is_not_kept_after_a_later_one_has_returned() {
    let server = RedisServer::start();
    let node = node(&server).await;
    in_step(&node).await;
    let (cache, gate) = (texts(&node).build().unwrap(), Gate::default());
    let (first, held) = (cache.clone(), gate.clone());
    let first = tokio::spawn(async move {
        let load = async |_| {
            held.pass().await;
            Ok::<_, ()>(HashMap::from([(7, "old".to_owned()), (8, "old".to_owned())]))
        };
        first.get_many_or_load(&[7, 8], load).await
    });
    until("it loads", || gate.arrived() == 1).await;
    let load = async |_| Ok::<_, ()>(HashMap::from([(7, "new".to_owned())]));
    assert_eq!(cache.get_many_or_load(&[7], load).await, Ok(vec![Some("new".to_owned())]));
    gate.open();
    first.await.unwrap().unwrap();
    assert_eq!(cache.len(), 1, "the other key");
    node.shutdown().await;
}

/// Redis keeps what was loaded, and its answer is on its way. Another process puts a value, which is not heard of here but found.
#[tokio::test]
async fn what_was_loaded_is_not_kept_once_something_newer_was_found() {
    let here = Deaf::start().await;
    let load = here.load().await;
    here.elsewhere().insert(&7, "new".to_owned()).await.unwrap();
    assert_eq!(here.cache.get(&7).await.as_deref(), Some("new"));
    here.answers();
    assert_eq!(load.await.unwrap().len(), LARGE);
    here.ends_with_the_new().await;
}

/// The same, and what was loaded is kept after the newer value was found, and before whoever found it has heard so. Either may be
/// returned, if the next one gets no older.
#[tokio::test]
async fn what_is_found_beside_a_load_is_not_newer_than_what_that_has_kept() {
    let here = Deaf::start().await;
    let load = here.load().await;
    here.elsewhere().insert(&7, "new".to_owned()).await.unwrap();
    let looks = || calls(&here.server, "pttl");
    let before = looks();
    here.proxy.blackhole_lane(Lane::Data, false, true);
    let find = here.cache.clone();
    let find = tokio::spawn(async move { find.get(&7).await });
    until("it is found", || looks() != before).await;
    here.answers();
    assert_eq!(load.await.unwrap().len(), LARGE);
    here.proxy.blackhole_lane(Lane::Data, false, false);
    let found = find.await.unwrap();
    assert!(found.is_some() && here.cache.get(&7).await == found, "time does not run backwards");
    here.end().await;
}

/// As where memory keeps what was loaded, but without memory: what is loaded may be had by joining the load.
#[tokio::test]
async fn a_load_is_not_joined_once_something_newer_was_found() {
    for many in [false, true] {
        let mut here = Deaf::start().await;
        here.cache = Cache::builder("texts").ttl(MINUTE).redis(MsgPack).manager(&here.node).build().unwrap();
        let load = here.load().await;
        here.elsewhere().insert(&7, "new".to_owned()).await.unwrap();
        let found = if many {
            let load = async |_| Ok::<_, ()>(HashMap::new());
            here.cache.get_many_or_load(&[7], load).await.unwrap().remove(0)
        } else {
            here.cache.get(&7).await
        };
        assert_eq!(found.as_deref(), Some("new"));
        let (next, ()) =
            tokio::join!(here.cache.get_or_load(&7, || async { "newer".to_owned() }), async { here.answers() });
        assert!(next == "new", "time does not run backwards");
        assert_eq!(load.await.unwrap().len(), LARGE);
        here.end().await;
    }
}

/// A batch asks for so many keys that the last has to wait. Meanwhile that one is loaded, and then put by another process, which is
/// not heard of here but found.
#[tokio::test]
async fn what_was_loaded_since_a_batch_began_is_not_newer_than_what_that_has_found() {
    for found_there in [true, false] {
        let here = Deaf::start().await;
        let keys: Vec<u64> = (1_000..2_024).chain([7]).collect();
        let new = async |_| Ok::<_, ()>(HashMap::from([(7, "new".to_owned())]));
        let cache = here.cache.clone();
        let mut batch = pin!(cache.get_many_or_load(&keys, new));
        here.begin(batch.as_mut()).await;
        assert_eq!(cache.get_or_load(&7, || async { "old".to_owned() }).await, "old");
        match found_there {
            true => here.elsewhere().insert(&7, "new".to_owned()).await.unwrap(),
            false => _ = here.elsewhere().evict(&7).await.unwrap(),
        }
        assert_eq!(batch.await.unwrap().pop().unwrap().as_deref(), Some("new"));
        here.ends_with_the_new().await;
    }
}

/// A caller waits for the load of another process. A batch finds what that has filled, and is held up; then the caller finds what was
/// put in its place.
#[tokio::test]
async fn what_a_batch_has_found_is_not_kept_after_an_older_call_found_something_newer() {
    let here = Deaf::start().await;
    let fleet = |node| texts(node).single_flight(SingleFlight::Fleet).lease(2 * SECOND).build().unwrap();
    let (cache, elsewhere, gate) = (fleet(&here.node), fleet(&here.other), Gate::default());
    let (there, held) = (elsewhere.clone(), gate.clone());
    let there = tokio::spawn(async move { there.get_or_load(&7, || held.then("old".to_owned())).await });
    until("it loads", || gate.arrived() == 1).await;
    let mut call = pin!(cache.get_or_load(&7, || async { "loaded".to_owned() }));
    let waits = || async { until("it waits", || cache.stats().remote.waits == 1).await };
    tokio::select! {
        _ = call.as_mut() => panic!("the other process loads"),
        () = waits() => {}
    }
    gate.open();
    assert_eq!(there.await.unwrap(), "old");
    let batch = async |_| Ok::<_, ()>(HashMap::new());
    let mut batch = pin!(cache.get_many_or_load(&[7], batch));
    here.begin(batch.as_mut()).await;
    elsewhere.insert(&7, "new".to_owned()).await.unwrap();
    assert_eq!(call.await, "new");
    assert_eq!(batch.await.unwrap(), [Some("old".to_owned())]);
    assert!(cache.get(&7).await.is_some_and(|text| text == "new"), "time does not run backwards");
    here.end().await;
}

/// A large value is on its way, and is not waited for. What is small goes by another connection.
#[tokio::test]
async fn what_is_put_and_arrives_late_undoes_no_evict() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let node = hasty(proxy.url()).await;
    let cache = texts(&node).build().unwrap();
    let put = async |key: u64| cache.insert(&key, "x".repeat(LARGE)).await.unwrap();
    put(8).await;
    proxy.blackhole_lane(Lane::Large, true, false);
    put(7).await;
    until("it is evicted instead", || !node.remote_health().unwrap().deferred).await;
    assert_eq!(cache.evict(&7).await, Ok(Evicted::Acknowledged));
    assert_eq!(cache.get_or_load(&7, || async { "new".to_owned() }).await, "new");
    proxy.blackhole_lane(Lane::Large, false, false);
    // Behind it, on its connection.
    put(9).await;
    assert_eq!(cache.get(&9).await.unwrap().len(), LARGE);
    assert_ne!(cache.get_or_load(&7, || async { "new".to_owned() }).await.len(), LARGE);
    node.shutdown().await;
}

/// Nobody can say whether it is as new as the bound wants.
#[tokio::test]
async fn r8_a_load_that_is_older_than_the_bound_is_not_joined_by_a_node_that_is_not_in_step() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let bound = SECOND / 2;
    let builder = patient(proxy.url());
    let node = builder.staleness_bound(bound).build().await.unwrap();
    in_step(&node).await;
    for cache in [texts(&node), Cache::builder("texts").ttl(MINUTE).redis(MsgPack).manager(&node)] {
        let (cache, gate) = (cache.build().unwrap(), Gate::default());
        let (first, held) = (cache.clone(), gate.clone());
        let first = tokio::spawn(async move { first.get_or_load(&7, || held.then("old".to_owned())).await });
        until("it loads", || gate.arrived() == 1).await;
        proxy.blackhole_lane(Lane::Bus, false, true);
        is_out_of_step(&node, bound).await;
        tokio::select! {
            second = cache.get_or_load(&7, || async { "new".to_owned() }) => assert_eq!(second, "new"),
            () = until("it waits", || cache.stats().waits > 0) => panic!("it was joined"),
        }
        gate.open();
        assert_eq!(first.await.unwrap(), "old");
        proxy.blackhole_lane(Lane::Bus, false, false);
        cache.evict(&7).await.unwrap();
        in_step_again(&node, &cache).await;
    }
    node.shutdown().await;
}

/// A reload is under way when somebody finds in Redis what it is to replace, and has memory keep that.
#[tokio::test]
async fn what_a_reload_replaces_is_not_served_after_it() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let slow = texts(&node).single_flight(SingleFlight::Off).policy(Policy::Lru).capacity(1).build().unwrap();
    let load = async |key: u64| slow.get_or_load(&key, || async { "old".to_owned() }).await;
    load(7).await;
    let (gate, reload) = (Gate::default(), slow.clone());
    let held = gate.clone();
    let reload = tokio::spawn(async move { reload.refresh(&7, || held.then("new".to_owned())).await });
    until("it loads", || gate.arrived() == 1).await;
    // Makes room.
    load(8).await;
    assert_eq!(load(7).await, "old");
    gate.open();
    assert_eq!(reload.await.unwrap(), "new");
    assert_eq!(slow.get(&7).await.as_deref(), Some("new"));
    node.shutdown().await;
}

/// A load has the right to fill when a reload begins, in its process or in another.
#[tokio::test]
async fn what_was_loaded_before_a_reload_takes_no_place_of_what_that_brought() {
    let server = RedisServer::start();
    let (a, b, c) = (node(&server).await, node(&server).await, node(&server).await);
    let caches = |mode| [&a, &b, &c].map(|node| texts(node).single_flight(mode).build().unwrap());
    let ([here, there, later], [all, of_all, _]) = (caches(SingleFlight::Process), caches(SingleFlight::Fleet));
    for (key, here, reloads) in [(7, &here, &here), (8, &here, &there), (9, &all, &all), (10, &all, &of_all)] {
        let (gate, slow) = (Gate::default(), here.clone());
        let held = gate.clone();
        let load = tokio::spawn(async move { slow.get_or_load(&key, || held.then("old".to_owned())).await });
        until("it loads", || gate.arrived() == 1).await;
        assert_eq!(reloads.refresh(&key, || async { "new".to_owned() }).await, "new");
        gate.open();
        assert_eq!(load.await.unwrap(), "old", "it asked before");
        assert_eq!(later.get(&key).await.as_deref(), Some("new"));
    }
    for node in [a, b, c] {
        node.shutdown().await;
    }
}

/// Two reloads have found the same value, and the one that began first is the first to end.
#[tokio::test]
async fn of_two_reloads_the_older_leaves_nothing_behind_that_the_newer_has_replaced() {
    let server = RedisServer::start();
    let (a, b, c) = (node(&server).await, node(&server).await, node(&server).await);
    for mode in [Consistency::Bounded, Consistency::Strict] {
        let [here, there, later] = [&a, &b, &c].map(|node| texts(node).consistency(mode).build().unwrap());
        for (key, newer) in [(7, &here), (8, &there)] {
            here.insert(&key, "first".to_owned()).await.unwrap();
            let reload = |cache: &Cache<u64, String>, value: &'static str| {
                let (gate, cache) = (Gate::default(), cache.clone());
                let held = gate.clone();
                let load = async move || {
                    held.pass().await;
                    value.to_owned()
                };
                (gate, tokio::spawn(async move { cache.refresh(&key, || Box::pin(load())).await }))
            };
            let (old_gate, old) = reload(&here, "old");
            until("the first loads", || old_gate.arrived() == 1).await;
            let (new_gate, new) = reload(newer, "new");
            until("the second loads", || new_gate.arrived() == 1).await;
            old_gate.open();
            assert_eq!(old.await.unwrap(), "old");
            new_gate.open();
            assert_eq!(new.await.unwrap(), "new");
            assert_eq!(later.get(&key).await, None, "of which is newer Redis knows nothing: it is loaded again");
            later.evict(&key).await.unwrap();
        }
    }
    for node in [a, b, c] {
        node.shutdown().await;
    }
}

/// Two caches of one name share their place in Redis. One evicts, and the answer comes before the message.
#[tokio::test]
async fn caches_of_one_name_in_one_process_are_evicted_together() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let node = node_at(proxy.url()).await;
    let [one, two] = [texts(&node), texts(&node)].map(|cache| cache.build().unwrap());
    in_step(&node).await;
    for write in ["evicted", "put"] {
        for cache in [&one, &two] {
            cache.get_or_load(&7, || async { "old".to_owned() }).await;
            assert_eq!(cache.len(), 1);
        }
        proxy.blackhole_lane(Lane::Bus, false, true);
        match write {
            "put" => one.insert(&7, "new".to_owned()).await.unwrap(),
            _ => _ = one.evict(&7).await.unwrap(),
        }
        proxy.blackhole_lane(Lane::Bus, false, false);
        let heard = two.get_or_load(&7, || async { "new".to_owned() }).await;
        assert_eq!(heard, "new", "{write}: it was acknowledged to this process");
        one.evict(&7).await.unwrap();
        until("it has left memory", || one.is_empty() && two.is_empty()).await;
    }
    node.shutdown().await;
}

/// The other one is built while an evict is on its way, and finds what that is about to remove.
#[tokio::test]
async fn a_cache_that_is_built_during_an_evict_of_its_name_is_evicted_too() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let other = node(&server).await;
    let node = node_at(proxy.url()).await;
    in_step(&node).await;
    let one = texts(&node).build().unwrap();
    let there = texts(&other).build().unwrap();
    there.insert(&7, "x".repeat(LARGE)).await.unwrap();
    assert!(one.get(&7).await.is_some(), "now it is known here that it is large");
    one.insert(&8, "x".repeat(LARGE)).await.unwrap();
    proxy.blackhole_lane(Lane::Data, true, false);
    let build = async {
        let two = texts(&node).build().unwrap();
        assert!(two.get(&7).await.is_some_and(|text| text.len() == LARGE), "the evict has not arrived there");
        proxy.blackhole_lane(Lane::Bus, false, true);
        proxy.blackhole_lane(Lane::Data, false, false);
        two
    };
    let (evicted, two) = tokio::join!(one.evict(&7), build);
    assert_eq!(evicted, Ok(Evicted::Acknowledged));
    assert_eq!(two.len(), 0, "it was acknowledged to this process");
    proxy.blackhole_lane(Lane::Bus, false, false);
    node.shutdown().await;
    other.shutdown().await;
}

/// The bus is cut while an answer is on its way: nobody can say any more which server it is of.
#[tokio::test]
async fn r12_an_answer_of_before_the_bus_was_cut_is_asked_for_again() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let other = node(&server).await;
    let node = node_at(proxy.url()).await;
    in_step(&node).await;
    let (here, there) = (texts(&node).build().unwrap(), texts(&other).build().unwrap());
    there.insert(&7, "old".to_owned()).await.unwrap();
    let asked = || calls(&server, "set");
    let before = asked();
    proxy.blackhole_lane(Lane::Data, false, true);
    let call = tokio::spawn(async move { here.get_or_load(&7, || async { "loaded".to_owned() }).await });
    until("the server was asked", || asked() != before).await;
    proxy.refuse(true);
    proxy.cut_lane(Lane::Bus);
    until("the bus is gone", || !node.remote_health().unwrap().subscribed).await;
    there.insert(&7, "new".to_owned()).await.unwrap();
    proxy.blackhole_lane(Lane::Data, false, false);
    assert_eq!(call.await.unwrap(), "new");
    proxy.refuse(false);
    node.shutdown().await;
    other.shutdown().await;
}

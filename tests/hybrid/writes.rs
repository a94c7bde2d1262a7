//! Evictions and writes in the fleet.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use hybridcache::codec::{BoxError, Codec, Json, MsgPack};
use hybridcache::{Builder, Cache, CacheManager, ErrorKind, Evicted, Tier};
use hybridcache_tests::redis_server::RedisServer;
use hybridcache_tests::{MINUTE, Runs, until};

use crate::{load, node, numbers, remaining};

#[tokio::test]
async fn a_put_on_one_node_is_found_on_the_other() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let (here, there) = (numbers(&a), numbers(&b));
    let runs = Runs::default();
    load(&there, 7, &runs).await;
    here.insert(&7, 70).await.unwrap();
    until("the message arrived", || there.is_empty()).await;
    assert_eq!(load(&there, 7, &runs).await, (70, Tier::Redis));
    assert_eq!(load(&here, 7, &runs).await.0, 70);
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn of_two_writers_that_finish_in_the_wrong_order_none_leaves_an_old_value() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let (here, there) = (numbers(&a), numbers(&b));
    let first = here.write(&7).await.unwrap();
    let second = there.write(&7).await.unwrap();
    second.put(2).await.unwrap();
    first.put(1).await.unwrap();
    assert_eq!(here.peek(&7).await, None);
    assert_eq!(there.peek(&7).await, None);
    let third = here.write(&7).await.unwrap();
    third.put(3).await.unwrap();
    assert_eq!(there.get(&7).await, Some(3), "one alone puts its value");
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn nobody_fills_while_a_write_is_under_way() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let (here, there) = (numbers(&a), numbers(&b));
    let runs = Runs::default();
    let write = here.write(&7).await.unwrap();
    assert_eq!(load(&there, 7, &runs).await.1, Tier::Source);
    assert_eq!(there.stats().remote.fills, 0);
    drop(write);
    until("the eviction was sent", || !a.remote_health().unwrap().deferred).await;
    until("there may be filled again", || {
        there.blocking().get_or_load(&7, || runs.run());
        there.stats().remote.fills == 1
    })
    .await;
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_write_that_is_cancelled_leaves_nothing_in_the_way() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache = numbers(&node);
    let runs = Runs::default();
    cache.write(&7).await.unwrap().cancel();
    until("it may be filled again", || {
        cache.blocking().get_or_load(&7, || runs.run());
        cache.stats().remote.fills == 1
    })
    .await;
    node.shutdown().await;
}

#[tokio::test]
async fn a_thousand_keys_are_evicted_in_one_go_and_read_in_one_go() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache = numbers(&node);
    let keys: Vec<u64> = (0..1_000).collect();
    let load = |keys: Vec<u64>| async move { Ok::<_, ()>(keys.into_iter().map(|key| (key, key + 1)).collect()) };
    let loaded = cache.get_many_or_load(&keys, load).await.unwrap();
    assert!(loaded.iter().zip(&keys).all(|(value, key)| *value == Some(key + 1)));
    assert_eq!(cache.stats().remote.fills, 1_000);
    let found = cache.get_many(&keys).await;
    assert!(found.iter().all(Option::is_some));
    assert_eq!(cache.evict_many(&keys).await, Ok(Evicted::Acknowledged));
    assert!(cache.get_many(&keys).await.iter().all(Option::is_none));
    node.shutdown().await;
}

#[tokio::test]
async fn two_versions_of_a_deploy_hear_each_other() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let of = |node: &CacheManager, version| -> Cache<u64, u64> {
        Cache::builder("numbers").version(version).ttl(MINUTE).hybrid(MsgPack).manager(node).build().unwrap()
    };
    let (old, new) = (of(&a, 1), of(&b, 2));
    let runs = Runs::default();
    load(&old, 7, &runs).await;
    assert_eq!(load(&new, 7, &runs).await, (2, Tier::Source), "each has values of its own");
    new.evict(&7).await.unwrap();
    until("the old one heard", || old.is_empty()).await;
    assert_eq!(load(&old, 7, &runs).await.1, Tier::Source);
    old.evict(&7).await.unwrap();
    until("the new one heard", || new.is_empty()).await;
    assert_eq!(load(&new, 7, &runs).await.1, Tier::Source);
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_record_of_another_codec_is_a_miss_and_is_overwritten() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let here = numbers(&a);
    let there: Cache<u64, u64> = Cache::builder("numbers").ttl(MINUTE).hybrid(Json).manager(&b).build().unwrap();
    let runs = Runs::default();
    load(&here, 7, &runs).await;
    assert_eq!(load(&there, 7, &runs).await, (2, Tier::Source));
    assert_eq!(there.stats().remote.undecodable, 1);
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn two_types_in_one_place_of_the_remote_tier_are_refused() {
    fn of<V: Clone + Send + Sync + 'static>(node: &CacheManager, version: u32) -> Builder<u64, V> {
        Cache::builder("numbers").version(version).ttl(MINUTE).manager(node)
    }
    let server = RedisServer::start();
    let node = node(&server).await;
    let numbers = of::<u64>(&node, 1).hybrid(MsgPack).build().unwrap();
    let error = of::<String>(&node, 1).redis(Json).build().unwrap_err();
    let ErrorKind::OtherTypes { name, asked, actual } = error.kind() else { panic!("{error}") };
    assert_eq!(name, "numbers");
    assert!(asked.contains("String") && actual.contains("(u64, u64)"), "{asked}, {actual}");
    // The same types, another version, or memory alone: none of them is in its way.
    assert!(of::<u64>(&node, 1).redis(MsgPack).build().is_ok());
    assert!(of::<String>(&node, 2).hybrid(MsgPack).build().is_ok());
    assert!(of::<String>(&node, 1).build().is_ok());
    drop(numbers);
    until("it is gone with its last handle", || of::<String>(&node, 1).hybrid(MsgPack).build().is_ok()).await;
    node.shutdown().await;
}

#[tokio::test]
async fn a_token_lets_another_node_read_what_this_one_wrote() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let (here, there) = (numbers(&a), numbers(&b));
    let runs = Runs::default();
    for round in 0..20 {
        load(&there, 7, &runs).await;
        here.insert(&7, 1_000 + round).await.unwrap();
        let token = a.token().unwrap().to_string();
        b.after(token.parse().unwrap()).await;
        assert_eq!(load(&there, 7, &runs).await.0, 1_000 + round);
    }
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_guarded_write_keeps_everybody_from_filling_until_it_has_ended() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let (here, there) = (numbers(&a), numbers(&b));
    let runs = Runs::default();
    load(&here, 7, &runs).await;
    let written = here
        .guarded_write([&7, &8], || async {
            // The old row, as far as this reader can see.
            assert_eq!(load(&there, 7, &runs).await, (2, Tier::Source));
            assert_eq!(there.stats().remote.fills, 0);
            "written"
        })
        .await;
    assert_eq!(written, Ok("written"));
    until("the eviction arrived", || there.is_empty()).await;
    assert_eq!(load(&there, 7, &runs).await, (3, Tier::Source));
    assert_eq!(there.stats().remote.fills, 1, "and from here on it is kept");
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_guarded_write_stays_guarded_when_another_ends_or_anybody_evicts() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let (here, there) = (numbers(&a), numbers(&b));
    let runs = Runs::default();
    let written = here
        .guarded_write([&7, &8], || async {
            there.guarded_write([&7], || async {}).await.unwrap();
            there.evict(&7).await.unwrap();
            there.insert(&7, 70).await.unwrap();
            there.write(&7).await.unwrap().put(71).await.unwrap();
            there.write(&7).await.unwrap().cancel();
            // The old row, as far as this reader can see.
            load(&there, 7, &runs).await;
            assert_eq!(there.stats().remote.fills, 0);
        })
        .await;
    assert_eq!(written, Ok(()));
    until("there may be filled again", || {
        there.blocking().refresh(&7, || runs.run());
        there.stats().remote.fills > 0
    })
    .await;
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_guarded_write_that_is_dropped_guards_on_for_its_time() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let (here, there) = (numbers(&a), numbers(&b));
    let runs = Runs::default();
    let begun = tokio::sync::Notify::new();
    let write = here.guarded_write([&7], || async {
        begun.notify_one();
        std::future::pending::<()>().await;
    });
    // The client hung up while the commit was on its way: it may be executed still.
    tokio::select! {
        _ = write => unreachable!(),
        () = begun.notified() => {}
    }
    until("the eviction was sent", || !a.remote_health().unwrap().deferred).await;
    load(&there, 7, &runs).await;
    assert_eq!(there.stats().remote.fills, 0);
    let left = remaining(&server, "numbers", 7);
    assert!((1..=30_000).contains(&left), "{left}");
    a.shutdown().await;
    b.shutdown().await;
}

/// Panics as it is dropped, as often as it is told to.
#[derive(Clone, Debug, PartialEq)]
struct Loud(u8);

static LOUD: AtomicUsize = AtomicUsize::new(0);

impl Drop for Loud {
    fn drop(&mut self) {
        let told = LOUD.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |times| times.checked_sub(1));
        assert!(told.is_err(), "a drop panics");
    }
}

struct AsByte;

impl Codec<Loud> for AsByte {
    const ID: u8 = 201;

    fn encode(&self, value: &Loud, into: &mut Vec<u8>) -> Result<(), BoxError> {
        into.push(value.0);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Loud, BoxError> {
        Ok(Loud(*bytes.first().ok_or("empty")?))
    }
}

/// What memory drops is the user's; what is to be done in Redis is done all the same.
#[tokio::test]
async fn a_drop_that_panics_keeps_nothing_in_redis() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache: Cache<u64, Loud> = Cache::builder("loud").ttl(MINUTE).hybrid(AsByte).manager(&node).build().unwrap();
    let kept = async |value| {
        until("memory has it", || {
            assert_eq!(cache.blocking().get_or_load(&7, || Loud(value)), Loud(value));
            cache.len() == 1
        })
        .await;
        LOUD.store(1, Ordering::SeqCst);
    };
    kept(1).await;
    assert_eq!(cache.evict(&7).await, Ok(Evicted::Acknowledged));
    assert_eq!(LOUD.load(Ordering::SeqCst), 0, "it was dropped");
    assert_eq!(cache.get(&7).await, None);
    kept(2).await;
    cache.insert(&7, Loud(3)).await.unwrap();
    assert_eq!(cache.get(&7).await, Some(Loud(3)));
    kept(3).await;
    cache.write(&7).await.unwrap().put(Loud(4)).await.unwrap();
    assert_eq!(cache.get(&7).await, Some(Loud(4)));
    // Several that panic where another process is heard.
    until("memory has them", || {
        [7, 8].iter().for_each(|key| _ = cache.blocking().get_or_load(key, || Loud(5)));
        cache.len() == 2
    })
    .await;
    LOUD.store(2, Ordering::SeqCst);
    let other = crate::node(&server).await;
    let elsewhere: Cache<u64, Loud> =
        Cache::builder("loud").ttl(MINUTE).hybrid(AsByte).manager(&other).build().unwrap();
    assert_eq!(elsewhere.evict_many(&[7, 8]).await, Ok(Evicted::Acknowledged));
    until("they were dropped", || cache.is_empty() && LOUD.load(Ordering::SeqCst) == 0).await;
    other.shutdown().await;
    node.shutdown().await;
}

/// Says on which thread it is dropped.
#[derive(Clone)]
struct Dropped(Arc<Mutex<Vec<Option<String>>>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(thread::current().name().map(str::to_owned));
    }
}

struct Unread;

impl Codec<Dropped> for Unread {
    const ID: u8 = 202;

    fn encode(&self, _: &Dropped, _: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(())
    }

    fn decode(&self, _: &[u8]) -> Result<Dropped, BoxError> {
        Err("nothing was written".into())
    }
}

/// What is left of a write holds its cache, on the thread of connections. There nobody waits for a `Drop` of the user's.
#[tokio::test]
async fn a_cache_whose_last_holder_is_what_is_left_of_a_write_is_dropped_elsewhere() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache: Cache<u64, Dropped> =
        Cache::builder("dropped").ttl(MINUTE).hybrid(Unread).manager(&node).build().unwrap();
    let dropped = Arc::default();
    until("memory has it", || {
        drop(cache.blocking().get_or_load(&7, || Dropped(Arc::clone(&dropped))));
        cache.len() == 1
    })
    .await;
    let write = cache.write(&8).await.unwrap();
    drop(cache);
    dropped.lock().unwrap().clear();
    drop(write);
    until("it is dropped", || !dropped.lock().unwrap().is_empty()).await;
    assert_eq!(*dropped.lock().unwrap(), [Some("hybridcache".to_owned())]);
    node.shutdown().await;
}

//! What is kept of what was loaded, and for how long.

use std::cell::Cell;
use std::future::ready;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use hybridcache::codec::MsgPack;
use hybridcache::{Builder, Cache, CacheManager, Share, Tier};
use hybridcache_tests::redis_server::RedisServer;
use hybridcache_tests::{MINUTE, Runs, SECOND, until};

use crate::{in_step, load, node, node_at};

/// A way to the server on which what comes behind the first of these words waits: returns its URL, what says that something waits,
/// and what lets it go on.
fn split_behind(port: u16, words: String) -> (String, Receiver<()>, Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let ((waits, waiting), (go, goes)) = (channel(), channel());
    let words = Arc::new(Mutex::new(Some((words.into_bytes(), waits, goes))));
    thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut server) = (client.unwrap(), TcpStream::connect(("127.0.0.1", port)).unwrap());
            let (mut answers, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut answers, &mut to_client));
            let words = Arc::clone(&words);
            thread::spawn(move || {
                let mut said = [0; 64 * 1024];
                while let Ok(length @ 1..) = client.read(&mut said) {
                    let mut rest = &said[..length];
                    let at = |words: &[u8]| rest.windows(words.len()).position(|part| part == words);
                    let split = words.lock().unwrap().take_if(|(words, ..)| at(words).is_some());
                    if let Some((words, waits, goes)) = split {
                        let end = at(&words).unwrap() + words.len();
                        server.write_all(rest.split_off(..end).unwrap()).unwrap();
                        waits.send(()).unwrap();
                        goes.recv().unwrap();
                    }
                    server.write_all(rest).unwrap();
                }
            });
        }
    });
    (url, waiting, go)
}

fn texts(node: &CacheManager, say: impl FnOnce(Builder<u64, String>) -> Builder<u64, String>) -> Cache<u64, String> {
    say(Cache::builder("texts").ttl(MINUTE).hybrid(MsgPack)).manager(node).build().unwrap()
}

#[tokio::test]
async fn a_reload_whose_result_is_not_kept_leaves_nothing_in_redis() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let short = |node: &CacheManager| texts(node, |texts| texts.store_if(|text| text != "odd").max_value_bytes(100));
    let (here, there) = (short(&a), short(&b));
    let stands = || server.ask(&["EXISTS", "{hc:test:0}texts:v1:7"]).text() == "1";
    let load = async || {
        here.evict(&7).await.unwrap();
        here.get_or_load(&7, || async { "old".to_owned() }).await;
        assert!(stands());
    };
    load().await;
    here.refresh(&7, || async { None::<String> }).await;
    assert!(!stands(), "the row is gone, and `None` is not kept");
    load().await;
    here.refresh(&7, || async { "odd".to_owned() }).await;
    assert!(!stands(), "`store_if` does not want it");
    load().await;
    let said = here.fetch(&7).reload().load(Share::none(), |context| async move {
        context.do_not_keep();
        "new".to_owned()
    });
    assert_eq!(said.await.result, "new");
    assert!(!stands(), "its loader does not want it");
    load().await;
    let said = here.fetch(&7).reload().load(Share::none(), |context| async move {
        context.ttl(Duration::from_millis(1));
        tokio::time::sleep(Duration::from_millis(20)).await;
        "late".to_owned()
    });
    assert_eq!(said.await.result, "late");
    assert!(!stands(), "it ended while it was loaded");
    load().await;
    here.refresh(&7, || async { "long".repeat(100) }).await;
    assert!(!stands(), "it cannot be encoded");
    assert_eq!(there.get(&7).await, None, "nobody gets what was before");
    load().await;
    let failed = here.refresh(&7, || async { Err::<String, _>("away") }).await;
    assert!(failed.is_err() && stands(), "a reload that failed leaves what was there");
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn nothing_is_an_answer_of_memory_and_of_redis_and_of_batches_too() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let both = [&a, &b];
    until("memory may answer", || both.iter().all(|node| node.remote_health().unwrap().in_step)).await;
    let [here, there] = both.map(|node| texts(node, |texts| texts.cache_none(true)));
    here.get_or_load(&1, || async { None::<String> }).await;
    let load = |keys: Vec<u64>| {
        assert_eq!(keys, [2, 3], "what is there is not loaded, and what is asked for twice is loaded once");
        async { Ok::<_, ()>([(3, "three".to_owned())].into()) }
    };
    let keys = [1, 2, 3, 2, 3];
    let expected = [None, None, Some("three".to_owned()), None, Some("three".to_owned())];
    assert_eq!(here.get_many_or_load(&keys, load).await.unwrap(), expected);
    let asked = here.stats().remote;
    assert_eq!((asked.hits, asked.misses, asked.fills), (0, 3, 3));
    assert_eq!(here.get_many(&keys).await, expected);
    assert_eq!((here.get(&1).await, here.peek(&1).await, here.stats().remote), (None, None, asked), "memory answers");
    for _ in 0..2 {
        let found = there.get_many_or_load(&keys, async |_| Err("all of it is in Redis"));
        assert_eq!(found.await.unwrap(), expected);
    }
    assert_eq!((there.stats().remote.hits, there.len()), (3, 3), "and then in memory");
    a.shutdown().await;
    b.shutdown().await;
}

/// The function returned an `Option` before, or one of its name does.
#[tokio::test]
async fn nothing_gives_way_in_redis_to_what_a_function_loads_that_cannot_say_it() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let numbers = Cache::builder("numbers").ttl(MINUTE).cache_none(true).redis(MsgPack).manager(&node).build().unwrap();
    numbers.get_or_load(&7, || async { None::<u64> }).await;
    assert_eq!(numbers.stats().remote.fills, 1);
    let runs = Runs::default();
    assert_eq!(load(&numbers, 7, &runs).await, (1, Tier::Source));
    assert_eq!(load(&numbers, 7, &runs).await, (1, Tier::Redis));
    node.shutdown().await;
}

#[tokio::test]
async fn what_is_loaded_in_an_outage_lives_no_longer_than_it_would() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let short = Duration::from_millis(100);
    let cache = texts(&node, |texts| {
        texts.cache_none(true).none_ttl(short).cache_err(true).err_ttl(short).degraded_ttl(MINUTE)
    });
    server.kill();
    let runs = Cell::new(0);
    let load = async |key: u64| {
        let returns = match key {
            1 => Ok(None),
            2 => Err("away".to_owned()),
            _ => Ok(Some("there".to_owned())),
        };
        let loader = |_| {
            runs.set(runs.get() + 1);
            ready(returns)
        };
        cache.fetch(&key).load(Share::cloned(), loader).await;
        runs.take()
    };
    for key in 1..=3 {
        assert_eq!(load(key).await, 1);
    }
    tokio::time::sleep(2 * short).await;
    assert_eq!((load(1).await, load(2).await), (1, 1), "`None` and an error end when they would");
    assert_eq!(load(3).await, 0, "a value is kept for `degraded_ttl`");
    node.shutdown().await;
}

/// Many reads that are sent together are more than a server reads at once: between how long something lives and what it is, others
/// are served.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_filled_while_it_is_read_lives_no_longer_in_memory_than_in_redis() {
    const KEY: &str = "{hc:test:0}texts:v1:7";
    let server = RedisServer::start();
    let (url, waiting, go) = split_behind(server.port(), format!("PTTL\r\n${}\r\n{KEY}\r\n", KEY.len()));
    let (a, b) = (node(&server).await, node_at(url).await);
    in_step(&b).await;
    let short = |node: &CacheManager| texts(node, |texts| texts.ttl(2 * SECOND));
    let (here, there) = (short(&a), short(&b));

    let ((begins, begun), (end, ends)) = (channel(), channel());
    let load = move || {
        begins.send(()).unwrap();
        ends.recv().unwrap();
        "value".to_owned()
    };
    let loading = thread::spawn(move || here.blocking().get_or_load(&7, load));
    begun.recv().unwrap();
    server.ask(&["CONFIG", "RESETSTAT"]);
    let reads = there.clone();
    let reading = thread::spawn(move || reads.blocking().get_or_load(&7, || "another".to_owned()));
    waiting.recv().unwrap();
    let was_asked = || server.ask(&["INFO", "commandstats"]).text().contains("cmdstat_pttl:");
    until("the lease was asked how long it has", was_asked).await;
    end.send(()).unwrap();
    loading.join().unwrap();
    go.send(()).unwrap();
    assert_eq!(reading.join().unwrap(), "value");

    until("it has ended", || server.ask(&["EXISTS", KEY]).text() == "0").await;
    let fetched = there.fetch(&7).load(Share::none(), |_| ready("new".to_owned())).await;
    assert_eq!((&*fetched.result, fetched.tier), ("new", Tier::Source));
}

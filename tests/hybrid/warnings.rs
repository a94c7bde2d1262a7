//! What is written to the log of what would else go unnoticed.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, OnceLock};

use hybridcache::codec::{BoxError, Codec, MsgPack};
use hybridcache::{Cache, CacheManager, RedisOptions, cache_put, cached};
use hybridcache_tests::proxy::{Lane, Proxy};
use hybridcache_tests::redis_server::{Certificates, RedisServer, free_port};
use hybridcache_tests::{LIMIT, MINUTE, SECOND, until};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::{hasty, in_step, node};

/// Keeps warnings and errors of all tests of this program, as texts: the servers in them tell which are whose.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<String>>>);

impl Subscriber for Kept {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(tracing::level_filters::LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(event.metadata().level().to_string());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

/// What is said from here on. The connections have a thread of their own, so that only a subscriber of all threads hears of them.
fn kept() -> &'static Kept {
    static KEPT: OnceLock<Kept> = OnceLock::new();
    KEPT.get_or_init(|| {
        let kept = Kept::default();
        tracing::subscriber::set_global_default(kept.clone()).unwrap();
        kept
    })
}

impl Kept {
    /// What was said of something, once.
    fn of(&self, what: &str) -> Vec<String> {
        self.0.lock().unwrap().extract_if(.., |text| text.contains(what)).collect()
    }
}

/// What is said of a server when a manager is built on it.
async fn said_of(server: &RedisServer) -> Vec<String> {
    let kept = kept();
    node(server).await.shutdown().await;
    kept.of(&format!("127.0.0.1:{}", server.port()))
}

#[tokio::test]
async fn a_policy_that_evicts_what_must_stay_is_a_warning_when_the_manager_is_built() {
    for (policy, why) in [
        ("volatile-ttl", Some("the leases of loads under way")),
        ("allkeys-lru", Some("the numbers of the bus")),
        ("allkeys-lfu", Some("the numbers of the bus")),
        ("allkeys-random", Some("the numbers of the bus")),
        ("volatile-lru", None),
        ("volatile-lfu", None),
        ("volatile-random", None),
        ("noeviction", None),
    ] {
        let server = RedisServer::with(&["--maxmemory 100mb", &format!("--maxmemory-policy {policy}")]);
        let said = said_of(&server).await;
        match why {
            Some(why) => {
                let [said] = &said[..] else { panic!("{policy}: {said:?}") };
                assert!(said.starts_with("WARN") && said.contains(policy) && said.contains(why), "{said}");
            }
            None => assert!(said.is_empty(), "{policy}: {said:?}"),
        }
    }
}

#[tokio::test]
async fn a_policy_that_is_never_used_is_no_warning() {
    let server = RedisServer::with(&["--maxmemory 0", "--maxmemory-policy volatile-ttl"]);
    assert!(said_of(&server).await.is_empty());
}

#[tokio::test]
async fn a_guard_that_did_not_stand_until_its_write_was_over_is_a_warning() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache: Cache<u64, u64> =
        Cache::builder("guarded_rows").ttl(MINUTE).hybrid(MsgPack).manager(&node).build().unwrap();
    let said = kept();
    cache.guarded_write([&7, &8], || async {}).await.unwrap();
    cache.guarded_write([&7], || async { drop(cache.guarded_write([&7, &8], || async {}).await) }).await.unwrap();
    assert!(said.of("guarded_rows").is_empty());
    for gone in ["{hc:test:0}guarded_rows:v1:8", "{hc:test:0}w"] {
        // What a server does that is full and makes room.
        let evicted = || async { server.ask(&["UNLINK", gone]).text() };
        assert_eq!(cache.guarded_write([&7, &8], evicted).await.unwrap(), "1");
        let said = said.of("guarded_rows");
        assert!(matches!(&said[..], [said] if said.contains("did not stand")), "{gone}: {said:?}");
    }
    node.shutdown().await;
}

/// A key that is named twice is guarded once, also where more keys are named than one script ends.
#[tokio::test]
async fn a_guard_that_stood_is_no_warning_though_its_end_comes_twice() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let cache: Cache<u64, u64> =
        Cache::builder("named_twice").ttl(MINUTE).hybrid(MsgPack).manager(&node).build().unwrap();
    let said = kept();
    let keys: Vec<u64> = (0..1_001).map(|key| key % 1_000).collect();
    cache.guarded_write(&keys, || async {}).await.unwrap();
    assert!(said.of("named_twice").is_empty());
    node.shutdown().await;
}

/// The end of a write is executed; before its answer comes the bus is cut, so that the answer does not count.
#[tokio::test]
async fn a_guard_that_stood_is_no_warning_though_its_end_is_sent_twice() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let patient = RedisOptions::new(proxy.url()).write_timeout(LIMIT);
    let node = CacheManager::builder().namespace("test").redis_options(patient).build().await.unwrap();
    let cache: Cache<u64, u64> =
        Cache::builder("sent_twice").ttl(MINUTE).hybrid(MsgPack).manager(&node).build().unwrap();
    let said = kept();
    let stands = || server.ask(&["EXISTS", "{hc:test:0}sent_twice:v1:7"]).text() == "1";
    let silent = async || {
        assert!(stands());
        proxy.blackhole_lane(Lane::Data, false, true);
    };
    let write = cache.guarded_write([&7], silent);
    let meanwhile = async {
        until("it has begun", stands).await;
        until("it has ended", || !stands()).await;
        proxy.cut_lane(Lane::Bus);
        until("the bus is down", || !node.remote_health().unwrap().subscribed).await;
        proxy.blackhole_lane(Lane::Data, false, false);
    };
    tokio::join!(write, meanwhile).0.unwrap();
    let sent: u64 = server.ask(&["HGET", "{hc:test:0}q", "n"]).text().parse().unwrap();
    assert!(sent > 2, "it began, and ended twice: {sent}");
    assert!(said.of("sent_twice").is_empty());
    node.shutdown().await;
}

#[tokio::test]
async fn that_the_bus_is_down_is_a_warning_and_that_it_is_left_is_none() {
    let server = RedisServer::start();
    let build = |name| CacheManager::builder().namespace(name).redis(server.url()).build();
    let (leaves, loses) = (build("leaves").await.unwrap(), build("loses").await.unwrap());
    let said = kept();
    leaves.shutdown().await;
    server.kill();
    until("it is said", || said.of("namespace=loses") == ["WARN message=the bus is down namespace=loses"]).await;
    assert!(said.of("namespace=leaves").is_empty());
    loses.shutdown().await;
}

#[tokio::test]
async fn why_a_server_that_answers_cannot_be_used_any_more_is_a_warning() {
    let server = RedisServer::with_users(&["user default on nopass ~* &* +@all", "user app on >first ~* &* +@all"]);
    let said = kept();
    let url = format!("redis://app:first@127.0.0.1:{}", server.port());
    let node = CacheManager::builder().namespace("test").redis(url).build().await.unwrap();
    server.ask(&["ACL", "SETUSER", "app", "resetpass", ">second"]);
    server.ask(&["CLIENT", "KILL", "USER", "app"]);
    let port = server.port().to_string();
    let mut heard = Vec::new();
    until("it is said", || {
        heard.extend(said.of(&port));
        heard.len() == 3
    })
    .await;
    assert!(heard.iter().all(|said| said.starts_with("WARN") && said.contains("WRONGPASS")), "{heard:?}");
    tokio::time::sleep(SECOND).await;
    assert!(said.of(&port).is_empty(), "once for each connection");
    server.ask(&["ACL", "SETUSER", "app", ">first"]);
    in_step(&node).await;
    server.kill();
    tokio::time::sleep(SECOND).await;
    assert!(said.of(&port).is_empty(), "that nobody is there is no reason to be told each time");
    node.shutdown().await;
}

#[tokio::test]
async fn that_a_server_refuses_what_it_is_asked_is_a_warning_and_not_each_time() {
    let server = RedisServer::start();
    let node = CacheManager::builder().namespace("refused").redis(server.url()).build().await.unwrap();
    let cache: Cache<u64, u64> = Cache::builder("numbers").ttl(MINUTE).hybrid(MsgPack).manager(&node).build().unwrap();
    let said = kept();
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    for key in 0..10 {
        cache.get_or_load(&key, || async { Ok::<_, std::io::Error>(key) }).await.unwrap();
    }
    let said = said.of("namespace=refused");
    assert!(matches!(&said[..], [said] if said.starts_with("WARN") && said.contains("OOM")), "{said:?}");
    node.shutdown().await;
}

/// Takes every number and gives none back, or takes none.
struct OneWay {
    takes: bool,
}

impl Codec<u64> for OneWay {
    const ID: u8 = 200;

    fn encode(&self, value: &u64, into: &mut Vec<u8>) -> Result<(), BoxError> {
        into.extend_from_slice(&value.to_be_bytes());
        if self.takes { Ok(()) } else { Err("it takes none".into()) }
    }

    fn decode(&self, _: &[u8]) -> Result<u64, BoxError> {
        Err("it gives none".into())
    }
}

#[tokio::test]
async fn a_type_that_its_codec_does_not_bring_through_is_a_warning_and_not_at_each_call() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let said = kept();
    for (name, takes, why) in [("given_back", true, "it gives none"), ("not_taken", false, "it takes none")] {
        let cache: Cache<u64, u64> =
            Cache::builder(name).ttl(MINUTE).redis(OneWay { takes }).manager(&node).build().unwrap();
        for _ in 0..10 {
            cache.get_or_load(&1, || async { 1 }).await;
        }
        let remote = cache.stats().remote;
        assert_eq!((remote.undecodable, remote.unencodable), if takes { (9, 0) } else { (0, 10) });
        let said = said.of(name);
        assert!(matches!(&said[..], [said] if said.starts_with("WARN") && said.contains(why)), "{name}: {said:?}");
    }
    node.shutdown().await;
}

#[tokio::test]
async fn a_writer_that_puts_says_that_redis_did_not_acknowledge_it_where_that_is_to_fail() {
    #[cached(ttl = "60s", tier = hybrid, on_outage = fail, name = "put in vain")]
    async fn price(id: u64) -> u64 {
        id
    }
    #[cache_put(price(id) = *result)]
    async fn known_before(id: u64, server: &RedisServer) -> u64 {
        server.pause();
        id
    }
    #[cache_put(price(*result) = *result)]
    fn known_after(id: u64) -> u64 {
        id
    }
    let server = RedisServer::start();
    let node = hasty(server.url()).await;
    let said = kept();
    node.scope(known_before(7, &server)).await;
    let errors = said.of("put in vain");
    assert!(matches!(&errors[..], [error] if error.starts_with("ERROR")), "{errors:?}");
    node.scope_blocking(|| known_after(8));
    let errors = said.of("put in vain");
    assert!(matches!(&errors[..], [error] if error.starts_with("ERROR")), "{errors:?}");
    server.resume();
    node.shutdown().await;
}

#[tokio::test]
async fn that_a_certificate_has_expired_is_a_warning_once() {
    let certificates = Certificates::new();
    let server = RedisServer::with_tls(&certificates, false);
    let expired = Certificates { server: certificates.expired.clone(), ..certificates.clone() };
    let expired = RedisServer::with_tls(&expired, false);
    let proxy = Proxy::before(server.tls_port());
    let said = kept();
    let port = proxy.address().1;
    let options = RedisOptions::new(format!("rediss://localhost:{port}")).ca(certificates.ca);
    let node = CacheManager::builder().namespace("test").redis_options(options).build().await.unwrap();
    proxy.lead_to(expired.tls_port());
    proxy.cut();
    let mut heard = Vec::new();
    until("it is said", || {
        heard.extend(said.of(&port));
        heard.len() >= 3
    })
    .await;
    // The reason has the time in it, in seconds.
    tokio::time::sleep(3 * SECOND).await;
    heard.extend(said.of(&port));
    assert_eq!(heard.len(), 3, "once for each connection: {heard:?}");
    assert!(heard.iter().all(|said| said.contains("certificate expired")), "{heard:?}");
    node.shutdown().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_server_that_was_found_late_is_said_though_it_did_not_answer_at_first() {
    let port = free_port();
    let options = RedisOptions::new(format!("redis://app:x@127.0.0.1:{port}")).connect_lazily();
    let options = options.connect_timeout(SECOND / 5);
    let said = kept();
    let node = CacheManager::builder().namespace("test").redis_options(options).build().await.unwrap();
    let port = port.to_string();
    let server = RedisServer::with(&[&format!("--port {port}"), "--user app on >x ~* &* +@all -xadd"]);
    until("it is found", || node.remote_health().is_some_and(|health| health.connected && health.subscribed)).await;
    server.pause();
    tokio::time::sleep(SECOND).await;
    server.resume();
    let errors = || said.of(&port).into_iter().filter(|said| said.starts_with("ERROR")).collect::<Vec<_>>();
    let mut heard = Vec::new();
    until("it is said", || {
        heard.extend(errors());
        !heard.is_empty()
    })
    .await;
    assert!(heard.iter().all(|said| said.contains("+xadd")), "{heard:?}");
    node.shutdown().await;
}

/// Keeps what was asked of the remote tier, by the spans around it.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<String>>>);

impl Subscriber for Asked {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.name() == "remote"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut text = Text(String::new());
        span.record(&mut text);
        self.0.lock().unwrap().push(text.0);
        Id::from_u64(1)
    }

    fn event(&self, _: &Event<'_>) {}

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn whatever_is_asked_of_the_remote_tier_is_in_a_span_that_says_what() {
    let server = RedisServer::start();
    let node = node(&server).await;
    in_step(&node).await;
    let cache: Cache<u64, u64> = Cache::builder("numbers").ttl(MINUTE).hybrid(MsgPack).manager(&node).build().unwrap();
    let asked = Asked::default();
    let _heard = tracing::subscriber::set_default(asked.clone());
    let heard = || std::mem::take(&mut *asked.0.lock().unwrap()).join(",").replace(" cache=numbers operation=", "");
    cache.get_or_load(&1, || async { 1 }).await;
    assert_eq!(heard(), r#""get_or_lease","fill""#);
    cache.peek(&2).await;
    assert_eq!(heard(), r#""get""#);
    cache.insert(&1, 2).await.unwrap();
    assert_eq!(heard(), r#""put""#);
    cache.evict(&1).await.unwrap();
    assert_eq!(heard(), r#""evict""#);
    cache.clear().await.unwrap();
    assert_eq!(heard(), r#""clear""#);
    drop(_heard);
    node.shutdown().await;
}

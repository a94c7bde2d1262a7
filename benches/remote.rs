//! The remote tier beside what it is made of: a bare connection of redis-rs, bare pub/sub, bare quick_cache.
//!
//! Starts a `redis-server` of its own. `--quick` measures less.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hybridcache::codec::MsgPack;
use hybridcache::{Cache, CacheManager};
use hybridcache_benches::pairs::{Measured, table};
use hybridcache_tests::redis_server::RedisServer;
use redis::aio::MultiplexedConnection;
use tokio::runtime::{Builder, Runtime};

const HOUR: Duration = Duration::from_secs(3600);

/// What one side of a pair does: so many operations, by so many tasks; how long that took.
type Side<'s> = Box<dyn FnMut(u64) -> Duration + 's>;

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (rounds, half) = if quick { (7, Duration::from_millis(50)) } else { (31, Duration::from_millis(150)) };
    let server = RedisServer::start();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut rows = Vec::new();
    for (size, name) in [(100, "100 B"), (10_240, "10 KB")] {
        for tasks in [1, 128, 1024] {
            let ours = ours(&runtime, &server, size);
            let (same, bare) = (connection(&runtime, &server), connection(&runtime, &server));
            let value = "v".repeat(size);
            runtime.block_on(async {
                redis::cmd("SET").arg("bare").arg(&value).exec_async(&mut bare.clone()).await.unwrap()
            });
            let mut hit = side(&runtime, tasks, move || {
                let cache = ours.clone();
                async move {
                    assert!(black_box(cache.get(&7).await).is_some());
                }
            });
            let mut raw = side(&runtime, tasks, move || {
                let mut connection = same.clone();
                async move {
                    let mut command = redis::cmd("SET");
                    command.arg("bare").arg(&[7_u8; 32][..]).arg("NX").arg("GET").arg("PX").arg(5_000);
                    black_box(command.query_async::<Vec<u8>>(&mut connection).await.unwrap());
                }
            });
            let mut get = side(&runtime, tasks, move || {
                let mut connection = bare.clone();
                async move {
                    black_box(redis::cmd("GET").arg("bare").query_async::<Vec<u8>>(&mut connection).await.unwrap());
                }
            });
            rows.push(compare(
                format!("hit in Redis, {name}, {tasks} tasks – the same command"),
                Some(1.11),
                &mut hit,
                &mut raw,
                rounds,
                half,
            ));
            rows.push(compare(
                format!("hit in Redis, {name}, {tasks} tasks – a bare GET"),
                None,
                &mut hit,
                &mut get,
                rounds,
                half,
            ));
        }
    }
    rows.push(hit_in_memory(&runtime, &server, rounds));
    print!("{}", table(&rows));
    invisible(&runtime, &server, if quick { 5 } else { 15 });
}

/// A cache without memory, that has a value of this size.
fn ours(runtime: &Runtime, server: &RedisServer, size: usize) -> Cache<u64, Arc<str>> {
    runtime.block_on(async {
        let node = CacheManager::builder().namespace("bench").redis(server.url()).build().await.unwrap();
        let cache = Cache::builder(format!("of_{size}")).ttl(HOUR).redis(MsgPack).manager(&node).build().unwrap();
        cache.insert(&7, Arc::from("v".repeat(size))).await.unwrap();
        // The connections end with the last of it: here, with the process.
        std::mem::forget(node);
        cache
    })
}

fn connection(runtime: &Runtime, server: &RedisServer) -> MultiplexedConnection {
    runtime.block_on(async {
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(1_024);
        let client = redis::Client::open(server.url()).unwrap();
        client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
    })
}

fn side<'s, F, Fut>(runtime: &'s Runtime, tasks: u64, make: F) -> Side<'s>
where
    F: Fn() -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send,
{
    Box::new(move |n| {
        let each = (n / tasks).max(1);
        runtime.block_on(async {
            let began = Instant::now();
            let running: Vec<_> = (0..tasks)
                .map(|_| {
                    let make = make.clone();
                    tokio::spawn(async move {
                        for _ in 0..each {
                            make().await;
                        }
                    })
                })
                .collect();
            for task in running {
                task.await.unwrap();
            }
            began.elapsed().mul_f64(n as f64 / (each * tasks) as f64)
        })
    })
}

fn compare(
    name: String,
    bar: Option<f64>,
    ours: &mut Side<'_>,
    theirs: &mut Side<'_>,
    rounds: usize,
    half: Duration,
) -> Measured {
    let n = |side: &mut Side<'_>| {
        side(2_048);
        let took = side(4_096);
        ((4_096.0 * half.as_secs_f64() / took.as_secs_f64()) as u64).max(1_024)
    };
    let (ours_n, theirs_n) = (n(ours), n(theirs));
    let each = |side: &mut Side<'_>, n: u64| side(n).as_secs_f64() * 1e9 / n as f64;
    let pairs = (0..rounds)
        .map(|round| {
            if round % 2 == 0 {
                let ours = each(ours, ours_n);
                (ours, each(theirs, theirs_n))
            } else {
                let theirs = each(theirs, theirs_n);
                (each(ours, ours_n), theirs)
            }
        })
        .collect();
    Measured { name, bar, pairs }
}

/// A hit in the memory of a `bounded` cache, beside a bare lookup.
fn hit_in_memory(runtime: &Runtime, server: &RedisServer, rounds: usize) -> Measured {
    let node = runtime.block_on(CacheManager::builder().namespace("bench").redis(server.url()).build()).unwrap();
    let cache: Cache<u64, Arc<str>> =
        Cache::builder("memory").ttl(HOUR).capacity(8_192).hybrid(MsgPack).manager(&node).build().unwrap();
    let raw = quick_cache::sync::Cache::<u64, Arc<str>>::new(8_192);
    let keys: Vec<u64> = (0..4_096_u64).map(|key| key.wrapping_mul(2_654_435_761) % 4_096).collect();
    for key in &keys {
        raw.insert(*key, Arc::from("v"));
        cache.blocking().get_or_load(key, || Arc::<str>::from("v"));
    }
    let mut ours: Side<'_> = Box::new(|n| {
        let began = Instant::now();
        for key in keys.iter().cycle().take(n as usize) {
            black_box(cache.blocking().get(black_box(key)));
        }
        began.elapsed()
    });
    let mut theirs: Side<'_> = Box::new(|n| {
        let began = Instant::now();
        for key in keys.iter().cycle().take(n as usize) {
            black_box(raw.get(black_box(key)));
        }
        began.elapsed()
    });
    let measured = compare(
        "hit in memory, `bounded` – quick_cache by hand".to_owned(),
        Some(1.4),
        &mut ours,
        &mut theirs,
        rounds,
        Duration::from_millis(5),
    );
    let hits = cache.stats();
    assert!(hits.hits > 10 * hits.misses, "they were hits: {hits:?}");
    runtime.block_on(node.shutdown());
    measured
}

/// From an evict on one node until another no longer has the entry, beside bare pub/sub.
fn invisible(runtime: &Runtime, server: &RedisServer, rounds: usize) {
    const EACH: usize = 200;
    let manager = || CacheManager::builder().namespace("bench").redis(server.url()).build();
    let (a, b) = runtime.block_on(async { (manager().await.unwrap(), manager().await.unwrap()) });
    let cache =
        |node| -> Cache<u64, u64> { Cache::builder("seen").ttl(HOUR).hybrid(MsgPack).manager(node).build().unwrap() };
    let (here, there) = (cache(&a), cache(&b));
    let heard = Arc::new(AtomicU64::new(0));
    let client = redis::Client::open(format!("{}/?protocol=resp3", server.url())).unwrap();
    let (mut publisher, _subscriber) = runtime.block_on(async {
        let heard = Arc::clone(&heard);
        let config = redis::AsyncConnectionConfig::new().set_push_sender(move |push: redis::PushInfo| {
            if push.kind == redis::PushKind::Message {
                heard.fetch_add(1, Ordering::SeqCst);
            }
            Ok::<_, redis::aio::SendError>(())
        });
        let mut subscriber = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
        subscriber.subscribe("bare").await.unwrap();
        (client.get_multiplexed_async_connection().await.unwrap(), subscriber)
    });
    let mut ratios: [Vec<f64>; 3] = Default::default();
    let mut last = [[0.0; 3]; 2];
    for _ in 0..rounds {
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for _ in 0..EACH {
            while there.is_empty() {
                there.blocking().get_or_load(&7, || 1);
            }
            let began = Instant::now();
            let evicting = {
                let here = here.clone();
                runtime.spawn(async move { here.evict(&7).await.unwrap() })
            };
            while !there.is_empty() {
                std::hint::spin_loop();
            }
            ours.push(began.elapsed().as_secs_f64() * 1e6);
            runtime.block_on(evicting).unwrap();
            let before = heard.load(Ordering::SeqCst);
            let began = Instant::now();
            let publishing = {
                let mut publisher = publisher.clone();
                runtime.spawn(async move {
                    redis::cmd("PUBLISH").arg("bare").arg("x").exec_async(&mut publisher).await.unwrap();
                })
            };
            while heard.load(Ordering::SeqCst) == before {
                std::hint::spin_loop();
            }
            theirs.push(began.elapsed().as_secs_f64() * 1e6);
            runtime.block_on(publishing).unwrap();
        }
        ours.sort_by(f64::total_cmp);
        theirs.sort_by(f64::total_cmp);
        for (at, share) in [0.5, 0.9, 0.99].into_iter().enumerate() {
            let of = |times: &[f64]| times[(times.len() as f64 * share) as usize];
            ratios[at].push(of(&ours) / of(&theirs));
            (last[0][at], last[1][at]) = (of(&ours), of(&theirs));
        }
    }
    let _ = &mut publisher;
    println!(
        "\n| evict until another node is rid of it – bare pub/sub | ours, µs | theirs, µs | median ratio of {rounds} rounds |\n|---|--:|--:|--:|"
    );
    for (at, name) in ["p50", "p90", "p99"].into_iter().enumerate() {
        ratios[at].sort_by(f64::total_cmp);
        println!("| {name} | {:.0} | {:.0} | **{:.2}** |", last[0][at], last[1][at], ratios[at][rounds / 2]);
    }
    runtime.block_on(async {
        a.shutdown().await;
        b.shutdown().await;
    });
}

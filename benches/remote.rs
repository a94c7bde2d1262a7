//! The remote tier beside what it is made of: a bare connection of redis-rs, bare pub/sub, bare quick_cache.
//!
//! Starts a `redis-server` of its own. `--quick` measures less, `--filter TEXT` only the rows that have it in their name. With `--thread`
//! everything goes by the library's own thread, as it does without `RedisOptions::runtime`.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hybridcache::codec::MsgPack;
use hybridcache::{Cache, CacheManager, RedisOptions, cached};
use hybridcache_benches::pairs::{Effort, Measured, pair, table};
use hybridcache_tests::redis_server::RedisServer;
use redis::aio::MultiplexedConnection;
use tokio::runtime::{Builder, Handle, Runtime};

const HOUR: Duration = Duration::from_secs(3600);

/// What one side of a pair does: so many operations, by so many tasks; how long that took.
type Side<'s> = Box<dyn FnMut(u64) -> Duration + 's>;

/// Nanoseconds of CPU time that an operation takes of this process, all of its threads together; the server's are not in it.
#[derive(Clone, Copy, Default)]
struct Cpu {
    ours: f64,
    theirs: f64,
}

fn cpu_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Each task has its own, so that no two ask for the same one at the same time: then one would wait for the other, and only one of
/// them ask the server. And at least two, so that what it asked for last is not in memory.
const KEYS: u64 = 2_048;
/// What a record has before its value.
const HEADER: usize = 80;

// Their memory holds next to nothing of the keys, so that each call finds its value in Redis.
#[cached(ttl = "1h", tier = redis)]
async fn redis_100(key: u64) -> String {
    value(key, 100)
}

#[cached(ttl = "1h", tier = redis)]
async fn redis_10k(key: u64) -> String {
    value(key, 10_240)
}

#[cached(ttl = "1h", tier = hybrid, capacity = 1)]
async fn hybrid_100(key: u64) -> String {
    value(key, 100)
}

#[cached(ttl = "1h", tier = hybrid, capacity = 1)]
async fn hybrid_10k(key: u64) -> String {
    value(key, 10_240)
}

/// Of so many bytes in all, with what a codec writes before it.
fn value(key: u64, size: usize) -> String {
    format!("{key:0size$}", size = size - 3)
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let thread = arguments.iter().any(|argument| argument == "--thread");
    let only = arguments.iter().skip_while(|argument| *argument != "--filter").nth(1).cloned().unwrap_or_default();
    let effort = match quick {
        true => Effort { rounds: 7, part: Duration::from_millis(25) },
        false => Effort { rounds: 31, part: Duration::from_millis(50) },
    };
    let server = RedisServer::start();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let manager = runtime.block_on(async {
        // Patient, because the machine may be busy; the deadlines are kept all the same.
        let patient = RedisOptions::new(server.url()).read_timeout(Duration::from_secs(5));
        let patient = if thread { patient } else { patient.runtime(Handle::current()) };
        CacheManager::builder().namespace("bench").redis_options(patient).build().await.unwrap().install().unwrap()
    });
    let mut rows = Vec::new();
    for bytes in [100, 10_240] {
        for tasks in [1, 128, 1024] {
            for hybrid in [false, true] {
                let name = format!(
                    "hit in Redis, `{}`, {}, {tasks} tasks",
                    if hybrid { "hybrid" } else { "redis" },
                    if bytes == 100 { "100 B" } else { "10 KB" },
                );
                if name.contains(&only) {
                    rows.extend(hits_in_redis(&name, &runtime, &server, bytes, tasks, hybrid, effort));
                }
            }
        }
    }
    if "hit in memory, `bounded`".contains(&only) {
        rows.push(hit_in_memory(&runtime, &server, effort.rounds));
    }
    print!("{}", table(&rows.iter().map(|(row, _)| row.clone()).collect::<Vec<_>>()));
    println!("\n| CPU time of this process | ours, ns | theirs, ns | ratio |\n|---|--:|--:|--:|");
    for (row, Cpu { ours, theirs }) in &rows {
        println!("| {} | {ours:.0} | {theirs:.0} | **{:.2}** |", row.name, ours / theirs);
    }
    if "evict".contains(&only) {
        invisible(&runtime, &server, if quick { 5 } else { 15 });
    }
    runtime.block_on(manager.shutdown());
}

/// Beside the same commands, and beside a bare `GET`, sent on one connection of redis-rs by as many tasks on the same runtime.
fn hits_in_redis(
    name: &str,
    runtime: &Runtime,
    server: &RedisServer,
    bytes: usize,
    tasks: u64,
    hybrid: bool,
    effort: Effort,
) -> [(Measured, Cpu); 2] {
    let function = move |key| async move {
        let found = match (bytes, hybrid) {
            (100, false) => redis_100(key).await,
            (100, true) => hybrid_100(key).await,
            (_, false) => redis_10k(key).await,
            (_, true) => hybrid_10k(key).await,
        };
        assert_eq!(black_box(found).len(), bytes - 3);
    };
    let connection = connection(runtime, server);
    runtime.block_on(async {
        for key in 0..KEYS {
            function(key).await;
            let record = vec![b'v'; HEADER + bytes];
            redis::cmd("SET").arg(bare(key)).arg(record).exec_async(&mut connection.clone()).await.unwrap();
        }
    });
    let stats = || CacheManager::current().stats().into_iter().map(|(_, stats)| stats);
    let loads = || stats().map(|stats| stats.loads).sum::<u64>();
    let hits = || stats().map(|stats| stats.hits).sum::<u64>();
    let (loads_before, hits_before, asked) = (loads(), hits(), Arc::new(AtomicU64::new(0)));
    let mut ours = {
        let asked = Arc::clone(&asked);
        side(runtime, tasks, move |key| {
            asked.fetch_add(1, Ordering::Relaxed);
            function(key)
        })
    };
    let mut same = {
        let connection = connection.clone();
        side(runtime, tasks, move |key| {
            let mut connection = connection.clone();
            async move {
                let (key, mut set) = (bare(key), redis::cmd("SET"));
                set.arg(&key).arg(&[7_u8; 32][..]).arg("NX").arg("GET").arg("PX").arg(5_000);
                let found: Vec<u8> = if hybrid {
                    let mut both = redis::pipe();
                    both.cmd("PTTL").arg(&key).add_command(set);
                    let (_, found): (i64, _) = both.query_async(&mut connection).await.unwrap();
                    found
                } else {
                    set.query_async(&mut connection).await.unwrap()
                };
                assert_eq!(black_box(found).len(), HEADER + bytes);
            }
        })
    };
    let mut get = side(runtime, tasks, move |key| {
        let mut connection = connection.clone();
        async move {
            let found: Vec<u8> = redis::cmd("GET").arg(bare(key)).query_async(&mut connection).await.unwrap();
            assert_eq!(black_box(found).len(), HEADER + bytes);
        }
    });
    let measured = [
        compare(format!("{name} – the same commands"), Some(1.11), &mut ours, &mut same, effort),
        compare(format!("{name} – a bare `GET`"), None, &mut ours, &mut get, effort),
    ];
    assert_eq!(loads(), loads_before, "all of them were there");
    let in_memory = hits() - hits_before;
    assert!(
        in_memory < asked.load(Ordering::Relaxed) / 20,
        "and none, or next to none, was in memory: {in_memory} of {asked:?}"
    );
    measured
}

fn bare(key: u64) -> String {
    format!("{{hc:bench:0}}bare:v0:{key}")
}

fn connection(runtime: &Runtime, server: &RedisServer) -> MultiplexedConnection {
    runtime.block_on(async {
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(1_024);
        let client = redis::Client::open(server.url()).unwrap();
        client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
    })
}

/// So many tasks, each of which goes through keys of its own.
fn side<'s, F, Fut>(runtime: &'s Runtime, tasks: u64, make: F) -> Side<'s>
where
    F: Fn(u64) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send,
{
    Box::new(move |n| {
        let (each, own) = ((n / tasks).max(1), KEYS / tasks);
        runtime.block_on(async {
            let began = Instant::now();
            let running: Vec<_> = (0..tasks)
                .map(|task| {
                    let make = make.clone();
                    tokio::spawn(async move {
                        for at in 0..each {
                            make(task * own + at % own).await;
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
    Effort { rounds, part }: Effort,
) -> (Measured, Cpu) {
    // The same number for both: of a few, the beginning and the end of the tasks would be a greater part.
    ours(2_048);
    theirs(2_048);
    let n = ((4_096.0 * part.as_secs_f64() / theirs(4_096).as_secs_f64()) as u64).max(2_048);
    let mut cpu = Cpu::default();
    let each = |side: &mut Side<'_>, cpu: &mut f64| {
        let before = cpu_time();
        let took = side(n).as_secs_f64() * 1e9 / n as f64;
        *cpu += (cpu_time() - before) / (2 * n * rounds as u64) as f64;
        took
    };
    let pairs = (0..rounds).map(|_| pair(|| each(ours, &mut cpu.ours), || each(theirs, &mut cpu.theirs))).collect();
    (Measured { name, bar, pairs }, cpu)
}

/// A hit in the memory of a `bounded` cache, beside a bare lookup.
fn hit_in_memory(runtime: &Runtime, server: &RedisServer, rounds: usize) -> (Measured, Cpu) {
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
        Effort { rounds, part: Duration::from_millis(5) },
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
    // The one that hears subscribes first: else the other, which shares the thread of connections in this process as it would not in
    // two, would hear itself before.
    let (b, a) = runtime.block_on(async { (manager().await.unwrap(), manager().await.unwrap()) });
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
                std::thread::yield_now();
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
                std::thread::yield_now();
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

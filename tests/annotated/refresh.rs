//! `refresh_ahead`: a hit late in an entry's life reloads it behind the caller.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hybridcache::__private::{Ahead, Resolved};
use hybridcache::{Cache, CacheManager, Clock, Returned, Share, cached};
use hybridcache_tests::{Gate, INSTANT, LIMIT, Runs, SECOND, in_time, poll_once, settle, until, until_blocking};

/// A cache whose entries live 100 seconds and are reloaded after 80, on a clock of its own.
struct Clocked {
    cache: Cache<u64, u64>,
    clock: Clock,
}

impl Clocked {
    fn new() -> Self {
        Self::of(None)
    }

    fn of(manager: Option<&CacheManager>) -> Self {
        let clock = Clock::manual();
        let builder = Cache::builder("clocked").ttl(SECOND * 100).refresh_ahead(0.8).clock(clock.clone());
        let builder = if let Some(manager) = manager { builder.manager(manager) } else { builder };
        Self { cache: builder.build().unwrap(), clock }
    }
}

/// What the attribute expands to, but over a cache whose clock can be moved: the attribute itself takes no clock.
async fn ahead<R, Fut>(cache: &Cache<u64, u64>, id: u64, body: impl FnOnce() -> Fut) -> R
where
    R: Returned<u64> + 'static,
    Fut: Future<Output = R> + Send + 'static,
{
    ahead_sharing(Share::none(), cache, id, body).await
}

/// The same for a function whose errors are shared so.
async fn ahead_sharing<R, Fut>(
    share: Share<R::Error>,
    cache: &Cache<u64, u64>,
    id: u64,
    body: impl FnOnce() -> Fut,
) -> R
where
    R: Returned<u64> + 'static,
    Fut: Future<Output = R> + Send + 'static,
{
    match Resolved::of(cache).__lookup_ahead(&id, share) {
        Ahead::Hit(hit) => hit,
        Ahead::Due(hit, due) => {
            due.spawn(body());
            hit
        }
        Ahead::Miss(miss) => miss.load(share, body).await,
    }
}

/// Its first run returns at once, the others when the gate opens.
async fn value(Clocked { cache, .. }: &Clocked, id: u64, runs: &Runs, gate: &Gate) -> u64 {
    let (runs, gate) = (runs.clone(), gate.clone());
    let body = || async move {
        let run = runs.run();
        if run > 1 {
            gate.pass().await;
        }
        id * 100 + run
    };
    ahead(cache, id, body).await
}

#[tokio::test]
async fn one_hit_reloads_behind_the_callers_who_keep_hitting() {
    let clocked = Clocked::new();
    let (runs, gate) = (Runs::default(), Gate::default());
    assert_eq!(value(&clocked, 7, &runs, &gate).await, 701);
    clocked.clock.advance(SECOND * 80 - INSTANT);
    assert_eq!(value(&clocked, 7, &runs, &gate).await, 701);
    settle().await;
    assert_eq!(runs.count(), 1, "not yet");
    clocked.clock.advance(INSTANT);
    for _ in 0..100 {
        assert_eq!(value(&clocked, 7, &runs, &gate).await, 701, "nobody waits");
        tokio::task::yield_now().await;
    }
    assert_eq!((runs.count(), gate.arrived()), (2, 1), "one reload");
    gate.open();
    until("the reload has landed", || clocked.cache.blocking().peek(&7) == Some(702)).await;
    assert_eq!(value(&clocked, 7, &runs, &gate).await, 702);
    let stats = clocked.cache.stats();
    assert_eq!((stats.refreshes, stats.loads, stats.misses, stats.evictions.replaced), (1, 2, 1, 1));
    clocked.clock.advance(SECOND * 80 - INSTANT);
    assert_eq!(value(&clocked, 7, &runs, &gate).await, 702);
    settle().await;
    assert_eq!(runs.count(), 2, "the new entry has a life of its own, from the start of its load");
}

#[tokio::test]
async fn a_reload_that_fails_keeps_the_value_and_is_tried_again() {
    let (clocked, runs) = (Clocked::new(), Runs::default());
    let failing = async |id: u64, runs: &Runs| {
        let runs = runs.clone();
        ahead(&clocked.cache, id, || async move { if runs.run() == 1 { Ok(id) } else { Err("down".to_owned()) } }).await
    };
    assert_eq!(failing(7, &runs).await, Ok(7));
    clocked.clock.advance(SECOND * 80);
    for (after, expected) in
        [(Duration::ZERO, 2), (SECOND * 10 - INSTANT, 2), (INSTANT, 3), (SECOND * 5 - INSTANT, 3), (INSTANT, 4)]
    {
        clocked.clock.advance(after);
        assert_eq!(failing(7, &runs).await, Ok(7));
        settle().await;
        assert_eq!(failing(7, &runs).await, Ok(7));
        settle().await;
        assert_eq!(runs.count(), expected, "after half of what is left of the life, each time");
    }
    assert_eq!((clocked.cache.stats().load_failures, clocked.cache.stats().refreshes), (3, 3));
    clocked.clock.advance(SECOND * 5);
    assert_eq!(failing(7, &runs).await, Err("down".to_owned()), "a life is not lengthened");
}

#[tokio::test]
async fn an_error_that_is_kept_is_reloaded_too() {
    let clock = Clock::manual();
    let builder = Cache::builder("clocked").ttl(SECOND * 100).err_ttl(SECOND * 10).refresh_ahead(0.8);
    let (cache, runs) = (builder.clock(clock.clone()).build().unwrap(), Runs::default());
    let failing = async || {
        let runs = runs.clone();
        let body = || async move { if runs.run() < 3 { Err("down".to_owned()) } else { Ok(7) } };
        ahead_sharing(Share::cloned(), &cache, 7, body).await
    };
    let down = || Err("down".to_owned());
    assert_eq!(failing().await, down());
    clock.advance(SECOND * 8);
    assert_eq!(failing().await, down());
    until("the reload has failed", || cache.stats().load_failures == 2).await;
    clock.advance(SECOND - INSTANT);
    assert_eq!(failing().await, down());
    settle().await;
    assert_eq!(runs.count(), 2, "not before half of what is left has passed");
    clock.advance(INSTANT);
    assert_eq!(failing().await, down());
    until("the next has landed", || cache.blocking().peek(&7) == Some(7)).await;
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.refreshes), (3, 1, 2));
}

#[tokio::test]
async fn a_reload_that_panics_harms_nobody() {
    let (clocked, runs) = (Clocked::new(), Runs::default());
    let panicking = async |id: u64, runs: &Runs| {
        let runs = runs.clone();
        let body = || async move {
            let run = runs.run();
            assert!(run != 2, "the reload");
            id * 100 + run
        };
        ahead::<u64, _>(&clocked.cache, id, body).await
    };
    assert_eq!(panicking(7, &runs).await, 701);
    clocked.clock.advance(SECOND * 80);
    assert_eq!(panicking(7, &runs).await, 701);
    until("it has panicked", || runs.count() == 2).await;
    settle().await;
    assert_eq!(panicking(7, &runs).await, 701);
    clocked.clock.advance(SECOND * 10);
    assert_eq!(panicking(7, &runs).await, 701);
    until("the next has landed", || clocked.cache.blocking().peek(&7) == Some(703)).await;
}

#[tokio::test]
async fn an_evict_or_a_put_during_a_reload_is_not_undone_by_it() {
    let clocked = Clocked::new();
    for put in [false, true] {
        let (runs, gate) = (Runs::default(), Gate::default());
        clocked.cache.evict(&7).await.unwrap();
        assert_eq!(value(&clocked, 7, &runs, &gate).await, 701);
        clocked.clock.advance(SECOND * 80);
        assert_eq!(value(&clocked, 7, &runs, &gate).await, 701);
        until("it reloads", || gate.arrived() == 1).await;
        if put {
            clocked.cache.insert(&7, 9).await.unwrap();
        } else {
            clocked.cache.evict(&7).await.unwrap();
        }
        let loads = clocked.cache.stats().loads;
        gate.open();
        until("the reload has ended", || clocked.cache.stats().loads == loads + 1).await;
        settle().await;
        assert_eq!(clocked.cache.peek(&7).await, put.then_some(9));
    }
}

#[tokio::test]
async fn who_misses_during_a_reload_waits_for_it() {
    let clocked = Clocked::new();
    let (runs, gate) = (Runs::default(), Gate::default());
    assert_eq!(value(&clocked, 7, &runs, &gate).await, 701);
    clocked.clock.advance(SECOND * 80);
    assert_eq!(value(&clocked, 7, &runs, &gate).await, 701);
    until("it reloads", || gate.arrived() == 1).await;
    clocked.clock.advance(SECOND * 19);
    assert_eq!(value(&clocked, 7, &runs, &gate).await, 701);
    clocked.clock.advance(SECOND);
    let mut missed = Box::pin(value(&clocked, 7, &runs, &gate));
    assert!(poll_once(&mut missed).is_pending());
    gate.open();
    assert_eq!((missed.await, runs.count(), clocked.cache.stats().waits), (702, 2, 1));
}

#[tokio::test]
async fn a_reload_that_finds_nothing_removes_what_was_there() {
    let (clocked, runs) = (Clocked::new(), Runs::default());
    let vanishing = async |id: u64, runs: &Runs| {
        let runs = runs.clone();
        ahead(&clocked.cache, id, || async move { (runs.run() == 1).then_some(id) }).await
    };
    assert_eq!(vanishing(7, &runs).await, Some(7));
    clocked.clock.advance(SECOND * 80);
    assert_eq!(vanishing(7, &runs).await, Some(7));
    until("it has gone", || clocked.cache.is_empty()).await;
    assert_eq!((vanishing(7, &runs).await, runs.count()), (None, 3));
}

#[tokio::test]
async fn what_the_body_borrows_is_owned_by_the_reload() {
    // Due a hundredth of a millisecond after it was loaded: the next hit but one.
    #[cached(ttl = "1h", refresh_ahead = 0.000_000_003, skip(runs, note))]
    #[allow(clippy::too_many_arguments)]
    async fn borrowing(
        text: &str,
        bytes: &[u8],
        maybe: Option<&str>,
        either: Cow<'_, str>,
        pair: (u64, &str),
        mut list: Vec<u64>,
        runs: &Runs,
        note: &str,
    ) -> String {
        tokio::task::yield_now().await;
        list.push(0);
        format!("{text} {bytes:?} {maybe:?} {either} {pair:?} {list:?} {note} {}", runs.run())
    }

    let runs = Runs::default();
    let call = async || {
        // Nothing of this outlives the call.
        let text = String::from("text");
        let note = String::from("note");
        let called = borrowing(&text, &[1, 2], Some(&text), Cow::Borrowed(&text), (3, &text), vec![4], &runs, &note);
        called.await
    };
    let text = "text [1, 2] Some(\"text\") text (3, \"text\") [4, 0] note";
    let mut last = 1;
    assert_eq!(call().await, format!("{text} 1"));
    let start = Instant::now();
    while last < 4 {
        let shown = call().await;
        let run: u64 =
            shown.strip_prefix(text).and_then(|run| run.trim().parse().ok()).unwrap_or_else(|| panic!("{shown}"));
        assert!(run >= last, "no reload is undone by an older one");
        last = run;
        assert!(start.elapsed() < LIMIT);
        tokio::task::yield_now().await;
    }
    assert_eq!(borrowing::stats().misses, 1);
}

#[tokio::test]
async fn a_method_holds_on_to_its_object() {
    struct Repo {
        runs: Runs,
    }
    impl Repo {
        #[cached(ttl = "1h", refresh_ahead = 0.000_000_003, key(id))]
        pub async fn user(self: &Arc<Self>, id: u64) -> u64 {
            id * 100 + self.runs.run()
        }
    }

    let repo = Arc::new(Repo { runs: Runs::default() });
    let start = Instant::now();
    while repo.user(7).await < 703 {
        assert!(start.elapsed() < LIMIT);
        tokio::task::yield_now().await;
    }
    assert_eq!(Repo::user_cache().stats().misses, 1);
    until("it is let go", || Arc::strong_count(&repo) == 1).await;
}

#[test]
fn plain_functions_are_reloaded_on_a_thread_that_may_block_without_a_runtime() {
    in_time(|| {
        #[cached(ttl = "1h", refresh_ahead = 0.000_001, skip(runs, gate))]
        fn plain(id: u64, runs: &Runs, gate: &Gate) -> u64 {
            let run = runs.run();
            if run > 1 {
                gate.pass_blocking();
            }
            id * 100 + run
        }

        let (runs, gate) = (Runs::default(), Gate::default());
        until_blocking("it reloads", || plain(7, &runs, &gate) == 701 && gate.arrived() == 1);
        for _ in 0..100 {
            assert_eq!(plain(7, &runs, &gate), 701);
        }
        assert_eq!((runs.count(), plain::stats().refreshes), (2, 1), "one reload, however many hits");
        gate.open();
        until_blocking("the reload has landed", || plain(7, &runs, &gate) >= 702);
    });
}

#[test]
fn an_async_function_is_reloaded_without_a_runtime_too() {
    in_time(|| {
        let clocked = Clocked::new();
        let (runs, gate) = (Runs::default(), Gate::default());
        hybridcache_tests::block_on(async {
            assert_eq!(value(&clocked, 7, &runs, &gate).await, 701);
            clocked.clock.advance(SECOND * 80);
            assert_eq!(value(&clocked, 7, &runs, &gate).await, 701);
        });
        until_blocking("it reloads", || gate.arrived() == 1);
        gate.open();
        until_blocking("the reload has landed", || clocked.cache.blocking().peek(&7) == Some(702));
    });
}

#[test]
fn a_reload_whose_runtime_is_dropped_is_due_again() {
    in_time(|| {
        let clocked = Clocked::new();
        let (runs, gate) = (Runs::default(), Gate::default());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            assert_eq!(value(&clocked, 7, &runs, &gate).await, 701);
            clocked.clock.advance(SECOND * 80);
            assert_eq!(value(&clocked, 7, &runs, &gate).await, 701);
            until("it reloads", || gate.arrived() == 1).await;
        });
        drop(runtime);
        gate.open();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            assert_eq!(value(&clocked, 7, &runs, &gate).await, 701);
            clocked.clock.advance(SECOND * 10);
            assert_eq!(value(&clocked, 7, &runs, &gate).await, 701);
            until("the next has landed", || clocked.cache.blocking().peek(&7) == Some(703)).await;
        });
    });
}

#[tokio::test]
async fn a_shutdown_waits_for_reloads_and_starts_none_after() {
    let manager = CacheManager::builder().build().await.unwrap();
    let clocked = Clocked::of(Some(&manager));
    let drained = async |id: u64, runs: &Runs, gate: &Gate| {
        let (runs, gate) = (runs.clone(), gate.clone());
        let body = || async move {
            let run = runs.run();
            if run > 2 {
                gate.pass().await;
            }
            id * 100 + run
        };
        ahead::<u64, _>(&clocked.cache, id, body).await
    };

    let (runs, gate) = (Runs::default(), Gate::default());
    assert_eq!(drained(7, &runs, &gate).await, 701);
    assert_eq!(drained(8, &runs, &gate).await, 802);
    clocked.clock.advance(SECOND * 80);
    assert_eq!(drained(7, &runs, &gate).await, 701);
    until("it reloads", || gate.arrived() == 1).await;
    let shutdowns = [(); 2].map(|()| {
        let manager = manager.clone();
        tokio::spawn(async move { manager.shutdown().await })
    });
    settle().await;
    assert!(shutdowns.iter().all(|shutdown| !shutdown.is_finished()), "they wait for the reload");
    assert_eq!(drained(8, &runs, &gate).await, 802, "callers are served meanwhile");
    settle().await;
    assert_eq!((runs.count(), gate.arrived()), (3, 1), "and nothing is started any more");
    gate.open();
    for shutdown in shutdowns {
        shutdown.await.unwrap();
    }
    assert_eq!(clocked.cache.peek(&7).await, Some(703), "what was under way has landed");
    clocked.clock.advance(SECOND * 15);
    for _ in 0..5 {
        assert_eq!(drained(8, &runs, &gate).await, 802);
        settle().await;
    }
    assert_eq!((runs.count(), clocked.cache.stats().refreshes), (3, 1));
    clocked.clock.advance(SECOND * 5);
    assert_eq!(drained(8, &runs, &gate).await, 804, "what has ended is loaded, as ever");
}

#[tokio::test]
async fn a_reload_through_the_attribute_is_one_and_behind() {
    #[cached(ttl = "1h", refresh_ahead = 0.000_001, skip(runs, gate))]
    async fn own(id: u64, runs: &Runs, gate: &Gate) -> Result<u64, String> {
        let run = runs.run();
        if run > 1 {
            gate.pass().await;
        }
        if run == 2 { Err("down".to_owned()) } else { Ok(id * 100 + run) }
    }

    let (runs, gate) = (Runs::default(), Gate::default());
    let start = Instant::now();
    while gate.arrived() == 0 {
        assert_eq!(own(7, &runs, &gate).await, Ok(701), "whoever hits is not kept waiting");
        assert!(start.elapsed() < LIMIT);
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        assert_eq!(own(7, &runs, &gate).await, Ok(701));
        tokio::task::yield_now().await;
    }
    assert_eq!((runs.count(), own::stats().refreshes), (2, 1));
    gate.open();
    until("it has failed", || own::stats().load_failures == 1).await;
    assert_eq!((own(7, &runs, &gate).await, own::stats().misses), (Ok(701), 1), "what was there stays");
}

/// [`value`] of a plain function.
fn plain_value(Clocked { cache, .. }: &Clocked, id: u64, runs: &Runs, gate: &Gate) -> u64 {
    let (runs, gate) = (runs.clone(), gate.clone());
    let body = move || {
        let run = runs.run();
        if run > 1 {
            gate.pass_blocking();
        }
        id * 100 + run
    };
    match Resolved::of(cache).__lookup_ahead(&id, Share::none()) {
        Ahead::Hit(hit) => hit,
        Ahead::Due(hit, due) => {
            due.spawn_blocking(body);
            hit
        }
        Ahead::Miss(miss) => miss.load_blocking(Share::none(), body),
    }
}

/// A reload of a plain function holds a thread of its own: plain callers may wait for it.
#[test]
fn plain_callers_who_miss_during_a_reload_wait_for_it() {
    in_time(|| {
        let clocked = Clocked::new();
        let (runs, gate) = (Runs::default(), Gate::default());
        assert_eq!(plain_value(&clocked, 7, &runs, &gate), 701);
        clocked.clock.advance(SECOND * 80);
        assert_eq!(plain_value(&clocked, 7, &runs, &gate), 701);
        until_blocking("it reloads", || gate.arrived() == 1);
        clocked.clock.advance(SECOND * 20);
        std::thread::scope(|scope| {
            let callers: Vec<_> = (0..20).map(|_| scope.spawn(|| plain_value(&clocked, 7, &runs, &gate))).collect();
            until_blocking("all wait, or run on their own", || clocked.cache.stats().misses == 21);
            gate.open();
            callers.into_iter().for_each(|caller| assert_eq!(caller.join().unwrap(), 702));
        });
        let stats = clocked.cache.stats();
        assert_eq!((runs.count(), stats.waits, stats.uncached), (2, 20, 0));
    });
}

#[tokio::test]
async fn a_reload_belongs_to_the_scope_of_the_call_that_it_is_for() {
    #[cached]
    fn inner(id: u64) -> u64 {
        id
    }
    // Due a hundredth of a millisecond after it was loaded.
    #[cached(ttl = "1h", refresh_ahead = 0.000_000_003, skip(runs))]
    async fn outer(id: u64, runs: &Runs) -> u64 {
        runs.run();
        inner(id + runs.count())
    }
    #[cached(ttl = "1h", refresh_ahead = 0.000_000_003, skip(runs))]
    fn plain_outer(id: u64, runs: &Runs) -> u64 {
        runs.run();
        inner(id + runs.count())
    }

    let manager = CacheManager::builder().build().await.unwrap();
    let (runs, plain_runs) = (Runs::default(), Runs::default());
    let held = manager
        .scope(async {
            let start = Instant::now();
            while runs.count() < 3 || plain_runs.count() < 3 {
                outer(100, &runs).await;
                plain_outer(200, &plain_runs);
                assert!(start.elapsed() < LIMIT);
                tokio::task::yield_now().await;
            }
            manager.shutdown().await;
            inner::cache().len()
        })
        .await;
    assert!(held >= 6, "what each run asked for: {held}");
    assert_eq!(inner::cache().len(), 0, "nothing of it is outside");
}

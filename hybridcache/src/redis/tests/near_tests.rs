//! The connection on a runtime of the application, and who uses it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use tokio::runtime::{Builder, Runtime};

use super::*;

fn runtime(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap()
}

fn options(server: &RedisServer, home: &Runtime) -> RedisOptions {
    RedisOptions::new(server.url()).read_timeout(5 * SECOND).runtime(home.handle().clone())
}

fn connect_from(home: &Runtime, options: RedisOptions) -> Arc<RedisDriver> {
    home.block_on(RedisDriver::connect("app", options)).unwrap()
}

/// Waits with time of the thread, in whatever is polled.
async fn until_async<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) {
    let start = Instant::now();
    while !so().await {
        assert!(start.elapsed() < 30 * SECOND, "waited too long until {what}");
        io::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn who_comes_alone_from_there_uses_it_and_nobody_else() {
    let server = RedisServer::start();
    let (home, other) = (runtime(2), runtime(1));
    let driver = connect_from(&home, options(&server, &home));
    block_on(driver.put(KEY, &[], put(&value(1, b"v"), MINUTE), bump(1))).unwrap();
    // From now on whatever would go by the thread of connections finds nobody.
    driver.small.close();
    let found = |found: Result<Found, Fault>| found.map(|found| found.record);
    let (there, down) = (Ok(Some(value(1, b"v"))), Err(Fault::Down));
    let get = |driver: &Arc<RedisDriver>| {
        let driver = Arc::clone(driver);
        async move { driver.get(KEY, true).await }
    };
    assert!(found(home.block_on(get(&driver))) == there);
    assert!(found(home.block_on(home.spawn(get(&driver))).unwrap()) == there);
    home.block_on(async {
        server.pause();
        let (first, second) = tokio::join!(get(&driver), async {
            let second = get(&driver).await;
            server.resume();
            second
        });
        assert!(found(first) == there);
        assert!(found(second) == down, "it was not alone");
        assert!(driver.evict(&[KEY.to_vec()], None, None, bump(2)).await.is_ok(), "writes do as well");
        assert!(found(block_on(get(&driver))) == down, "a plain function that is called there");
        let mut polled = false;
        let later = async {
            poll_fn(|cx| {
                cx.waker().wake_by_ref();
                if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            get(&driver).await
        };
        assert!(found(block_on(later)) == down, "and one that has waited already");
        assert!(found(get(&driver).await).is_ok(), "after which it is as before");
    });
    assert!(found(other.block_on(other.spawn(get(&driver))).unwrap()) == down, "another runtime");
    assert!(found(block_on(get(&driver))) == down, "no runtime");
}

#[test]
fn it_ends_with_its_runtime_and_nothing_else_does() {
    let server = RedisServer::start();
    for home in [runtime(1), Builder::new_current_thread().enable_all().build().unwrap()] {
        let driver = connect_from(&home, options(&server, &home));
        let log = listen(&driver);
        let attempts = driver.health().attempts;
        assert_eq!(attempts, 4);
        // One that is under way when it ends; a thread of the runtime may have been faster.
        let mut under_way = driver.get(KEY, false);
        let looked = home.block_on(poll_fn(|cx| Poll::Ready(under_way.as_mut().poll(cx))));
        drop(home);
        let ended = match looked {
            Poll::Ready(found) => found,
            Poll::Pending => block_on(under_way),
        };
        assert!(ended.is_ok() || ended == Err(Fault::Unanswered), "and it does not wait for ever");
        for _ in 0..2 {
            let other = runtime(1);
            other.block_on(driver.get(KEY, false)).unwrap();
        }
        block_on(driver.evict(&[KEY.to_vec()], None, None, bump(1))).unwrap();
        assert_eq!(driver.health().attempts, attempts, "nothing had to connect again");
        assert!(!log.lock().contains(&Heard::Down));
        block_on(driver.close()).unwrap();
    }
}

#[test]
fn a_runtime_that_cannot_have_it_is_refused_at_the_start() {
    let server = RedisServer::start();
    let ended = {
        let home = runtime(1);
        options(&server, &home)
    };
    let without_io = Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    for options in [ended, options(&server, &without_io)] {
        // Tokio tells by a panic, and that may take long to be written out.
        let options = options.connect_timeout(30 * SECOND);
        let said = block_on(RedisDriver::connect("app", options)).unwrap_err().to_string();
        assert!(said.contains("has ended, or has no I/O (`enable_all` of its builder)"), "{said}");
    }
}

#[test]
fn nobody_waits_for_a_runtime_that_does_not_run() {
    let server = RedisServer::start();
    let home = Builder::new_current_thread().enable_all().build().unwrap();
    let read_timeout = Duration::from_millis(50);
    let options = options(&server, &home).read_timeout(read_timeout);
    // Not driven while this connects: that one connection is made when it is asked for.
    let driver = block_on(RedisDriver::connect("app", options)).unwrap();
    let near = Arc::clone(driver.small.near().unwrap());
    assert_eq!(near.generation(), None);
    home.block_on(until_async("it is connected", || async {
        let _ = driver.get(KEY, false).await;
        near.generation().is_some()
    }));
    // Another executor polls what seems to be there, where nobody drives it.
    let _entered = home.enter();
    let (start, ticks) = (Instant::now(), Ticks::start());
    let answer = foreign_block_on(driver.get(KEY, false));
    assert!(answer == Err(Fault::Unanswered));
    assert!(
        start.elapsed() >= read_timeout && ticks.elapsed() < SECOND,
        "{:?}, {:?}",
        start.elapsed(),
        ticks.elapsed()
    );
}

/// An executor that is not ours.
fn foreign_block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park();
    }
}

#[test]
fn it_is_made_again_when_it_is_asked_for() {
    let server = RedisServer::start();
    let home = runtime(2);
    let driver = connect_from(&home, options(&server, &home));
    let near = Arc::clone(driver.small.near().unwrap());
    driver.small.close();
    home.block_on(home.spawn(async move {
        for _ in 0..2 {
            assert!(driver.get(KEY, false).await.is_ok());
            let before = near.generation();
            server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
            until_async("it is lost", || async { near.generation() != before }).await;
            until_async("it is there again", || async { driver.get(KEY, false).await.is_ok() }).await;
            assert!(near.generation() > before);
        }
    }))
    .unwrap();
}

#[test]
fn closing_ends_it_and_so_does_dropping() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let home = runtime(1);
    for close in [true, false] {
        let options = RedisOptions::new(proxy.url()).runtime(home.handle().clone());
        let driver = connect_from(&home, options);
        assert_eq!(proxy.connections(), 4);
        if close {
            home.block_on(driver.close()).unwrap();
            assert!(home.block_on(driver.get(KEY, false)) == Err(Fault::Down));
        }
        drop(driver);
        until("they have ended", || proxy.connections() == 0);
    }
}

#[test]
fn calls_that_are_given_up_leave_it_in_order() {
    let server = RedisServer::start();
    let home = runtime(2);
    let driver = connect_from(&home, options(&server, &home));
    let near = Arc::clone(driver.small.near().unwrap());
    let keys: Vec<_> = (0..8_u32).map(|at| format!("{{hc:app:0}}k{at}").into_bytes()).collect();
    for (version, key) in (1..).zip(&keys) {
        block_on(driver.put(key, &[], put(&value(version, key), MINUTE), bump(version))).unwrap();
    }
    home.block_on(home.spawn(async move {
        let (mut used, mut given_up) = (0, 0);
        for round in 0..3_200 {
            let (version, key) = (1..).zip(&keys).nth(round % 8).unwrap();
            let mut get = driver.get(key, true);
            // Every other one is left when it has been sent, and some of these when something may have come back.
            let mut found = poll_fn(|cx| Poll::Ready(get.as_mut().poll(cx))).await;
            used += usize::from(near.is_used());
            for _ in 0..round % 5 {
                tokio::task::yield_now().await;
            }
            if found.is_pending() && round % 2 == 0 {
                found = Poll::Ready(get.await);
            } else {
                drop(get);
            }
            match found {
                Poll::Ready(found) => assert!(found.unwrap().record == Some(value(version, key))),
                Poll::Pending => given_up += 1,
            }
            assert!(!near.is_used(), "nobody is left who uses it");
        }
        assert!(used > 1_000 && given_up > 1_000, "{used} used it, {given_up} went away");
        assert_eq!(driver.health().unanswered, 0, "whoever goes away says nothing of the server");
    }))
    .unwrap();
}

#[test]
fn a_server_that_hangs_costs_a_deadline_for_a_few_calls_whichever_way_they_go() {
    let server = RedisServer::start();
    let home = runtime(2);
    let by_default = RedisOptions::new(server.url()).runtime(home.handle().clone());
    let driver = connect_from(&home, by_default);
    let near = Arc::clone(driver.small.near().unwrap());
    home.block_on(home.spawn(async move {
        server.pause();
        let start = Instant::now();
        let mut waited = 0;
        while start.elapsed() < 2 * SECOND {
            let sent = Ticks::start();
            waited += u32::from(driver.get(KEY, false).await == Err(Fault::Unanswered));
            assert!(sent.elapsed() < Duration::from_millis(450), "{:?}", sent.elapsed());
        }
        // Three until nobody waits, and then those who find out that it still does not answer, on the other connection.
        assert!((3..=6).contains(&waited), "{waited}");
        server.resume();
        until_async("it is back", || async { driver.get(KEY, false).await.is_ok() && near.generation().is_some() })
            .await;
    }))
    .unwrap();
}

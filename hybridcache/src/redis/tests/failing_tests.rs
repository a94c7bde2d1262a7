//! Servers and networks that fail while the driver is in use.

use futures_util::FutureExt;

use super::*;

#[test]
fn the_driver_outlives_the_runtime_it_was_made_on_and_needs_none() {
    let server = RedisServer::start();
    let made = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let driver = made.block_on(RedisDriver::connect("app", RedisOptions::new(server.url()))).unwrap();
    drop(made);
    let log = listen(&driver);
    block_on(driver.evict(&[KEY.to_vec()], None, None, bump(1))).unwrap();
    for workers in [1, 2] {
        let other = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).build().unwrap();
        let driver = Arc::clone(&driver);
        other.block_on(async move { tokio::spawn(async move { driver.fence().await }).await.unwrap().unwrap() });
    }
    // A plain function that is called inside of a runtime, which must not be entered twice.
    let inside = tokio::runtime::Builder::new_current_thread().build().unwrap();
    inside.block_on(async { block_on(driver.get(KEY, false)).unwrap() });
    assert_eq!(messages(&log, Partition::Keys).len(), 1);
}

#[test]
fn a_server_that_dies_and_returns_empty_is_found_again_within_a_second() {
    let server = RedisServer::start();
    let driver = connect_by_default(&server.url());
    let log = listen(&driver);
    let (before, _) = block_on(driver.evict(&[KEY.to_vec()], None, None, bump(1))).unwrap();
    let (attempts, start) = (driver.health().attempts, Instant::now());
    server.kill();
    until("it is down", || log.lock().last() == Some(&Heard::Down) && !driver.health().connected);
    // Nothing is sent where there is nobody, nor is anything waited for.
    assert!(driver.get(KEY, false).now_or_never() == Some(Err(Fault::Down)));
    assert!(driver.fence().now_or_never() == Some(Err(Fault::Down)));
    std::thread::sleep(2 * SECOND);
    let spent = driver.health().attempts - attempts;
    let most = 3 * (start.elapsed().as_millis() as u64 / 500 + 1);
    assert!((3..=most).contains(&spent), "{spent} attempts of three connections, at most {most}");
    server.restart();
    let back = Ticks::start();
    until("it is back", || log.lock().last() == Some(&Heard::Up) && driver.health().connected);
    assert!(back.elapsed() < SECOND, "{:?}", back.elapsed());
    let after = block_on(driver.fence()).unwrap()[1];
    assert_ne!(after.epoch, before.epoch, "it forgot");
    assert_eq!(after.number, 0);
    block_on(driver.evict(&[KEY.to_vec()], None, None, bump(2))).unwrap();
}

/// Reads have less time than the rest: they give up what they were sent together with.
#[test]
fn who_waits_on_gets_the_own_answer_though_others_have_given_up() {
    let server = RedisServer::start();
    let options = RedisOptions::new(server.url()).read_timeout(SECOND / 10).write_timeout(20 * SECOND);
    let driver = block_on(RedisDriver::connect("app", options)).unwrap();
    let key = |n: u32| format!("{{hc:app:0}}users:v1:{n}").into_bytes();
    server.ask(&["SET", str::from_utf8(&key(1)).unwrap(), "not a lease"]);
    let renew = async |n: u32| driver.renew(&[(&key(n), &lease(n.into()), SECOND)]).await;
    assert_eq!(block_on(renew(1)), Ok(0), "the server knows the script from here on");
    server.pause();
    let answers = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(3 * SECOND / 10);
            server.resume();
        });
        let both = async |n| {
            let key = key(n);
            futures_util::future::join(driver.get(&key, false), renew(n)).await
        };
        block_on(futures_util::future::join_all((0..64).map(both)))
    });
    assert!(answers.iter().any(|(found, _)| found.is_err()), "reads give up");
    for (_, renewed) in answers {
        // On a machine that is held up the connection may be, too.
        assert!(matches!(renewed, Ok(0) | Err(Fault::Unanswered)), "{renewed:?}");
    }
}

#[test]
fn a_server_that_hangs_costs_a_deadline_for_a_few_calls_and_then_nothing() {
    let server = RedisServer::start();
    let driver = connect_by_default(&server.url());
    let log = listen(&driver);
    server.pause();
    let start = Instant::now();
    let mut faults = Vec::new();
    while start.elapsed() < 2 * SECOND {
        let sent = Ticks::start();
        let fault = block_on(driver.get(KEY, false)).err().unwrap();
        assert!(sent.elapsed() < Duration::from_millis(450), "{fault}: {:?}", sent.elapsed());
        faults.push(fault);
    }
    let waited = faults.iter().filter(|fault| **fault == Fault::Unanswered).count();
    assert!((1..=4).contains(&waited), "{waited} calls waited, and {} did not", faults.len() - waited);
    assert!(driver.health().unanswered >= waited as u64);
    until("the fences of the bus notice", || {
        assert!(block_on(driver.fence()).is_err());
        log.lock().last() == Some(&Heard::Down)
    });
    server.resume();
    let back = Ticks::start();
    until("it is back", || log.lock().last() == Some(&Heard::Up) && block_on(driver.get(KEY, false)).is_ok());
    assert!(back.elapsed() < SECOND, "{:?}", back.elapsed());
}

/// As in a failover that is planned: the server greets, and reads, and lets writes wait.
#[test]
fn a_server_whose_writes_wait_costs_a_deadline_for_a_few_calls_and_then_nothing() {
    let server = RedisServer::start();
    let driver = connect_by_default(&server.url());
    let log = listen(&driver);
    server.ask(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    let ends = Instant::now() + 3 * SECOND;
    let mut waited = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while Instant::now() < ends {
                let _ = block_on(driver.fence());
            }
        });
        while Instant::now() < ends {
            let read = block_on(driver.get_or_lease(KEY, &lease(1), SECOND, true));
            waited += u32::from(read == Err(Fault::Unanswered));
        }
    });
    assert!((1..=4).contains(&waited), "{waited} calls waited");
    assert_eq!(log.lock().iter().filter(|heard| **heard == Heard::Down).count(), 1, "the bus is left once");
    server.ask(&["CLIENT", "UNPAUSE"]);
    let back = Ticks::start();
    until("it is back", || {
        log.lock().last() == Some(&Heard::Up) && block_on(driver.renew(&[(KEY, &lease(1), SECOND)])).is_ok()
    });
    assert!(back.elapsed() < SECOND, "{:?}", back.elapsed());
}

#[test]
fn a_network_that_swallows_everything_is_noticed_and_what_was_sent_counts_as_unanswered() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let driver = connect_by_default(&proxy.url());
    let log = listen(&driver);
    block_on(driver.evict(&[], None, None, bump(1))).unwrap();
    proxy.blackhole(false, true);
    let evicted = block_on(driver.evict(&[KEY.to_vec()], None, None, bump(2)));
    assert!(evicted == Err(Fault::Unanswered), "it was executed, and nobody knows");
    assert_eq!(server.ask(&["HGET", "{hc:app:0}q", "n"]).text(), "2");
    until("the bus is down", || {
        assert!(block_on(driver.fence()).is_err());
        log.lock().last() == Some(&Heard::Down)
    });
    proxy.blackhole(false, false);
    until("it is back", || log.lock().last() == Some(&Heard::Up) && block_on(driver.get(KEY, false)).is_ok());
    // On the new connections nobody is told what was meant for the old ones.
    assert_eq!(block_on(driver.fence()).unwrap()[1].number, 2);
}

#[test]
fn slow_answers_open_the_breaker_and_one_probe_closes_it() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let options = RedisOptions::new(proxy.url()).read_timeout(Duration::from_millis(40));
    let driver = block_on(RedisDriver::connect("app", options)).unwrap();
    // Slower than a read may be, and fast enough to connect.
    proxy.delay(Duration::from_millis(60), Duration::ZERO);
    let mut waited = 0;
    until("it is open", || {
        waited += u32::from(block_on(driver.get(KEY, false)) == Err(Fault::Unanswered));
        driver.health().breaker_open || !driver.health().connected
    });
    assert_eq!(waited, 3);
    assert!(block_on(driver.get(KEY, false)) == Err(Fault::Down));
    proxy.delay(Duration::ZERO, Duration::ZERO);
    until("it is closed", || block_on(driver.get(KEY, false)).is_ok());
    assert!(!driver.health().breaker_open);
}

#[test]
fn a_value_that_does_not_arrive_in_time_is_asked_for_where_it_has_more_time_and_is_in_nobodys_way() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let options = RedisOptions::new(proxy.url()).read_timeout(SECOND / 5).write_timeout(20 * SECOND);
    let driver = block_on(RedisDriver::connect("app", options)).unwrap();
    let record = value(1, &vec![7; 3 * 1024 * 1024]);
    block_on(connect(&server.url()).put(KEY, &[], put(&record, MINUTE), bump(1))).unwrap();
    // For each 64 KiB.
    proxy.delay(Duration::from_millis(10), Duration::ZERO);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| block_on(driver.get(KEY, false)));
        while !first.is_finished() {
            block_on(driver.fence()).unwrap();
        }
        assert!(first.join().unwrap() == Err(Fault::Unanswered));
    });
    assert!(block_on(driver.get(KEY, false)) == Ok(Found { record: Some(record), remaining: None }));
    assert!(driver.health().unanswered == 1 && driver.health().attempts == 3);
}

#[test]
fn a_connection_that_is_cut_is_replaced_before_anybody_asks() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let driver = connect(&proxy.url());
    let log = listen(&driver);
    assert_eq!(proxy.accepted(), 3);
    std::thread::sleep(Duration::from_millis(600));
    proxy.cut();
    until("it is down", || log.lock().contains(&Heard::Down));
    until("it is back", || driver.health().connected && driver.health().subscribed && proxy.connections() == 3);
    assert_eq!(proxy.accepted(), 6);
    assert_eq!(*log.lock(), [Heard::Up, Heard::Down, Heard::Up]);
    block_on(driver.fence()).unwrap();
}

#[test]
fn a_subscriber_that_is_killed_hears_that_it_missed_something() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    let log = listen(&driver);
    for round in 1..=3 {
        block_on(driver.bump(Partition::Keys, bump(round))).unwrap();
        block_on(driver.fence()).unwrap();
        server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        until("it is up again", || log.lock().iter().filter(|heard| **heard == Heard::Up).count() as u128 == round + 1);
    }
    let order: Vec<_> = log.lock().iter().map(|heard| matches!(heard, Heard::Message(..))).collect();
    assert_eq!(order, [false, true, false, false, true, false, false, true, false, false]);
}

#[test]
fn calls_that_are_given_up_leave_the_connection_in_order() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    let keys: Vec<_> = (0..64_u32).map(|at| format!("{{hc:app:0}}k{at}").into_bytes()).collect();
    for (version, key) in (1..).zip(&keys) {
        block_on(driver.put(key, &[], put(&value(version, key), MINUTE), bump(version))).unwrap();
    }
    let given_up = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for (version, key) in (1..).zip(&keys[..8]) {
            let (driver, given_up) = (&driver, &given_up);
            scope.spawn(move || {
                for round in 0..400_u64 {
                    let limit = Duration::from_micros(round % 120);
                    match block_on(io::within(limit, driver.get(key, true))) {
                        Some(found) => assert!(found.unwrap().record == Some(value(version, key))),
                        None => drop(given_up.fetch_add(1, std::sync::atomic::Ordering::Relaxed)),
                    }
                }
            });
        }
    });
    assert!(given_up.load(std::sync::atomic::Ordering::Relaxed) > 0);
    assert_eq!(driver.health().unanswered, 0, "whoever goes away says nothing of the server");
}

#[test]
fn more_calls_than_there_is_room_for_are_answered_or_end_at_their_deadline() {
    const CALLS: u64 = 1_000;
    let server = RedisServer::start();
    let driver = block_on(RedisDriver::connect("app", RedisOptions::new(server.url()).read_timeout(SECOND))).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let all_at_once = || {
        let one = |_| {
            let driver = Arc::clone(&driver);
            async move { driver.get(KEY, true).await.map(drop) }
        };
        runtime.block_on(futures_util::future::join_all((0..CALLS).map(one)))
    };
    assert!(all_at_once().iter().all(Result::is_ok), "they wait for each other");
    server.pause();
    let (start, ticks) = (Instant::now(), Ticks::start());
    let answers = all_at_once();
    assert!(start.elapsed() >= SECOND && ticks.elapsed() < 2 * SECOND, "{:?}, {:?}", start.elapsed(), ticks.elapsed());
    assert!(answers.iter().all(|answer| *answer == Err(Fault::Unanswered)), "also those that were not sent yet");
    assert_eq!(driver.health().unanswered, CALLS);
    server.resume();
    until("it is back", || block_on(driver.get(KEY, true)).is_ok());
    assert!(all_at_once().iter().all(Result::is_ok), "and nothing is in the way of the next");
}

#[test]
fn a_driver_that_may_begin_without_a_server_finds_it_later() {
    let port = redis_server::free_port();
    let options = RedisOptions::new(format!("redis://127.0.0.1:{port}")).connect_lazily();
    let driver = block_on(RedisDriver::connect("app", options)).unwrap();
    let log = Log::default();
    let into = Arc::clone(&log);
    driver.subscribe(Box::new(move |event| into.lock().extend(matches!(event, BusEvent::Up).then_some(Heard::Up))));
    assert!(block_on(driver.get(KEY, false)) == Err(Fault::Down));
    let server = RedisServer::with(&[&format!("--port {port}")]);
    until("it is up", || log.lock().len() == 1 && driver.health().connected);
    block_on(driver.evict(&[KEY.to_vec()], None, None, bump(1))).unwrap();
    drop(server);
    // What can be known to be wrong still is.
    let wrong = RedisOptions::new("redis://127.0.0.1:1/x").connect_lazily();
    assert!(block_on(RedisDriver::connect("app", wrong)).is_err());
    let secret = RedisServer::with_users(&["user default on >secret ~* &* +@all"]);
    let wrong = RedisOptions::new(format!("redis://:wrong@127.0.0.1:{}", secret.port())).connect_lazily();
    assert!(block_on(RedisDriver::connect("app", wrong)).is_err());
}

#[test]
fn a_driver_that_may_begin_without_a_server_does_so_with_one_that_refuses_for_now() {
    let server = RedisServer::with(&["--min-replicas-to-write 1"]);
    let options = RedisOptions::new(server.url());
    let refused = block_on(RedisDriver::connect("app", options.clone())).err().unwrap();
    assert!(refused.to_string().contains("NOREPLICAS"), "{refused}");
    let driver = block_on(RedisDriver::connect("app", options.connect_lazily())).unwrap();
    server.ask(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    block_on(driver.fence()).unwrap();
}

#[test]
fn closing_ends_every_connection_and_so_does_dropping() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let driver = connect(&proxy.url());
    let log = listen(&driver);
    assert_eq!(proxy.connections(), 3);
    block_on(driver.close()).unwrap();
    assert_eq!(*log.lock(), [Heard::Up, Heard::Down]);
    until("they are gone", || proxy.connections() == 0);
    assert!(block_on(driver.get(KEY, false)) == Err(Fault::Down));
    block_on(driver.close()).unwrap();
    let dropped = connect(&proxy.url());
    listen(&dropped);
    assert_eq!(proxy.connections(), 3);
    drop(dropped);
    until("they are gone", || proxy.connections() == 0);
    std::thread::sleep(2 * Duration::from_millis(500));
    assert_eq!((proxy.accepted(), proxy.connections()), (6, 0), "and nothing connects again");
}

#[test]
fn a_server_that_loads_its_data_refuses_and_then_stands_where_it_was_saved() {
    let server = RedisServer::with(&["--key-load-delay 200", "--loading-process-events-interval-bytes 1024"]);
    let driver = connect(&server.url());
    let (saved, _) = block_on(driver.evict(&[], None, None, bump(1))).unwrap();
    block_on(driver.bump(Partition::Meta, bump(1))).unwrap();
    server.ask(&["DEBUG", "POPULATE", "5000"]);
    assert_eq!(server.ask(&["SAVE"]).text(), "OK");
    block_on(driver.evict(&[], None, None, bump(2))).unwrap();
    server.kill();
    until("it is gone", || !driver.health().connected && !driver.health().subscribed);
    server.restart();
    let loading = Err(Fault::Refused { code: "LOADING".to_owned() });
    until("it loads", || block_on(driver.get(KEY, false)) == loading);
    let early = block_on(RedisDriver::connect("app", RedisOptions::new(server.url()))).err().unwrap();
    assert!(matches!(early.kind(), ErrorKind::Remote { reason, .. } if reason.contains("loading its data")), "{early}");
    let patient = block_on(RedisDriver::connect("app", RedisOptions::new(server.url()).connect_lazily())).unwrap();
    until("it has loaded", || block_on(driver.get(KEY, false)).is_ok());
    until("the bus is back", || block_on(driver.fence()).is_ok() && block_on(patient.fence()).is_ok());
    assert_eq!(block_on(driver.fence()).unwrap()[1], saved, "the second evict is lost, and the number says so");
    assert_eq!(block_on(patient.fence()).unwrap()[1], saved);
}

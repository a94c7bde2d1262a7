//! Servers that say no, at the start and later.

use rustix::io::Errno;

use super::redis_server::{Certificates, Reply};
use super::*;

/// Why there is no driver.
fn reason(options: RedisOptions) -> String {
    let Err(error) = block_on(RedisDriver::connect("app", options)) else { panic!("it connects") };
    match error.kind() {
        ErrorKind::Remote { reason, .. } => reason.clone(),
        _ => panic!("{error}"),
    }
}

/// The rights that the documentation of the module lists.
fn documented_rights() -> String {
    let text = include_str!("../mod.rs");
    let rule = text.split("ACL SETUSER app ").nth(1).unwrap().split("```").next().unwrap();
    rule.replace("//!", " ").split_whitespace().collect::<Vec<_>>().join(" ").replace("{hc:ns:", "{hc:app:")
}

#[test]
fn that_no_more_files_may_be_opened_is_told_apart_from_a_server_that_is_away() {
    let of = |number: Errno| Trouble::Failed(std::io::Error::from(number).into());
    for (number, starved) in [(Errno::MFILE, true), (Errno::NFILE, true), (Errno::CONNREFUSED, false)] {
        assert_eq!(probe::starved(&of(number)), starved, "{number}");
    }
}

#[test]
fn wrong_credentials_are_named() {
    let server = RedisServer::with_users(&["user default on >secret ~* &* +@all", "user app on >p@ss/w ~* &* +@all"]);
    let at = |user: &str| RedisOptions::new(format!("redis://{user}127.0.0.1:{}", server.port()));
    assert_eq!(reason(at("")), "it wants a password, and the URL has none");
    assert_eq!(reason(at(":wrong@")), "the user or the password is wrong");
    assert_eq!(reason(at("app:wrong@")), "the user or the password is wrong");
    assert!(block_on(RedisDriver::connect("app", at("app:p%40ss%2Fw@"))).is_ok());
    assert!(block_on(RedisDriver::connect("app", at(":secret@"))).is_ok());
}

#[test]
fn a_user_without_a_password_is_that_user_all_the_same() {
    let server = RedisServer::with_users(&[
        "user default on nopass ~* &* +@all",
        "user app on nopass ~* &* +@all",
        "user other on >secret ~* &* +@all",
    ]);
    let at = |user: &str| RedisOptions::new(format!("redis://{user}@127.0.0.1:{}", server.port()));
    let _driver = block_on(RedisDriver::connect("app", at("app"))).unwrap();
    let clients = server.ask(&["CLIENT", "LIST"]).text();
    assert_eq!(clients.matches(" user=app ").count(), 3, "{clients}");
    assert_eq!(reason(at("other")), "the user or the password is wrong");
}

#[test]
fn the_rights_that_are_documented_are_enough_and_each_is_needed() {
    let rights = documented_rights();
    let server = RedisServer::with_users(&["user default on nopass ~* &* +@all", &format!("user app {rights} +info")]);
    let options = || RedisOptions::new(format!("redis://app:secret@127.0.0.1:{}", server.port()));
    let driver = block_on(RedisDriver::connect("app", options())).unwrap();
    block_on(async {
        driver.get_or_lease(KEY, &lease(1), SECOND, true).await.unwrap();
        driver.await_fill(KEY, &lease(1)).await.unwrap();
        driver.renew(&[(KEY, &lease(1), SECOND)]).await.unwrap();
        let lives = Lives { now: SECOND, at_most: Some(SECOND) };
        driver.fill(KEY, &lease(1), &value(1, b""), lives, b"wake").await.unwrap();
        driver.touch(KEY, 1, SECOND).await.unwrap();
        driver.lease_over(KEY, b"no", &lease(2), SECOND).await.unwrap();
        driver.release(KEY, &lease(2), b"wake").await.unwrap();
        driver.evict(&[KEY.to_vec()], None, Some((1, SECOND)), bump(1)).await.unwrap();
        driver.put(KEY, &[KEY.to_vec()], put(&value(1, b""), lives), bump(2)).await.unwrap();
        driver.clear("users", bump(3)).await.unwrap();
        driver.bump(Partition::Meta, bump(4)).await.unwrap();
        driver.fence().await.unwrap();
        driver.floors().await.unwrap();
        driver.log_after(Partition::Keys, 0).await.unwrap();
        driver.get(KEY, true).await.unwrap();
    });
    assert_eq!(server.ask(&["ACL", "LOG"]).text(), "", "nothing else was tried");
    for right in rights.split_whitespace().filter(|right| right.starts_with(['+', '~', '&'])) {
        let without = match right.split_at(1) {
            ("+", command) => format!("-{command}"),
            ("~", _) => "resetkeys".to_owned(),
            _ => "resetchannels".to_owned(),
        };
        server.ask(&["ACL", "SETUSER", "app", &without]);
        println!("without {right}");
        let why = reason(options());
        assert!(why.contains(right), "without {right}: {why}");
        server.ask(&["ACL", "SETUSER", "app", right]);
    }
    let left = "local left = {} \
        for _, key in ipairs(redis.call('KEYS', '{hc:app:m}!*')) do left[#left + 1] = redis.call('PTTL', key) end \
        return left";
    let left = server.ask(&["EVAL", left, "0"]).text();
    assert!(!left.contains("-1"), "what could not be removed ends by itself: {left}");
}

#[test]
fn a_missing_right_is_told_by_the_words_of_each_kind_of_server() {
    let names = Names::new("channel", 0);
    let right = |said: &str| probe::right("GET", said, &names);
    for user in ["this user", "User key", "User channels"] {
        assert_eq!(right(&format!("{user} has no permissions to run the 'get' command")), "+get");
    }
    let seven =
        |what: &str| right(&format!("this user has no permissions to access one of the {what} used as arguments"));
    assert_eq!((&*seven("keys"), &*seven("channels")), ("~{hc:channel:*", "&{hc:channel:*"));
    let named = |what: &str| right(&format!("User app has no permissions to access the '{{hc:channel:0}}b0' {what}"));
    assert_eq!((&*named("key"), &*named("channel")), ("~{hc:channel:*", "&{hc:channel:*"));
    let newer = |what: &str| right(&format!("No permissions to access a {what}"));
    assert_eq!((&*newer("key"), &*newer("channel")), ("~{hc:channel:*", "&{hc:channel:*"));
}

#[test]
fn the_readme_and_the_module_list_the_same_rights() {
    let readme = include_str!("../../../README.md");
    let rule = readme.split("ACL SETUSER app ").nth(1).unwrap().split("```").next().unwrap();
    let rule = rule.split_whitespace().collect::<Vec<_>>().join(" ").replace("{hc:shop:", "{hc:app:");
    assert_eq!(rule, documented_rights());
}

#[test]
fn several_missing_rights_are_named_together() {
    let server = RedisServer::with_users(&[
        "user default on nopass ~* &* +@all",
        "user app on >x ~{hc:app:* &{hc:app:* +@all -xadd -eval",
    ]);
    let why = reason(RedisOptions::new(format!("redis://app:x@127.0.0.1:{}", server.port())));
    assert_eq!(why, "the user lacks rights: `ACL SETUSER … +xadd +eval`");
}

#[test]
fn servers_that_will_not_do_are_named() {
    let server = RedisServer::start();
    let options = |path: &str| RedisOptions::new(server.url() + path);
    assert_eq!(reason(options("/99")), "it has no database of this number");
    let replica = RedisServer::with(&[&format!("--replicaof 127.0.0.1 {}", server.port())]);
    until("it replicates", || replica.ask(&["INFO", "replication"]).text().contains("master_link_status:up"));
    assert!(reason(RedisOptions::new(replica.url())).contains("replica"));
    let cluster = RedisServer::with(&["--cluster-enabled yes"]);
    assert!(reason(RedisOptions::new(cluster.url())).contains("cluster"));
    let nobody = RedisOptions::new(format!("redis://127.0.0.1:{}", redis_server::free_port()));
    assert!(reason(nobody).contains("nobody listens there"));
    let full = RedisServer::with(&["--maxclients 1"]);
    assert!(reason(RedisOptions::new(full.url())).contains("maxclients"));
}

#[test]
fn a_server_that_is_too_old_is_named() {
    let server = RedisServer::start();
    // What it says of itself to a client: in `INFO` Valkey has a version of Redis.
    let Reply::Array(hello) = server.ask(&["HELLO"]) else { panic!("a map") };
    let version = &hello[hello.iter().position(|field| field.text() == "version").unwrap() + 1].text();
    let old = format!("6{}", &version[1..]);
    let proxy = Proxy::before(server.port());
    proxy.rewrite(version.as_bytes(), old.as_bytes());
    assert_eq!(reason(RedisOptions::new(proxy.url())), format!("its version is {old}, and 7.0 or newer is needed"));
    // One that answers and will not do is an error also for who would wait for a server.
    assert!(reason(RedisOptions::new(proxy.url()).connect_lazily()).contains("7.0 or newer"));
    // The name of a command may be taken away on a server of any age.
    let lacking = RedisServer::with(&["--rename-command UNLINK x"]);
    let why = reason(RedisOptions::new(lacking.url()));
    assert!(why.contains("lacks a command") && why.contains("7.0 or newer") && why.contains("UNLINK"), "{why}");
}

#[test]
fn a_bus_that_takes_messages_and_delivers_none_is_named() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    // A push of a kind that nobody knows, instead of the message.
    proxy.rewrite(b"$7\r\nmessage\r\n", b"$7\r\nunheard\r\n");
    let why = reason(RedisOptions::new(proxy.url()).connect_timeout(Duration::from_millis(300)));
    assert!(why.contains("the bus is deaf") && why.contains("{hc:app:m}b0` and `{hc:app:0}b0"), "{why}");
}

#[test]
fn what_hangs_is_given_up_in_time() {
    let server = RedisServer::start();
    server.pause();
    let start = Ticks::start();
    let why = reason(RedisOptions::new(server.url()).connect_timeout(Duration::from_millis(200)));
    assert!(why.contains("200ms"), "{why}");
    assert!(start.elapsed() < SECOND);
}

#[test]
fn a_server_without_memory_serves_what_it_has_and_hears_evicts() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    let log = listen(&driver);
    block_on(async {
        let there = b"{hc:app:0}there".to_vec();
        driver.put(&there, &[], put(&value(1, b"v"), MINUTE), bump(1)).await.unwrap();
        driver.get_or_lease(KEY, &lease(5), 5 * SECOND, false).await.unwrap();
        server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
        let found = driver.get_or_lease(&there, &lease(2), SECOND, true).await.unwrap();
        assert_eq!(found.record, Some(value(1, b"v")));
        assert!(found.remaining.unwrap() > 59 * SECOND);
        assert_eq!(refused(driver.get_or_lease(b"{hc:app:0}absent", &lease(3), SECOND, true).await), "OOM");
        assert_eq!(refused(driver.fill(KEY, &lease(5), &value(5, b"v"), MINUTE, b"").await), "OOM");
        assert!(driver.fence().await.is_ok());
        assert_eq!(driver.evict(&[KEY.to_vec()], None, None, bump(2)).await.unwrap().0.number, 2);
        assert_eq!(driver.bump(Partition::Keys, bump(3)).await.unwrap().number, 3);
        // Writers keep their intents, and their number.
        let key = [KEY.to_vec()];
        driver.evict(&key, Some(1), Some((1, 5 * SECOND)), bump(6)).await.unwrap();
        driver.evict(&key, Some(2), Some((2, 5 * SECOND)), bump(7)).await.unwrap();
        driver.evict(&key, Some(1), None, bump(8)).await.unwrap();
        assert_eq!(driver.get(KEY, false).await.unwrap().record.map(|record| record.len()), Some(32));
        driver.clear("users", bump(4)).await.unwrap();
        // A put that finds no room removes what was there, and says so.
        let (mark, put) = driver.put(&there, &[], put(&value(2, b"w"), MINUTE), bump(5)).await.unwrap();
        assert_eq!((mark.number, put), (7, false));
        assert!(driver.get(&there, false).await.unwrap().record.is_none());
        driver.fence().await.unwrap();
    });
    assert_eq!(messages(&log, Partition::Keys).len(), 7);
    let health = driver.health();
    assert!(health.refused == 3 && !health.breaker_open, "{health:?}");
}

#[test]
fn a_foreign_type_under_a_key_is_a_refusal_until_it_is_evicted() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    block_on(async {
        server.ask(&["LPUSH", &String::from_utf8_lossy(KEY), "x"]);
        assert_eq!(refused(driver.get_or_lease(KEY, &lease(1), SECOND, true).await), "WRONGTYPE");
        assert_eq!(refused(driver.get(KEY, true).await), "WRONGTYPE");
        assert_eq!(refused(driver.fill(KEY, &lease(1), &value(1, b""), MINUTE, b"").await), "WRONGTYPE");
        let under_intent = |record| Put { ended: Some(1), ..put(record, MINUTE) };
        assert!(!driver.put(KEY, &[], under_intent(&value(1, b"")), bump(1)).await.unwrap().1);
        assert!(driver.get_or_lease(KEY, &lease(1), SECOND, true).await.unwrap().record.is_none());
    });
}

#[test]
fn a_master_that_becomes_a_replica_is_left_and_used_again_when_it_is_a_master() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    let log = listen(&driver);
    server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    assert_eq!(refused(block_on(driver.fence())), "READONLY");
    until("it is down", || log.lock().last() == Some(&Heard::Down));
    // The lanes learn it by their own writes; a read of a replica is not wrong, but nothing can be leased.
    let _ = block_on(driver.get_or_lease(KEY, &lease(1), SECOND, false));
    until("the commands are down too", || !driver.health().connected);
    server.ask(&["REPLICAOF", "NO", "ONE"]);
    until("it is up", || log.lock().last() == Some(&Heard::Up) && driver.health().connected);
    block_on(driver.fence()).unwrap();
}

#[test]
fn a_server_that_runs_a_script_without_end_is_busy_and_not_gone() {
    let server = RedisServer::with(&["--busy-reply-threshold 20"]);
    let driver = connect(&server.url());
    std::thread::scope(|scope| {
        scope.spawn(|| server.ask(&["EVAL", "while true do end", "0"]));
        until("it is busy", || block_on(driver.get(KEY, false)) == Err(Fault::Refused { code: "BUSY".to_owned() }));
        server.ask(&["SCRIPT", "KILL"]);
    });
    until("it is free", || block_on(driver.get(KEY, false)).is_ok());
}

#[test]
fn tls_with_an_authority_of_our_own_and_with_a_client_certificate() {
    let certificates = Certificates::new();
    for mutual in [false, true] {
        let server = RedisServer::with_tls(&certificates, mutual);
        let options = RedisOptions::new(server.tls_url());
        let strangers = Certificates::new();
        assert!(reason(options.clone()).contains("signed by nobody we trust"));
        assert!(reason(options.clone().ca(strangers.ca)).contains("signed by nobody we trust"));
        assert!(reason(options.clone().ca("no pem")).contains("certificate"));
        let (certificate, key) = certificates.client.clone();
        let trusting = options.ca(certificates.ca.clone());
        let shown = trusting.clone().client_certificate(certificate, key);
        if mutual {
            let why = reason(trusting);
            assert!(why.contains("client_certificate"), "{why}");
        } else {
            block_on(async { RedisDriver::connect("app", trusting).await.unwrap().fence().await.unwrap() });
        }
        let driver = block_on(RedisDriver::connect("app", shown)).unwrap();
        let log = listen(&driver);
        block_on(driver.evict(&[KEY.to_vec()], None, None, bump(1))).unwrap();
        block_on(driver.fence()).unwrap();
        assert_eq!(messages(&log, Partition::Keys).len(), 1);
        let plain = RedisOptions::new(format!("redis://localhost:{}", server.tls_url().rsplit(':').next().unwrap()));
        assert!(reason(plain).contains("rediss://"));
        let tls = RedisOptions::new(server.url().replace("redis://127.0.0.1", "rediss://localhost"));
        let why = reason(tls.ca(certificates.ca.clone()));
        assert!(why.contains("does not speak TLS on this port"), "{why}");
    }
    let shows = |server: &(String, String), what: &str| {
        let server = RedisServer::with_tls(&Certificates { server: server.clone(), ..certificates.clone() }, false);
        let why = reason(RedisOptions::new(server.tls_url()).ca(certificates.ca.clone()));
        assert!(why.starts_with(what), "{why}");
    };
    shows(&certificates.expired, "the certificate of the server has expired");
    // It names no host at all.
    shows(&certificates.client, "the certificate of the server is for another name than the URL's");
}

#[test]
fn what_is_no_redis_at_all_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut client, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let why = reason(RedisOptions::new(url));
    assert!(why.starts_with("what listens there does not speak the protocol of Redis"), "{why}");
}

#[test]
fn a_unix_socket_and_another_database() {
    let server = RedisServer::start();
    let driver = connect(&(server.unix_url() + "?db=3"));
    let (same, other) = (connect(&(server.url() + "/3")), connect(&server.url()));
    let (heard, unheard) = (listen(&same), listen(&other));
    block_on(async {
        driver.put(KEY, &[], put(&value(1, b"v"), MINUTE), bump(1)).await.unwrap();
        assert!(same.get(KEY, false).await.unwrap().record.is_some());
        assert!(other.get(KEY, false).await.unwrap().record.is_none());
        same.fence().await.unwrap();
        other.fence().await.unwrap();
    });
    assert_eq!(messages(&heard, Partition::Keys).len(), 1);
    assert!(messages(&unheard, Partition::Keys).is_empty(), "channels know no databases, and so their names do");
}

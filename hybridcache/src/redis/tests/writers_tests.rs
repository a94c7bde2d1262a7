//! Intents: who has begun to write a key, and what that keeps others from.

use super::*;

/// A writer that has these on `KEY`, and how it begins, evicts and puts.
struct Writer<'d>(&'d RedisDriver, u128);

impl Writer<'_> {
    async fn begin(&self) {
        self.begin_for(30 * SECOND).await;
    }

    async fn begin_for(&self, lives: Duration) {
        self.0.evict(&[KEY.to_vec()], Some(self.1), Some((self.1, lives)), bump(1)).await.unwrap();
    }

    /// Whether its intent stood until then.
    async fn evict(&self) -> bool {
        let (_, lost) = self.0.evict(&[KEY.to_vec()], Some(self.1), None, bump(2)).await.unwrap();
        !lost
    }

    async fn put(&self) -> bool {
        let record = value(self.1, b"");
        let put = Put { ended: Some(self.1), ..put(&record, MINUTE) };
        self.0.put(KEY, &[], put, bump(3)).await.unwrap().1
    }
}

/// Who has an intent on `KEY`, and whether it was touched.
fn writers(driver: &RedisDriver) -> (Vec<u128>, bool) {
    let Some(record) = block_on(driver.get(KEY, false)).unwrap().record else { return (Vec::new(), false) };
    assert!(matches!(Record::decode(&record), Ok(Record::Intent { .. })), "{record:?}");
    let writer = |entry: &[u8]| u128::from_be_bytes(entry[..16].try_into().unwrap());
    (record[8..].chunks(24).map(writer).collect(), record[4] == 1)
}

#[test]
fn an_intent_is_taken_away_by_its_writer_alone() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    let (a, b) = (Writer(&driver, 1), Writer(&driver, 2));
    block_on(async {
        a.begin().await;
        assert_eq!(writers(&driver), (vec![1], false));
        a.begin().await;
        assert_eq!(writers(&driver), (vec![1], false), "sent twice it is the same");
        b.begin().await;
        assert_eq!(writers(&driver), (vec![1, 2], true));
        // One that ends, whichever it is, leaves the other's.
        assert!(b.evict().await, "it stood");
        assert_eq!(writers(&driver), (vec![1], true));
        assert!(!b.evict().await, "it did no longer");
        assert_eq!(writers(&driver), (vec![1], true), "evicting twice is safe");
        // So do an evict and a put of somebody who has none.
        driver.evict(&[KEY.to_vec()], None, None, bump(4)).await.unwrap();
        assert!(!driver.put(KEY, &[], put(&value(9, b""), MINUTE), bump(5)).await.unwrap().1);
        assert_eq!(writers(&driver), (vec![1], true));
        assert!(driver.get_or_lease(KEY, &lease(3), SECOND, false).await.unwrap().record.is_some());
        assert!(a.evict().await);
        assert_eq!(writers(&driver), (vec![], false), "and then there is nothing");
        // What is lost is missed: one of several keys, and what says that there are any.
        let both = [KEY.to_vec(), b"{hc:app:0}other".to_vec()];
        for gone in [str::from_utf8(KEY).unwrap(), "{hc:app:0}other", "{hc:app:0}w"] {
            driver.evict(&both, Some(5), Some((5, SECOND)), bump(6)).await.unwrap();
            server.ask(&["DEL", gone]);
            assert!(driver.evict(&both, Some(5), None, bump(7)).await.unwrap().1, "{gone}");
        }
        driver.evict(&both, Some(5), Some((5, SECOND)), bump(6)).await.unwrap();
        assert!(!driver.evict(&both, Some(5), None, bump(7)).await.unwrap().1);
    });
}

#[test]
fn a_put_under_an_intent_is_put_only_if_nobody_else_touched_the_key() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    let (a, b) = (Writer(&driver, 1), Writer(&driver, 2));
    let there = || server.ask(&["EXISTS", str::from_utf8(KEY).unwrap()]).text() == "1";
    block_on(async {
        a.begin().await;
        assert!(a.put().await, "alone");
        assert_eq!(driver.get(KEY, false).await.unwrap().record, Some(value(1, b"")));
        assert!(!a.put().await && !there(), "without its intent");
        // The other began later and has ended: who is newest is not known.
        a.begin().await;
        b.begin().await;
        b.evict().await;
        assert!(!a.put().await && !there());
        // The same, and the other may yet write.
        a.begin().await;
        b.begin().await;
        assert!(!a.put().await);
        assert_eq!(writers(&driver), (vec![2], true));
        assert!(!b.put().await && !there(), "the last one did not begin alone");
        // Somebody who has none.
        a.begin().await;
        driver.evict(&[KEY.to_vec()], None, None, bump(4)).await.unwrap();
        assert!(!a.put().await && !there());
        a.begin().await;
        assert!(a.put().await, "and that is over then");
        // The server lost it.
        a.begin().await;
        server.ask(&["DEL", str::from_utf8(KEY).unwrap()]);
        assert!(!a.put().await && !there());
    });
}

#[test]
fn an_intent_ends_by_itself_and_by_its_own_time() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    let (a, b, c) = (Writer(&driver, 1), Writer(&driver, 2), Writer(&driver, 3));
    block_on(async {
        a.begin_for(200 * SECOND).await;
        b.begin_for(Duration::from_millis(20)).await;
        let looks: i64 = server.ask(&["PTTL", "{hc:app:0}w"]).text().parse().unwrap();
        assert!(looks > 190_000, "evicts look for as long as the longest: {looks}");
        let left = driver.get(KEY, true).await.unwrap().remaining.unwrap();
        assert!(left > 190 * SECOND, "the longest counts: {left:?}");
        std::thread::sleep(Duration::from_millis(30));
        c.begin_for(2 * SECOND).await;
        assert_eq!(writers(&driver), (vec![1, 3], true), "what is over goes when anybody comes");
        a.evict().await;
        let left = driver.get(KEY, true).await.unwrap().remaining.unwrap();
        assert!(left <= 2 * SECOND, "and what is left has its own end: {left:?}");
        until("the last one is over", || writers(&driver).0.is_empty());
        // There is no end to writers that die, and a bound on what is remembered of them.
        for writer in 1..=40 {
            Writer(&driver, writer).begin().await;
        }
        let (all, touched) = writers(&driver);
        assert!(touched && all.len() <= 33 && all.contains(&40) && !all.contains(&1), "{all:?}");
        for writer in 1..=40 {
            assert!(Writer(&driver, writer).evict().await, "it may be one of those");
        }
        assert_eq!(writers(&driver), (vec![u128::MAX], true), "those that are forgotten keep it to their end");
    });
}

#[test]
fn a_key_that_settles_is_put_and_not_filled() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    let a = Writer(&driver, 1);
    let key = [KEY.to_vec()];
    let settle = Some((SETTLING, 5 * SECOND));
    block_on(async {
        driver.evict(&key, None, settle, bump(1)).await.unwrap();
        driver.evict(&key, None, settle, bump(2)).await.unwrap();
        assert_eq!(writers(&driver), (vec![SETTLING], false));
        assert!(driver.get_or_lease(KEY, &lease(3), SECOND, false).await.unwrap().record.is_some());
        assert!(driver.put(KEY, &[], put(&value(9, b""), MINUTE), bump(3)).await.unwrap().1);
        driver.evict(&key, None, settle, bump(4)).await.unwrap();
        a.begin().await;
        assert_eq!(writers(&driver), (vec![SETTLING, 1], false));
        assert!(a.put().await, "nobody else writes");
        // A writer that ends, and one whose put is refused, let it settle.
        a.begin().await;
        driver.evict(&key, Some(1), settle, bump(5)).await.unwrap();
        assert_eq!(writers(&driver), (vec![SETTLING], false));
        server.ask(&["DEL", str::from_utf8(KEY).unwrap()]);
        let record = value(1, b"");
        let refused = Put { record: &record, lives: MINUTE, ended: Some(1), settle: 5 * SECOND };
        assert!(!driver.put(KEY, &[], refused, bump(6)).await.unwrap().1);
        assert_eq!(writers(&driver), (vec![SETTLING], false));
    });
}

#[test]
fn what_looks_like_an_intent_and_is_none_holds_no_evict_up() {
    let server = RedisServer::start();
    let driver = connect(&server.url());
    let head = [0xC1, b'h', 1, 4];
    // Only then is it looked at.
    block_on(driver.evict(&[b"{hc:app:0}other".to_vec()], None, Some((7, 60 * SECOND)), bump(1))).unwrap();
    for garbage in [&[][..], &[0; 3], &[0; 10], &[0xff; 28], &[0xff; 30], &[0xff; 100]] {
        let record = [&head, garbage].concat();
        server.ask(&[&b"SET"[..], KEY, &record]);
        block_on(driver.evict(&[KEY.to_vec()], None, None, bump(1))).unwrap();
        assert_eq!(server.ask(&[&b"EXISTS"[..], KEY]).text(), "0", "{garbage:?}");
    }
}

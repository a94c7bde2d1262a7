//! What each verb of a cache does, and what it counts.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use hybridcache::{Cache, Evicted, Outcome, Share, Tier};
use hybridcache_tests::{Gate, Runs, block_on, poll_once};

fn cache() -> Cache<u64, u64> {
    Cache::builder("verbs").build().unwrap()
}

#[tokio::test]
async fn get_counts_a_hit_or_a_miss_and_peek_counts_nothing() {
    let cache = cache();
    assert_eq!(cache.get(&1).await, None);
    assert_eq!(cache.peek(&1).await, None);
    assert!(!cache.contains(&1).await);
    cache.insert(&1, 10).await.unwrap();
    assert_eq!(cache.get(&1).await, Some(10));
    assert_eq!(cache.peek(&1).await, Some(10));
    assert!(cache.contains(&1).await);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.loads, stats.entries, stats.weight), (1, 1, 0, 1, 1));
    assert!((stats.hit_ratio() - 0.5).abs() < f64::EPSILON);
}

#[tokio::test]
async fn the_second_call_is_a_hit() {
    let (cache, runs) = (cache(), Runs::default());
    for _ in 0..3 {
        assert_eq!(cache.get_or_load(&7, || async { runs.run() * 100 }).await, 100);
    }
    assert_eq!(runs.count(), 1);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.loads, stats.load_failures), (2, 1, 1, 0));
    assert_eq!(stats.load_latency.count(), 1);
}

#[tokio::test]
async fn each_kind_of_return_type_is_read_through() {
    let (cache, runs) = (cache(), Runs::default());
    let run = |key: u64| {
        runs.run();
        key * 10
    };
    assert_eq!(cache.get_or_load(&1, || async { run(1) }).await, 10);
    assert_eq!(cache.get_or_load(&2, || async { Some(run(2)) }).await, Some(20));
    assert_eq!(cache.get_or_load(&3, || async { Ok::<_, io::Error>(run(3)) }).await.unwrap(), 30);
    assert_eq!(cache.get_or_load(&4, || async { Ok::<_, io::Error>(Some(run(4))) }).await.unwrap(), Some(40));
    // What is kept is the value: whoever asks gets it in the form of its own function.
    assert_eq!(cache.get_or_load(&1, || async { Ok::<_, io::Error>(Some(0)) }).await.unwrap(), Some(10));
    assert_eq!(cache.get_or_load(&4, || async { 0 }).await, 40);
    assert_eq!(runs.count(), 4);
}

#[tokio::test]
async fn an_option_can_be_the_value_itself() {
    let cache: Cache<u64, Option<u64>> = Cache::builder("whole").build().unwrap();
    let runs = Runs::default();
    for _ in 0..2 {
        let loaded: Result<Option<u64>, String> = cache
            .fetch(&1)
            .load(Share::<String>::none(), |_| async {
                runs.run();
                Ok::<Option<u64>, String>(None)
            })
            .await
            .result;
        assert_eq!(loaded, Ok(None));
    }
    assert_eq!(runs.count(), 1, "the whole `Option` is what is kept");
}

#[tokio::test]
async fn failures_and_nothing_are_loaded_again() {
    let (cache, runs) = (cache(), Runs::default());
    for _ in 0..2 {
        let failed: Result<u64, String> = cache
            .get_or_load(&1, || async {
                runs.run();
                Err("down".to_owned())
            })
            .await;
        assert_eq!(failed, Err("down".to_owned()));
        let nothing: Option<u64> = cache
            .get_or_load(&2, || async {
                runs.run();
                None
            })
            .await;
        assert_eq!(nothing, None);
    }
    assert_eq!(runs.count(), 4);
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.load_failures, stats.misses, stats.entries), (4, 2, 4, 0));
}

#[tokio::test]
async fn fetch_says_how_it_was_answered() {
    let cache: Cache<u64, u64> = Cache::builder("outcomes").cache_none(true).build().unwrap();
    let fetched = cache.fetch(&1).load(Share::none(), |_| async { 10 }).await;
    assert_eq!((fetched.result, fetched.outcome, fetched.tier), (10, Outcome::Loaded, Tier::Source));
    let fetched = cache.fetch(&1).load(Share::none(), |_| async { 11 }).await;
    assert_eq!((fetched.result, fetched.outcome, fetched.tier), (10, Outcome::Hit, Tier::Memory));
    let fetched = cache.fetch(&1).bypass_if(true).load(Share::none(), |_| async { 12 }).await;
    assert_eq!((fetched.result, fetched.outcome, fetched.tier), (12, Outcome::Bypassed, Tier::Source));
    let fetched = cache.fetch(&1).bypass_if(false).load(Share::none(), |_| async { 13 }).await;
    assert_eq!((fetched.result, fetched.outcome), (10, Outcome::Hit));
    let fetched = cache.fetch(&1).reload().load(Share::none(), |_| async { 14 }).await;
    assert_eq!((fetched.result, fetched.outcome), (14, Outcome::Loaded));
    for outcome in [Outcome::Loaded, Outcome::Negative] {
        let fetched = cache.fetch(&2).load(Share::none(), |_| async { None }).await;
        assert_eq!((fetched.result, fetched.outcome), (None::<u64>, outcome));
    }
    assert_eq!(cache.stats().bypassed, 1);
}

#[tokio::test]
async fn a_bypass_neither_looks_nor_keeps() {
    let cache = cache();
    let loaded = cache.fetch(&1).bypass_if(true).load(Share::none(), |_| async { 5 }).await.result;
    assert_eq!((loaded, cache.peek(&1).await), (5, None));
    let stats = cache.stats();
    assert_eq!((stats.bypassed, stats.hits, stats.misses, stats.loads), (1, 0, 0, 0));
}

#[tokio::test]
async fn get_many_answers_in_the_order_of_the_keys() {
    let cache = cache();
    cache.insert(&1, 10).await.unwrap();
    cache.insert(&3, 30).await.unwrap();
    assert_eq!(cache.get_many(&[3, 2, 1, 3]).await, [Some(30), None, Some(10), Some(30)]);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses), (3, 1));
}

#[tokio::test]
async fn a_batch_loads_what_is_missing_in_one_call_and_keeps_it() {
    let (cache, runs) = (cache(), Runs::default());
    cache.insert(&2, 20).await.unwrap();
    let found = cache
        .get_many_or_load(&[1, 2, 3, 4], |missing| {
            runs.run();
            assert_eq!(missing, [1, 3, 4]);
            async { Ok::<_, String>(HashMap::from([(1, 10), (3, 30), (99, 990)])) }
        })
        .await;
    assert_eq!(found, Ok(vec![Some(10), Some(20), Some(30), None]));
    assert_eq!(cache.get_many(&[1, 2, 3, 4, 99]).await, [Some(10), Some(20), Some(30), None, None]);
    let again = cache.get_many_or_load(&[3, 1], |_| async { Err("not to be called") }).await;
    assert_eq!(again, Ok(vec![Some(30), Some(10)]));
    assert_eq!((runs.count(), cache.stats().loads), (1, 1));
}

#[tokio::test]
async fn a_batch_with_a_key_twice_loads_it_once_and_answers_both() {
    let cache = cache();
    let found = cache
        .get_many_or_load(&[5, 6, 5, 5], |missing| async move {
            assert_eq!(missing, [5, 6]);
            Ok::<_, String>(missing.into_iter().map(|key| (key, key * 2)).collect())
        })
        .await;
    assert_eq!(found, Ok(vec![Some(10), Some(12), Some(10), Some(10)]));
    assert_eq!((cache.len(), cache.stats().evictions.replaced), (2, 0));
}

#[tokio::test]
async fn a_batch_keeps_nothing_as_an_answer_if_asked_to() {
    let cache: Cache<u64, u64> = Cache::builder("nothing").cache_none(true).build().unwrap();
    cache.get_or_load(&1, || async { None::<u64> }).await;
    for missing in [vec![2, 3], vec![]] {
        let found = cache.get_many_or_load(&[1, 2, 3], async |keys| {
            assert_eq!(keys, missing);
            Ok::<_, String>(HashMap::from([(3, 30)]))
        });
        assert_eq!(found.await, Ok(vec![None, None, Some(30)]));
    }
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.loads), (4, 3, 2));
    assert_eq!((cache.get_many(&[1, 2]).await, cache.stats().hits), (vec![None, None], 6), "it is an answer");
}

#[tokio::test]
async fn a_batch_that_fails_keeps_nothing() {
    let cache = cache();
    let failed = cache.get_many_or_load(&[1, 2], |_| async { Err::<HashMap<u64, u64>, _>("down") }).await;
    assert_eq!(failed, Err("down"));
    assert_eq!((cache.len(), cache.stats().load_failures), (0, 1));
}

#[tokio::test]
async fn an_evict_put_or_clear_during_a_batch_is_not_undone_by_it() {
    for write in ["evict", "put", "clear"] {
        let (cache, gate) = (cache(), Gate::default());
        let mut batch: Pin<Box<dyn Future<Output = _> + '_>> = Box::pin(cache.get_many_or_load(&[1], |_| async {
            gate.pass().await;
            Ok::<_, String>(HashMap::from([(1, 10)]))
        }));
        assert!(poll_once(&mut batch).is_pending());
        match write {
            "evict" => assert!(cache.evict(&1).await.is_ok()),
            "put" => cache.insert(&1, 11).await.unwrap(),
            _ => assert!(cache.clear().await.is_ok()),
        }
        gate.open();
        assert_eq!(batch.await, Ok(vec![Some(10)]), "{write}: whoever asked gets what was loaded");
        assert_eq!(cache.peek(&1).await, (write == "put").then_some(11), "{write}");
    }
}

#[tokio::test]
async fn a_load_that_a_batch_overtakes_does_not_take_its_place() {
    let cache = cache();
    let load = cache.get_or_load(&1, || async {
        let batch = cache.get_many_or_load(&[1], |_| async { Ok::<_, String>(HashMap::from([(1, 11)])) });
        assert_eq!(batch.await, Ok(vec![Some(11)]));
        10
    });
    assert_eq!(load.await, 10);
    assert_eq!(cache.get(&1).await, Some(11));
}

#[tokio::test]
async fn refresh_replaces_what_is_there() {
    let cache = cache();
    cache.insert(&1, 10).await.unwrap();
    assert_eq!(cache.refresh(&1, || async { 11 }).await, 11);
    assert_eq!(cache.peek(&1).await, Some(11));
    assert_eq!(cache.stats().evictions.replaced, 1);
    assert_eq!(cache.refresh(&2, || async { 20 }).await, 20);
    assert_eq!(cache.peek(&2).await, Some(20), "and loads what is not there");
}

#[tokio::test]
async fn a_refresh_that_fails_keeps_what_is_there_and_one_that_finds_nothing_removes_it() {
    let cache = cache();
    cache.insert(&1, 10).await.unwrap();
    assert_eq!(cache.refresh(&1, || async { Err::<u64, _>("down") }).await, Err("down"));
    assert_eq!(cache.peek(&1).await, Some(10));
    assert_eq!(cache.refresh(&1, || async { None::<u64> }).await, None);
    assert_eq!(cache.peek(&1).await, None);
}

#[tokio::test]
async fn a_refresh_that_fails_keeps_the_value_though_errors_are_cached() {
    let cache: Cache<u64, u64> = Cache::builder("kept errors").cache_err(true).build().unwrap();
    cache.insert(&1, 10).await.unwrap();
    let failed = cache.fetch(&1).reload().load(Share::cloned(), |_| async { Err::<u64, _>("down") }).await;
    assert_eq!(failed.result, Err("down"));
    assert_eq!(cache.peek(&1).await, Some(10), "on an error what was there stays");
}

#[tokio::test]
async fn whoever_hits_during_a_refresh_keeps_hitting() {
    let (cache, gate) = (cache(), Gate::default());
    cache.insert(&1, 10).await.unwrap();
    let mut refresh = Box::pin(cache.refresh(&1, || gate.then(11)));
    assert!(poll_once(&mut refresh).is_pending());
    assert_eq!(cache.get_or_load(&1, || async { 99 }).await, 10);
    gate.open();
    assert_eq!(refresh.await, 11);
    assert_eq!(cache.get_or_load(&1, || async { 99 }).await, 11);
}

#[tokio::test]
async fn evict_and_clear_say_that_they_are_in_effect() {
    let cache = cache();
    for key in 0..5_u64 {
        cache.insert(&key, key).await.unwrap();
    }
    assert_eq!(cache.evict(&0).await, Ok(Evicted::Acknowledged));
    assert_eq!(cache.evict(&99).await, Ok(Evicted::Acknowledged), "what is absent is evicted");
    assert_eq!(cache.evict_many(&[1, 2]).await, Ok(Evicted::Acknowledged));
    assert_eq!(cache.get_many(&[0, 1, 2, 3, 4]).await, [None, None, None, Some(3), Some(4)]);
    assert_eq!(cache.clear().await, Ok(Evicted::Acknowledged));
    assert_eq!(cache.get_many(&[3, 4]).await, [None, None]);
    assert!(cache.is_empty());
    assert_eq!(cache.stats().evictions.explicit, 5);
    cache.insert(&3, 33).await.unwrap();
    assert_eq!(cache.get(&3).await, Some(33), "a cleared cache goes on");
}

#[tokio::test]
async fn a_clear_that_is_dropped_midway_has_cleared_all_the_same() {
    let cache: Cache<u64, u64> = Cache::builder("slices").capacity(20_000).build().unwrap();
    for key in 0..5_000_u64 {
        cache.insert(&key, key).await.unwrap();
    }
    let mut clear = Box::pin(cache.clear());
    assert_eq!(poll_once(&mut clear), Poll::Pending, "memory is freed in slices");
    drop(clear);
    assert!(!cache.is_empty(), "so that some is left");
    for key in 0..5_000_u64 {
        assert_eq!(cache.get(&key).await, None);
    }
    cache.insert(&1, 11).await.unwrap();
    assert_eq!(cache.get(&1).await, Some(11));
    cache.clear().await.unwrap();
    assert!(cache.is_empty());
}

#[test]
fn the_verbs_as_plain_functions_are_the_same() {
    let cache = cache();
    let plain = cache.blocking();
    assert_eq!(plain.get(&1), None);
    plain.insert(&1, 10).unwrap();
    assert_eq!((plain.get(&1), plain.peek(&1), plain.contains(&1)), (Some(10), Some(10), true));
    assert_eq!(plain.get_or_load(&1, || 0), 10);
    assert_eq!(plain.get_or_load(&2, || Ok::<_, String>(20)), Ok(20));
    assert_eq!(plain.get_or_load(&3, || None::<u64>), None);
    assert_eq!(
        plain.get_or_load_with(&4, |context| {
            context.do_not_keep();
            40
        }),
        40
    );
    assert!(!plain.contains(&4));
    assert_eq!(plain.refresh(&2, || 21), 21);
    plain.write(&2).unwrap().put_blocking(22).unwrap();
    assert_eq!(plain.peek(&2), Some(22));
    assert_eq!(plain.evict(&1), Ok(Evicted::Acknowledged));
    assert_eq!(plain.evict_many(&[2]), Ok(Evicted::Acknowledged));
    assert!(cache.is_empty());
    plain.insert_with(&1, 1, |context| context.do_not_keep()).unwrap();
    let load = |keys: Vec<u64>| Ok::<_, String>(keys.into_iter().map(|key| (key, key * 10)).collect());
    assert_eq!(plain.get_many_or_load(&[1, 2], load), Ok(vec![Some(10), Some(20)]));
    assert_eq!(plain.guarded_write([&1], || 7), Ok(7));
    assert_eq!(plain.get_many(&[1, 2]), [None, Some(20)]);
    assert_eq!(plain.clear(), Ok(Evicted::Acknowledged));
    assert!(cache.is_empty());
    assert_eq!(block_on(cache.get(&1)), None);
}

#[tokio::test]
async fn clones_are_the_same_cache() {
    let cache = cache();
    let clone = cache.clone();
    cache.insert(&1, 10).await.unwrap();
    assert_eq!(clone.get(&1).await, Some(10));
    assert_eq!(cache.stats(), clone.stats());
    assert_eq!((clone.name(), clone.version()), ("verbs", 1));
}

#[tokio::test]
async fn keys_are_asked_for_in_their_borrowed_form() {
    let texts: Cache<String, u8> = Cache::builder("texts").build().unwrap();
    texts.insert("a", 1).await.unwrap();
    assert_eq!(texts.get("a").await, Some(1));
    assert_eq!(texts.get(&"a".to_owned()).await, Some(1));

    let bytes: Cache<Vec<u8>, u8> = Cache::builder("bytes").build().unwrap();
    bytes.insert(&[1_u8, 2][..], 1).await.unwrap();
    assert_eq!(bytes.get(&[1_u8, 2][..]).await, Some(1));
    assert_eq!(bytes.get(&[][..]).await, None);

    let pairs: Cache<(String, u64), u8> = Cache::builder("pairs").build().unwrap();
    pairs.insert(("a", &1), 1).await.unwrap();
    assert_eq!((pairs.get(("a", &1)).await, pairs.get(("a", &2)).await), (Some(1), None));

    let options: Cache<Option<String>, u8> = Cache::builder("options").build().unwrap();
    options.insert(None::<&str>, 1).await.unwrap();
    options.insert(Some(""), 2).await.unwrap();
    assert_eq!((options.get(None::<&str>).await, options.get(Some("")).await), (Some(1), Some(2)));

    let unit: Cache<(), u8> = Cache::builder("unit").build().unwrap();
    unit.insert((), 1).await.unwrap();
    assert_eq!(unit.get(()).await, Some(1));
}

#[tokio::test]
async fn nothing_is_kept_as_an_answer_if_asked_to() {
    let cache: Cache<u64, u64> = Cache::builder("nothing").cache_none(true).build().unwrap();
    let runs = Runs::default();
    let load = || {
        cache.fetch(&1).load(Share::none(), |_| async {
            runs.run();
            None::<u64>
        })
    };
    assert_eq!(load().await.outcome, Outcome::Loaded);
    assert_eq!(load().await.outcome, Outcome::Negative);
    assert_eq!((runs.count(), cache.stats().hits), (1, 1));
    assert_eq!((cache.get(&1).await, cache.contains(&1).await), (None, false), "nothing is no value");
    // A function that cannot say «nothing» loads.
    assert_eq!(cache.get_or_load(&1, || async { 10 }).await, 10);
    assert_eq!(load().await.result, Some(10), "and what it loaded takes the place of nothing");
}

#[tokio::test]
async fn errors_are_kept_as_answers_if_asked_to_and_if_they_can_be_handed_out() {
    let cache: Cache<u64, u64> = Cache::builder("errors").cache_err(true).build().unwrap();
    let runs = Runs::default();
    for outcome in [Outcome::Loaded, Outcome::Negative, Outcome::Negative] {
        let fetched =
            cache.fetch(&1).load(Share::cloned(), |_| async { Err::<u64, _>(format!("failure {}", runs.run())) }).await;
        assert_eq!((fetched.result, fetched.outcome), (Err("failure 1".to_owned()), outcome));
    }
    assert_eq!(runs.count(), 1);
    for _ in 0..2 {
        let unshared = cache.get_or_load(&2, || async { Err::<u64, _>(runs.run()) }).await;
        assert!(unshared.is_err());
    }
    assert_eq!(runs.count(), 3, "an error that nobody else can have is loaded again");
    cache.evict(&1).await.unwrap();
    let loaded = cache.fetch(&1).load(Share::cloned(), |_| async { Ok::<u64, String>(10) }).await;
    assert_eq!((loaded.result, loaded.outcome), (Ok(10), Outcome::Loaded));
}

#[tokio::test]
async fn a_kept_error_is_not_for_a_function_with_another_error_type() {
    let cache: Cache<u64, u64> = Cache::builder("two error types").cache_err(true).build().unwrap();
    let failed = cache.fetch(&1).load(Share::cloned(), |_| async { Err::<u64, _>("text".to_owned()) }).await;
    assert!(failed.result.is_err());
    let other = cache.fetch(&1).load(Share::cloned(), |_| async { Ok::<u64, u8>(7) }).await;
    assert_eq!(other.result, Ok(7), "it loads by itself");
}

#[tokio::test]
async fn store_if_chooses_what_is_kept() {
    let cache: Cache<u64, u64> = Cache::builder("even only").store_if(|value| value % 2 == 0).build().unwrap();
    assert_eq!(cache.get_or_load(&1, || async { 1 }).await, 1);
    assert_eq!(cache.get_or_load(&2, || async { 2 }).await, 2);
    cache.insert(&3, 3).await.unwrap();
    assert_eq!(cache.get_many(&[1, 2, 3]).await, [None, Some(2), None]);
    cache.insert(&2, 5).await.unwrap();
    assert_eq!(cache.peek(&2).await, None, "a put that is not kept leaves no old value behind");
}

#[tokio::test]
async fn a_loader_may_say_that_its_value_is_not_to_be_kept() {
    let cache: Cache<u64, u64> = Cache::builder("not kept").cache_none(true).cache_err(true).build().unwrap();
    let load = |key: u64| async move { key };
    let loaded = cache
        .get_or_load_with(&1, |context| {
            context.do_not_keep();
            load(1)
        })
        .await;
    assert_eq!((loaded, cache.len()), (1, 0));
    let nothing: Option<u64> = cache
        .get_or_load_with(&2, |context| async move {
            context.do_not_keep();
            None
        })
        .await;
    assert_eq!((nothing, cache.len()), (None, 0));
    let fetched = cache
        .fetch(&3)
        .load(Share::cloned(), |context| async move {
            context.do_not_keep();
            Err::<u64, _>("down")
        })
        .await;
    assert_eq!((fetched.result, cache.len()), (Err("down"), 0));
    let inserted = cache.insert_with(&4, 40, |context| context.do_not_keep()).await;
    assert_eq!((inserted, cache.len()), (Ok(()), 0));
}

//! What a builder and a manager say about the options of remote tiers. No server is asked.

use std::time::Duration;

use hybridcache::codec::{Compression, Json, MsgPack};
use hybridcache::{
    Builder, Cache, CacheManager, Clock, Consistency, ErrorKind, ManagerBuilder, OnOutage, Policy, SingleFlight,
};
use hybridcache_tests::on_tokio;

const MINUTE: Duration = Duration::from_secs(60);

fn users() -> Builder<u64, String> {
    Cache::builder("users")
}

fn hybrid() -> Builder<u64, String> {
    users().ttl(MINUTE).hybrid(MsgPack)
}

/// The option that is at fault, and what is said about it.
#[track_caller]
fn refused(builder: Builder<u64, String>) -> (&'static str, String) {
    let error = builder.build().expect_err("an option is refused");
    match error.kind() {
        ErrorKind::Option { option, reason, .. } => (option, reason.clone()),
        other => panic!("expected an option to be refused, got {other:?}"),
    }
}

#[test]
fn a_remote_tier_wants_to_hear_how_long() {
    let (option, reason) = refused(users().hybrid(MsgPack));
    assert_eq!(option, "ttl");
    assert!(reason.contains("`forever()`"), "{reason}");
    for builder in [users().ttl(MINUTE), users().sliding(MINUTE), users().forever()] {
        assert!(builder.redis(Json).build().is_ok());
    }
    assert_eq!(refused(users().ttl(MINUTE).forever()).0, "ttl");
    assert!(users().forever().build().is_ok(), "in memory it goes without saying");
}

#[test]
fn an_option_of_a_remote_tier_needs_one() {
    type Say = fn(Builder<u64, String>) -> Builder<u64, String>;
    let options: [(&str, Say); 9] = [
        ("compress", |users| users.compress(Compression::lz4())),
        ("consistency", |users| users.consistency(Consistency::Bounded)),
        ("single_flight", |users| users.single_flight(SingleFlight::Fleet)),
        ("lease", |users| users.lease(MINUTE)),
        ("settle", |users| users.settle(MINUTE)),
        ("degraded_ttl", |users| users.degraded_ttl(MINUTE)),
        ("max_disconnected", |users| users.max_disconnected(MINUTE)),
        ("on_outage", |users| users.on_outage(OnOutage::Fail)),
        ("max_value_bytes", |users| users.max_value_bytes(1)),
    ];
    for (option, say) in options {
        let (at_fault, reason) = refused(say(users()));
        assert_eq!(at_fault, option);
        assert!(reason.contains("add `hybrid(codec)`"), "{reason}");
    }
}

#[test]
fn all_options_go_together_in_any_order() {
    let before = users().lease(MINUTE).settle(Duration::ZERO).compress(Compression::zstd().min(10)).ttl(MINUTE);
    let after = before.hybrid(MsgPack).degraded_ttl(MINUTE).max_value_bytes(u64::MAX).on_outage(OnOutage::Queue);
    let eventual = after.consistency(Consistency::Eventual).max_disconnected(MINUTE);
    assert!(eventual.build().is_ok());
}

#[test]
fn an_option_of_memory_needs_some() {
    type Say = fn(Builder<u64, String>) -> Builder<u64, String>;
    let options: [(&str, Say); 9] = [
        ("capacity", |users| users.capacity(10)),
        ("max_weight", |users| users.max_weight(10).weigher(|_, _| 1)),
        ("max_entry_weight", |users| users.max_entry_weight(10)),
        ("policy", |users| users.policy(Policy::S3Fifo)),
        ("on_eviction", |users| users.on_eviction(|_, _, _| ())),
        ("sweep_interval", |users| users.sweep_interval(MINUTE)),
        ("refresh_ahead", |users| users.refresh_ahead(0.5)),
        ("degraded_ttl", |users| users.degraded_ttl(MINUTE)),
        ("max_disconnected", |users| users.consistency(Consistency::Eventual).max_disconnected(MINUTE)),
    ];
    for (option, say) in options {
        let (at_fault, reason) = refused(say(users()).ttl(MINUTE).redis(MsgPack));
        assert_eq!(at_fault, option);
        assert!(reason.contains("use `hybrid`"), "{reason}");
        if option != "max_entry_weight" {
            assert!(say(hybrid()).build().is_ok(), "{option}");
        }
    }
}

#[test]
fn what_could_not_work_is_refused() {
    let short = Duration::from_micros(999);
    assert_eq!(refused(hybrid().lease(Duration::from_millis(149))).0, "lease");
    assert!(hybrid().lease(Duration::from_millis(150)).build().is_ok());
    assert_eq!(refused(hybrid().degraded_ttl(Duration::ZERO)).0, "degraded_ttl");
    assert_eq!(refused(hybrid().settle(short)).0, "settle");
    assert_eq!(refused(users().ttl(short).hybrid(MsgPack)).0, "ttl");
    assert_eq!(refused(hybrid().none_ttl(short)).0, "none_ttl");
    assert_eq!(refused(hybrid().max_value_bytes(0)).0, "max_value_bytes");
    assert_eq!(refused(hybrid().max_disconnected(MINUTE)).0, "max_disconnected");
    assert_eq!(refused(hybrid().clock(Clock::manual())).0, "clock");
    assert!(hybrid().clock(Clock::precise()).build().is_ok());
}

#[test]
fn a_name_is_part_of_each_key() {
    let (longest, too_long) = ("x".repeat(1 << 10), "x".repeat((1 << 10) + 1));
    assert!(Cache::<u64, String>::builder(longest).ttl(MINUTE).hybrid(MsgPack).build().is_ok());
    for name in ["", "*", &too_long] {
        let builder: Builder<u64, String> = Cache::builder(name.to_owned());
        assert_eq!(refused(builder.ttl(MINUTE).hybrid(MsgPack)).0, "name");
        let in_memory: Builder<u64, String> = Cache::builder(name.to_owned());
        assert!(in_memory.build().is_ok());
    }
}

#[test]
fn a_manager_fits_three_heartbeats_into_its_bound() {
    async fn refused(manager: ManagerBuilder) -> Option<&'static str> {
        match manager.build().await.err()?.kind() {
            ErrorKind::Option { option, .. } => Some(option),
            _ => None,
        }
    }
    on_tokio(1, async || {
        let manager = CacheManager::builder;
        assert_eq!(refused(manager().staleness_bound(Duration::from_millis(39))).await, Some("staleness_bound"));
        assert_eq!(refused(manager().staleness_bound(Duration::from_millis(40))).await, None);
        assert_eq!(refused(manager().heartbeat(Duration::from_millis(667))).await, Some("heartbeat"));
        assert_eq!(refused(manager().heartbeat(Duration::from_millis(666))).await, None);
        assert_eq!(refused(manager().heartbeat(Duration::from_millis(9))).await, Some("heartbeat"));
    });
}

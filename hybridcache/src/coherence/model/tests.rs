use std::env;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries};

use super::*;

struct Run {
    states: usize,
    found: Vec<&'static str>,
    reached: BTreeMap<&'static str, u64>,
}

fn check(name: &str, config: Config) -> Run {
    let start = Instant::now();
    let checker = Fleet::new(config).checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!("{name}: {} states, depth {}, {:?}", checker.unique_state_count(), checker.max_depth(), start.elapsed());
    let mut found = Vec::new();
    for (property, path) in checker.discoveries() {
        println!("    {property}: {:?}", path.into_actions());
        found.push(property);
    }
    let reached = checker.model().reached.lock().unwrap().clone();
    Run { states: checker.unique_state_count(), found, reached }
}

/// Every reachable state keeps every promise, and these things happened on the way.
#[track_caller]
fn holds(name: &str, config: Config, reaches: &[&str]) {
    let run = check(name, config);
    assert_eq!(run.found, [] as [&str; 0], "{name}");
    assert!(run.states > 1_000, "{name}: {}", run.states);
    let reads: &[&str] = if config.flights > 0 { READS } else { &[] };
    for what in reaches.iter().chain(reads) {
        assert!(run.reached.contains_key(what), "{name} never reached: {what}");
    }
}

/// Without this rule, this promise is not kept.
#[track_caller]
fn breaks(rule: Broken, config: Config, promise: &str) {
    let run = check(&format!("{rule:?}"), Config { broken: Some(rule), ..config });
    assert!(run.found.contains(&promise), "{rule:?} should break {promise}, not {:?}", run.found);
}

const READS: &[&str] =
    &["memory answers", "memory answers with a newer version", "a flight is joined", "a result is not kept"];

/// Another node writes once, and nothing fails.
const QUIET: Config = Config {
    own: false,
    others: false,
    loss: false,
    reorder: false,
    key_loss: false,
    take_over: false,
    messages: 2,
    ..Config::new(Kind::Evict)
};
const OWN: Config = Config { own: true, other: false, ..QUIET };
const LOSS: Config = Config { loss: true, messages: 1, ..QUIET };
const CLEAR: Config = Config { kind: Kind::Clear, ..QUIET };
const FAILOVER: Config = Config { failovers: 1, ..QUIET };

#[test]
fn holds_while_messages_are_lost_and_overtake_one_another() {
    holds("loss", LOSS, &["the floor is raised"]);
    holds("disorder", Config { reorder: true, ..LOSS }, &["the floor is raised"]);
    holds("log", Config { log: true, ..LOSS }, &["the log fills a hole"]);
    holds("own, loss", Config { loss: true, messages: 1, ..OWN }, &["the floor is raised"]);
    holds("own, new connections", Config { reconnect: true, messages: 1, ..OWN }, &["a reply of a dead generation"]);
}

#[test]
fn holds_while_keys_are_lost_and_leases_taken_over() {
    let config = Config { key_loss: true, take_over: true, ..LOSS };
    holds("key loss, take-over", config, &[]);
    let others = Config { others: true, take_over: true, loss: false, ..config };
    holds("other loaders", others, &["a load has no right to fill"]);
}

#[test]
fn holds_for_clears_and_lost_floors() {
    holds("clear", Config { loss: true, ..CLEAR }, &["a dead record is found"]);
    holds("own clear", Config { own: true, other: false, messages: 1, ..CLEAR }, &["a dead record is found"]);
    holds("lost floors", Config { floors_lost: 1, messages: 1, ..CLEAR }, &["a dead record is found"]);
}

#[test]
fn holds_for_guarded_writes_puts_and_deferred_evictions() {
    holds("guarded", Config { kind: Kind::Guarded, dies: true, ..QUIET }, &["an intent outlives its writer"]);
    holds("put", Config { kind: Kind::Put, ..OWN }, &["a put is acknowledged"]);
    holds("deferred", Config { defer: true, ..OWN }, &["an eviction is deferred"]);
}

/// Two writers, of which one may die, and a reader of another node: what the remote tier holds is what is at stake.
const WRITERS: Config = Config {
    kind: Kind::Guarded,
    own: true,
    dies: true,
    writes: 2,
    messages: 4,
    ticks: false,
    bus: false,
    defer: true,
    flights: 0,
    others: true,
    key_loss: true,
    take_over: true,
    ..QUIET
};

/// Two writers that put, and reads of one of them.
const PUTS: Config = Config {
    kind: Kind::Put,
    dies: false,
    bus: true,
    defer: false,
    flights: 1,
    others: false,
    key_loss: false,
    take_over: false,
    ..WRITERS
};

#[test]
fn holds_for_writers_that_overlap_and_one_that_dies() {
    let outlives = "an intent outlives its writer";
    holds("two guarded writers", WRITERS, &[outlives]);
    holds("one guarded, one not", Config { kind: Kind::Beside, ..WRITERS }, &[outlives]);
    holds("two puts", Config { kind: Kind::Put, ..WRITERS }, &[outlives, "a put is acknowledged"]);
}

#[test]
fn holds_after_a_failover_that_loses_what_was_acknowledged() {
    let lost = "what was lost is sent again";
    let own = Config { own: true, other: false, flights: 0, ticks: false, elsewhere: 1, ..FAILOVER };
    holds("own, failover, other keys, no reads", own, &[lost]);
    holds("failover, its issuer dies", Config { issuer_dies: true, ..FAILOVER }, &[lost]);
}

/// Larger runs: `HYBRIDCACHE_MODEL=full cargo test --release -p hybridcache --lib model -- --nocapture`, a quarter of an hour and 12 GB.
#[test]
fn holds_at_length() {
    if env::var_os("HYBRIDCACHE_MODEL").is_none_or(|size| size != "full") {
        return;
    }
    let all = Config::new(Kind::Evict);
    holds("another writes", Config { own: false, ..all }, &[]);
    holds("another writes, D = 2", Config { own: false, fresh_for: 2, ..all }, &[]);
    holds("this one writes", Config { other: false, others: false, messages: 2, ..all }, &[]);
    holds("two flights", Config { flights: 2, own: false, others: false, reorder: false, ..all }, &[]);
    holds("two writes", Config { writes: 2, messages: 2, ..LOSS }, &[]);
    holds("two writers", Config { writes: 2, own: true, messages: 2, ..QUIET }, &[]);
    holds("two puts, reads", PUTS, &["a put is acknowledged"]);
    for kind in [Kind::Guarded, Kind::Beside, Kind::Put] {
        holds("three writes of two writers", Config { kind, writes: 3, messages: 6, ..WRITERS }, &[]);
    }
    holds("guarded, loss", Config { kind: Kind::Guarded, dies: true, loss: true, ..QUIET }, &[]);
    holds("own clear, loss", Config { own: true, other: false, loss: true, ..CLEAR }, &[]);
    holds("deferred, loss", Config { defer: true, loss: true, ..OWN }, &[]);
    let lost = "what was lost is sent again";
    holds("failover", FAILOVER, &[lost]);
    holds("own, failover", Config { own: true, other: false, ..FAILOVER }, &[lost]);
    holds("own, failover, other keys", Config { own: true, other: false, elsewhere: 1, ..FAILOVER }, &[lost]);
    holds("failover, new connections", Config { reconnect: true, ..FAILOVER }, &[lost]);
}

#[test]
fn r1_r2_without_leases_a_stale_value_is_filled() {
    breaks(Broken::NoLease, QUIET, "I1");
    breaks(Broken::FillIfAbsent, QUIET, "I1");
}

#[test]
fn r1_a_token_for_all_attempts_of_a_node_is_used_twice() {
    breaks(Broken::TokenPerNode, Config { flights: 2, ..QUIET }, "I1");
}

#[test]
fn r4_a_raised_floor_has_to_detach_flights() {
    breaks(Broken::FloorSparesFlights, LOSS, "I2");
}

#[test]
fn r5_a_fence_vouches_from_when_it_was_asked_and_for_what_was_heard() {
    breaks(Broken::FenceAtReply, LOSS, "I2");
    breaks(Broken::FenceIgnoresMissing, LOSS, "I2");
}

#[test]
fn r6_without_a_fence_a_lost_message_is_served_for_ever() {
    breaks(Broken::NoFence, LOSS, "I2");
}

#[test]
fn r7_an_invalidated_flight_may_not_fill_memory() {
    breaks(Broken::NoInsertGuard, QUIET, "I2");
}

#[test]
fn r8_an_old_flight_may_not_be_joined() {
    breaks(Broken::JoinOld, LOSS, "I2");
}

#[test]
fn r9_an_own_eviction_detaches_flights() {
    breaks(Broken::OwnEvictSparesFlights, OWN, "I3");
}

#[test]
fn r10_a_retired_flight_may_not_fill_memory() {
    breaks(Broken::RetiredMayFill, Config { key_loss: true, flights: 2, messages: 1, ..QUIET }, "I4");
}

#[test]
fn r11_what_may_not_be_kept_does_not_count_as_read() {
    breaks(Broken::RejectedReturns, Config { others: true, take_over: true, ..QUIET }, "I4");
    breaks(Broken::DetachedCounts, Config { key_loss: true, flights: 2, messages: 1, ..QUIET }, "I4");
}

#[test]
fn r12_without_links_or_replay_a_failover_loses_an_eviction() {
    let config = Config { own: true, other: false, flights: 0, ticks: false, ..FAILOVER };
    breaks(Broken::NoReplay, config, "I5");
    breaks(Broken::NoChain, Config { elsewhere: 1, ..config }, "I5");
}

#[test]
fn r14_records_are_judged_by_what_was_known_before_they_were_loaded() {
    breaks(Broken::BornAtFill, CLEAR, "I2");
    breaks(Broken::NotJudged, CLEAR, "I2");
    breaks(Broken::NoFence, Config { loss: true, ..CLEAR }, "I2");
    breaks(Broken::FloorsLostSilently, Config { floors_lost: 1, ..CLEAR }, "I2");
}

#[test]
fn what_is_owed_may_not_be_read_from_the_remote_tier() {
    breaks(Broken::OwedIsRead, Config { defer: true, ..OWN }, "I3");
}

#[test]
fn a_put_is_not_kept_in_memory() {
    breaks(Broken::PutKept, PUTS, "I4");
}

#[test]
fn a_put_needs_an_intent_of_its_own_alone_and_a_writer_that_may_die_one_that_stays() {
    let puts = Config { kind: Kind::Put, dies: false, ..WRITERS };
    breaks(Broken::BarePut, puts, "I1");
    breaks(Broken::PutBesideOthers, puts, "I1");
    breaks(Broken::PutBesideOthers, Config { dies: true, ..puts }, "I1");
    breaks(Broken::NoIntent, Config { kind: Kind::Guarded, dies: true, ..QUIET }, "I1");
    breaks(Broken::TakesIntents, WRITERS, "I1");
    breaks(Broken::TakesIntents, Config { kind: Kind::Beside, ..WRITERS }, "I1");
}

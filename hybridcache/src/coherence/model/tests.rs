use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries};

use super::*;

struct Run {
    states: usize,
    found: Vec<&'static str>,
    reached: BTreeMap<&'static str, u64>,
}

fn check(name: &str, config: Config) -> Run {
    let start = Instant::now();
    let checker = Fleet::new(config).checker().threads(2).finish_when(HasDiscoveries::AnyFailures);
    let checker = checker.timeout(Duration::from_secs(12)).spawn_bfs().join();
    let mut found: Vec<_> = checker.discoveries().into_iter().collect();
    found.sort_by_key(|(name, _)| *name);
    println!("{name}: {} states, {:?}, depth {}", checker.unique_state_count(), start.elapsed(), checker.max_depth());
    for (property, path) in &found {
        println!("  {property}: {:?}", path.clone().into_actions());
    }
    let reached = checker.model().reached.lock().unwrap().clone();
    Run { states: checker.unique_state_count(), found: found.into_iter().map(|(name, _)| name).collect(), reached }
}

fn holds(name: &str, config: Config, reaches: &[&str]) {
    let run = check(name, config);
    println!("  {:?}", run.reached);
    assert_eq!(run.found, [] as [&str; 0], "{name}");
    assert!(run.states > 1_000);
    for what in reaches {
        assert!(run.reached.contains_key(what), "never in {name}: {what}");
    }
}

fn breaks(broken: Broken, config: Config, violates: &[&str]) {
    let run = check(&format!("{broken:?}"), Config { broken: Some(broken), ..config });
    println!("  {:?}", run.found.iter().any(|found| violates.contains(found)));
}

const EVICT: Config = Config::new(Kind::Evict);
const QUIET: Config = Config { loss: false, key_loss: false, take_over: false, others: false, own: false, ..EVICT };

const ORDERED: Config = Config { reorder: false, messages: 2, ..QUIET };
const OWN: Config = Config { own: true, other: false, ..ORDERED };
const CLEAR: Config = Config { kind: Kind::Clear, ..ORDERED };
const FAILOVER: Config = Config { failovers: 1, ..ORDERED };

#[test]
fn holds_all() {
    holds("own loss", Config { loss: true, ..OWN }, &[]);
    holds("own loss 1", Config { loss: true, messages: 1, ..OWN }, &[]);
    holds("own reconnect", Config { reconnect: true, messages: 1, ..OWN }, &[]);
    holds("failover own", Config { own: true, other: false, ..FAILOVER }, &[]);
    holds("failover", FAILOVER, &[]);
    holds("failover dies", Config { issuer_dies: true, ..FAILOVER }, &[]);
    holds("put 2", Config { kind: Kind::Put, writes: 2, own: true, messages: 4, ..ORDERED }, &[]);
    holds("guarded loss", Config { kind: Kind::Guarded, loss: true, ..ORDERED }, &[]);
    holds("clear own loss", Config { own: true, other: false, loss: true, ..CLEAR }, &[]);
    holds("all of it", Config { own: false, reorder: false, ..EVICT }, &[]);
    holds("W2", Config { writes: 2, ..ORDERED }, &[]);
    holds("guarded 2", Config { kind: Kind::Guarded, writes: 2, messages: 4, own: true, ..ORDERED }, &[]);
}

#[test]
fn breaks_all() {
    use Broken::*;
    breaks(RejectedReturns, Config { others: true, take_over: true, ..ORDERED }, &["I4"]);
    breaks(RejectedRestarts, Config { others: true, take_over: true, messages: 1, ..ORDERED }, &["I4"]);
    breaks(RetiredMayFill, Config { key_loss: true, flights: 2, messages: 1, ..ORDERED }, &["I4"]);
    breaks(UnsyncedSurvives, Config { key_loss: true, flights: 2, ..ORDERED }, &["I4"]);
    breaks(UnsyncedSurvives, Config { key_loss: true, flights: 1, ..ORDERED }, &["I4"]);
    breaks(DeadRepliesCount, Config { own: true, writes: 2, ..FAILOVER }, &["I5"]);
    breaks(NoChain, Config { own: true, other: false, ..FAILOVER }, &["I5"]);
    breaks(NoReplay, Config { own: true, other: false, ..FAILOVER }, &["I5"]);
    breaks(OwedIsRead, Config { own: true, other: false, ..FAILOVER }, &["I3"]);
}

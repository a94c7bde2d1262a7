use super::super::deferred::{EVERY_CACHE, Text};
use super::super::history::REMEMBERED_KEYS;
use super::*;
use crate::coherence::floors::{Born, Verdict};
use crate::coherence::token::{ConsistencyToken, Seen};

const SECOND: u64 = 1_000;
const TIMING: Timing =
    Timing { fresh_for: 2 * SECOND, heartbeat: SECOND / 2, lag: 8, witness_for: 60 * SECOND, replay_others_after: 700 };
const START: u64 = 1_000 * SECOND;

fn text(key: &str) -> Text {
    Text { cache: "users".into(), key: key.as_bytes().into() }
}

fn keys(key: &str) -> Body {
    Body::Keys([text(key)].into())
}

fn kill(key: &str) -> Effect {
    Effect::Kill([text(key)].into())
}

/// What a server would number: a chain of links, each drawn once.
#[derive(Clone)]
struct Fleet {
    marks: [Mark; 2],
    link: Nonce,
}

impl Fleet {
    fn new(epoch: Nonce) -> Self {
        Self { marks: [Mark { epoch, number: 0, chain: epoch }; 2], link: epoch * 1_000 }
    }

    fn send(&mut self, partition: Partition, own: bool, body: Body) -> Message {
        let mark = &mut self.marks[partition as usize];
        let previous = mark.chain;
        self.link += 1;
        *mark = Mark { epoch: mark.epoch, number: mark.number + 1, chain: self.link };
        Message { mark: *mark, previous, own, body }
    }

    fn evict(&mut self, key: &str) -> Message {
        self.send(Partition::Keys, false, keys(key))
    }

    /// Another server with the same history, which from here on draws links of its own.
    fn replica(&self) -> Self {
        Self { link: self.link + 500, ..self.clone() }
    }
}

/// A node that is up and has joined `fleet` with a fence sent at [`START`].
fn joined(fleet: &Fleet) -> Node {
    let mut node = Node::new(TIMING, 10, START);
    assert_eq!(node.up(START), [Effect::SendFence]);
    let ticket = node.fence_sent(START);
    assert_eq!(node.fence_answered(ticket, fleet.marks, START + 5), [Effect::RaiseFloor, Effect::LoadFloors]);
    let meta = fleet.marks[0];
    assert_eq!(node.floors_loaded(node.floors_asked(START + 5), meta, [], START + 9), [Effect::Synced(START)]);
    node.validate();
    node
}

fn fence(node: &mut Node, fleet: &Fleet, now: u64) -> Vec<Effect> {
    let ticket = node.fence_sent(now);
    let effects = node.fence_answered(ticket, fleet.marks, now + 5);
    node.validate();
    effects
}

#[test]
fn who_has_not_joined_vouches_for_nothing() {
    let node = Node::new(TIMING, 10, START);
    assert!(!node.is_synced(START));
    assert_eq!(node.born(START), None);
    assert_eq!(node.judge(Born { epoch: 0, clock: 0 }, "users", START), Verdict::Unknown);
    assert_eq!(node.horizon(START), START - TIMING.fresh_for);
}

#[test]
fn r4_messages_in_order_kill_and_move_the_watermark() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    for key in ["a", "b"] {
        let message = fleet.evict(key);
        assert_eq!(node.message(Partition::Keys, &message, START + 10), [kill(key)]);
        assert_eq!(node.message(Partition::Keys, &message, START + 11), [], "the same once more");
    }
    assert_eq!(fence(&mut node, &fleet, START + 100), [Effect::Synced(START + 100)]);
}

#[test]
fn r4_a_hole_is_filled_from_the_log() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let lost = fleet.evict("lost");
    let heard = fleet.evict("heard");
    let effects = node.message(Partition::Keys, &heard, START + 10);
    assert_eq!(effects, [kill("heard"), Effect::ReadLog(Partition::Keys, 0)], "what it says is done at once");
    let later = fleet.evict("later");
    assert_eq!(node.message(Partition::Keys, &later, START + 11), [kill("later")], "the log is being read");
    assert!(node.is_synced(START + 12), "what vouches is older than what was lost");
    assert_eq!(node.log_answered(node.generation(), Partition::Keys, &[lost, heard], START + 20), [kill("lost")]);
    assert_eq!(fence(&mut node, &fleet, START + 100), [Effect::Synced(START + 100)]);
}

#[test]
fn r4_without_a_log_a_hole_raises_the_floor() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    fleet.evict("lost");
    let heard = fleet.evict("heard");
    let generation = node.generation();
    node.message(Partition::Keys, &heard, START + 10);
    let effects = node.log_answered(node.generation(), Partition::Keys, &[], START + 20);
    assert_eq!(effects, [Effect::RaiseFloor, Effect::SendFence, Effect::Synced(0)]);
    assert_ne!(node.generation(), generation);
    assert_eq!(fence(&mut node, &fleet, START + 30), [Effect::RaiseFloor, Effect::Synced(START + 30)]);
}

#[test]
fn r12_what_a_late_answer_of_the_log_says_is_not_repeated_by_it() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let mut promoted = fleet.replica();
    let theirs = fleet.evict("theirs");
    node.message(Partition::Keys, &theirs, START + 10);
    let lost = fleet.evict("lost");
    let after = fleet.evict("after");
    let asked = node.generation();
    let effects = node.message(Partition::Keys, &after, START + 11);
    assert!(effects.contains(&Effect::ReadLog(Partition::Keys, 1)), "{effects:?}");
    for _ in 0..5 {
        node.message(Partition::Keys, &promoted.evict("other"), START + 20);
    }
    fence(&mut node, &promoted, START + 500);
    assert!(node.owes("users", b"theirs"), "its sender is to repeat it, or this node does");
    assert_eq!(node.log_answered(asked, Partition::Keys, &[theirs, lost, after], START + 510), []);
    assert!(node.owes("users", b"theirs"));
    node.validate();
}

#[test]
fn r5_what_counts_is_when_was_asked() {
    let fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let ticket = node.fence_sent(START + 500);
    assert_eq!(node.fence_answered(ticket, fleet.marks, START + 1_900), [Effect::Synced(START + 500)]);
    assert!(node.is_synced(START + 500 + TIMING.fresh_for - TIMING.lag));
    assert!(!node.is_synced(START + 501 + TIMING.fresh_for - TIMING.lag));
    let ticket = node.fence_sent(START + 400);
    assert_eq!(node.fence_answered(ticket, fleet.marks, START + 1_901), [], "what vouches already is younger");
}

#[test]
fn r5_a_fence_that_finds_messages_missing_counts_once_the_log_has_them() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let lost = fleet.evict("lost");
    assert_eq!(fence(&mut node, &fleet, START + 500), [Effect::ReadLog(Partition::Keys, 0)]);
    let effects = node.log_answered(node.generation(), Partition::Keys, &[lost], START + 520);
    assert_eq!(effects, [kill("lost"), Effect::Synced(START + 500)]);
    node.validate();
}

#[test]
fn r5_what_is_missing_still_is_read_until_nothing_is() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let first = fleet.evict("first");
    assert_eq!(fence(&mut node, &fleet, START + 500), [Effect::ReadLog(Partition::Keys, 0)]);
    let second = fleet.evict("second");
    assert_eq!(fence(&mut node, &fleet, START + 600), [], "the log is being read");
    let effects = node.log_answered(node.generation(), Partition::Keys, &[first], START + 610);
    assert_eq!(effects, [kill("first"), Effect::ReadLog(Partition::Keys, 1)]);
    let third = fleet.evict("third");
    let fourth = fleet.evict("fourth");
    node.message(Partition::Keys, &fourth, START + 615);
    let effects = node.log_answered(node.generation(), Partition::Keys, &[second], START + 620);
    assert_eq!(effects, [kill("second"), Effect::ReadLog(Partition::Keys, 2), Effect::Synced(START + 600)]);
    let effects = node.log_answered(node.generation(), Partition::Keys, &[third, fourth], START + 630);
    assert_eq!(effects, [kill("third")]);
    assert_eq!(fence(&mut node, &fleet, START + 700), [Effect::Synced(START + 700)]);
}

#[test]
fn r5_a_log_that_was_asked_for_on_an_older_connection_is_not_waited_for() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let lost = fleet.evict("lost");
    assert_eq!(fence(&mut node, &fleet, START + 500), [Effect::ReadLog(Partition::Keys, 0)]);
    let asked = node.generation();
    node.down();
    node.up(START + 510);
    assert_eq!(fence(&mut node, &fleet, START + 511), [Effect::ReadLog(Partition::Keys, 0)]);
    let effects = node.log_answered(node.generation(), Partition::Keys, &[lost], START + 520);
    assert_eq!(effects, [kill("lost"), Effect::Synced(START + 511)]);
    assert_eq!(node.log_answered(asked, Partition::Keys, &[], START + 530), [], "nothing is given up for it");
}

#[test]
fn r5_an_answer_of_an_older_connection_does_not_count() {
    let fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let ticket = node.fence_sent(START + 500);
    node.down();
    node.up(START + 510);
    assert_eq!(node.fence_answered(ticket, fleet.marks, START + 520), []);
}

#[test]
fn r6_memory_is_served_on_when_the_bus_is_gone_but_not_for_long() {
    let fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    node.down();
    assert!(node.is_synced(START + SECOND));
    assert_eq!(node.tick(START + SECOND), [], "nobody to ask");
    assert!(!node.is_synced(START + TIMING.fresh_for));
}

#[test]
fn r8_a_flight_may_be_joined_while_it_is_young_or_the_node_is_synced() {
    let fleet = Fleet::new(7);
    let node = joined(&fleet);
    assert_eq!(node.horizon(START + SECOND), 0);
    let late = START + 5 * SECOND;
    assert_eq!(node.horizon(late), late - TIMING.fresh_for);
}

#[test]
fn r9_an_acknowledged_eviction_kills_and_its_own_message_does_not_kill_again() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let message = fleet.send(Partition::Keys, true, keys("mine"));
    let effects = node.acknowledged(node.generation(), Partition::Keys, message.mark, &message.body, START + 10);
    assert_eq!(effects, (true, vec![kill("mine")]));
    assert_eq!(node.message(Partition::Keys, &message, START + 11), []);
    let early = fleet.send(Partition::Keys, true, keys("early"));
    assert_eq!(node.message(Partition::Keys, &early, START + 12), [kill("early")], "its message came first");
    let effects = node.acknowledged(node.generation(), Partition::Keys, early.mark, &early.body, START + 13);
    assert_eq!(effects, (true, vec![kill("early")]), "whatever was loaded in between");
    assert_eq!(fence(&mut node, &fleet, START + 100), [Effect::Synced(START + 100)]);
}

#[test]
fn r12_a_failover_that_loses_nothing_is_not_noticed() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let message = fleet.evict("a");
    node.message(Partition::Keys, &message, START + 10);
    let mut promoted = fleet.replica();
    node.down();
    node.up(START + 20);
    let after = promoted.evict("b");
    assert_eq!(node.message(Partition::Keys, &after, START + 21), [kill("b")]);
    assert_eq!(fence(&mut node, &promoted, START + 30), [Effect::Synced(START + 30)]);
}

#[test]
fn r12_what_a_failover_lost_is_sent_again_the_own_at_once_the_others_later() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let kept = fleet.evict("kept");
    node.message(Partition::Keys, &kept, START + 10);
    let mut promoted = fleet.replica();
    let mine = fleet.send(Partition::Keys, true, keys("mine"));
    node.acknowledged(node.generation(), Partition::Keys, mine.mark, &mine.body, START + 11);
    let theirs = [fleet.evict("theirs"), fleet.evict("repeated")];
    node.message(Partition::Keys, &mine, START + 12);
    theirs.iter().for_each(|message| _ = node.message(Partition::Keys, message, START + 13));

    let generation = node.generation();
    let effects = fence(&mut node, &promoted, START + 500);
    assert_eq!(effects, [Effect::RaiseFloor, Effect::Replay(keys("mine")), Effect::Synced(START + 500)]);
    assert_ne!(node.generation(), generation, "replies of before are errors");
    assert!(node.owes("users", b"mine") && !node.owes("users", b"kept"));
    assert!(node.owes("users", b"theirs") && node.owes("users", b"repeated"), "what the server has may be older");

    let again = promoted.send(Partition::Keys, true, keys("mine"));
    let (counts, effects) =
        node.replayed(node.generation(), Some((Partition::Keys, again.mark, &again.body)), START + 510);
    assert_eq!((counts, effects), (true, vec![kill("mine")]));
    assert!(!node.is_owing());
    let repeated = promoted.evict("repeated");
    node.message(Partition::Keys, &again, START + 511);
    node.message(Partition::Keys, &repeated, START + 512);
    assert!(node.owes("users", b"theirs") && !node.owes("users", b"repeated"), "its sender did");
    let early = node.tick(START + 506 + TIMING.heartbeat);
    assert!(!early.iter().any(|effect| matches!(effect, Effect::Replay(_))), "its sender still may: {early:?}");
    let effects = node.tick(START + 505 + TIMING.replay_others_after + TIMING.heartbeat);
    assert!(effects.contains(&Effect::Replay(keys("theirs"))), "its sender did not: {effects:?}");
    assert!(node.owes("users", b"theirs"), "it is under way");
    let again = promoted.send(Partition::Keys, true, keys("theirs"));
    node.replayed(node.generation(), Some((Partition::Keys, again.mark, &again.body)), START + 1_800);
    assert!(!node.owes("users", b"theirs"));
    node.validate();
}

#[test]
fn r12_an_own_eviction_whose_message_was_lost_with_its_server_is_sent_again() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let promoted = fleet.replica();
    let mine = fleet.send(Partition::Keys, true, keys("mine"));
    node.acknowledged(node.generation(), Partition::Keys, mine.mark, &mine.body, START + 10);
    node.down();
    node.up(START + 20);
    let effects = fence(&mut node, &promoted, START + 30);
    assert!(effects.contains(&Effect::Replay(keys("mine"))), "the watermark alone would not tell: {effects:?}");
}

#[test]
fn r12_an_own_eviction_that_is_acknowledged_while_the_fork_shows_is_sent_again() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let mut promoted = fleet.replica();
    node.message(Partition::Keys, &fleet.evict("lost"), START + 10);
    promoted.evict("other");
    let ticket = node.fence_sent(START + 500);
    let mine = fleet.send(Partition::Keys, true, keys("mine"));
    node.acknowledged(node.generation(), Partition::Keys, mine.mark, &mine.body, START + 501);
    node.fence_answered(ticket, promoted.marks, START + 502);
    node.validate();
    assert!(node.owes("users", b"mine"), "it was done in the past that is no more");
}

#[test]
fn r12_what_was_sent_as_a_floor_is_sent_again_as_what_it_was() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let promoted = fleet.replica();
    let message = fleet.send(Partition::Keys, true, Body::Floor);
    node.message(Partition::Keys, &message, START + 10);
    node.acknowledged(node.generation(), Partition::Keys, message.mark, &keys("mine"), START + 11);
    let effects = fence(&mut node, &promoted, START + 500);
    assert!(effects.contains(&Effect::Replay(keys("mine"))), "{effects:?}");
}

#[test]
fn r12_a_fork_of_the_same_length_is_seen_by_its_links() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let mut promoted = fleet.replica();
    let lost = fleet.evict("lost");
    node.message(Partition::Keys, &lost, START + 10);
    promoted.evict("other");
    let effects = fence(&mut node, &promoted, START + 500);
    assert_eq!(effects, [Effect::RaiseFloor, Effect::Synced(START + 500)]);
    assert!(node.clone().tick(START + 2_000).contains(&Effect::Replay(keys("lost"))));

    let mut longer = joined(&fleet.replica());
    let next = promoted.evict("next");
    longer.message(Partition::Keys, &fleet.evict("more"), START + 10);
    let effects = longer.message(Partition::Keys, &next, START + 11);
    assert!(effects.contains(&Effect::RaiseFloor) && effects.contains(&Effect::SendFence), "{effects:?}");
    longer.validate();
}

#[test]
fn r12_a_reply_of_before_the_fork_acknowledges_nothing() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let mut promoted = fleet.replica();
    let sent_in = node.generation();
    let lost = fleet.send(Partition::Keys, true, keys("mine"));
    // Two others take its number and the next; the log cannot tell.
    promoted.evict("other");
    promoted.evict("another");
    fence(&mut node, &promoted, START + 500);
    node.log_answered(node.generation(), Partition::Keys, &[], START + 506);
    fence(&mut node, &promoted, START + 507);
    let acknowledged =
        |generation| node.clone().acknowledged(generation, Partition::Keys, lost.mark, &lost.body, START + 520).0;
    assert!(!acknowledged(sent_in));
    assert!(acknowledged(node.generation()), "its number alone would not tell");
}

#[test]
fn r12_an_acknowledgement_whose_number_another_message_has_acknowledges_nothing() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let mut promoted = fleet.replica();
    let lost = fleet.send(Partition::Keys, true, keys("mine"));
    node.message(Partition::Keys, &promoted.evict("other"), START + 10);
    let generation = node.generation();
    let (counts, effects) = node.acknowledged(generation, Partition::Keys, lost.mark, &lost.body, START + 11);
    assert!(!counts && effects.contains(&Effect::RaiseFloor), "{effects:?}");
    // Nor where the chain does not yet reach the other.
    let fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let [mut here, mut there] = [fleet.clone(), fleet.replica()];
    let [.., beyond] = [0, 1].map(|_| there.evict("other"));
    let [.., lost] = [0, 1].map(|_| here.send(Partition::Keys, true, keys("mine")));
    node.message(Partition::Keys, &beyond, START + 10);
    assert!(!node.acknowledged(node.generation(), Partition::Keys, lost.mark, &lost.body, START + 11).0);
}

#[test]
fn r12_an_empty_server_is_a_new_epoch_and_everything_is_sent_again() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let mine = fleet.send(Partition::Meta, true, Body::Clear("users".into()));
    node.acknowledged(node.generation(), Partition::Meta, mine.mark, &mine.body, START + 10);
    let empty = Fleet::new(8);
    let effects = fence(&mut node, &empty, START + 500);
    let replay = Effect::Replay(Body::Clear("users".into()));
    assert_eq!(effects, [Effect::RaiseFloor, Effect::RaiseFloor, Effect::LoadFloors, replay, Effect::Synced(0)]);
    let effects = node.floors_loaded(node.floors_asked(START + 506), empty.marks[0], [], START + 510);
    assert_eq!(effects, [Effect::Synced(START + 500)]);
}

/// A process that has just started puts something; the answer to that overtakes the answer to where the fleet stands.
#[test]
fn r12_what_is_done_while_a_node_asks_where_the_fleet_stands_is_not_repeated() {
    let mut fleet = Fleet::new(7);
    let mut node = Node::new(TIMING, 10, START);
    node.up(START);
    let (ticket, marks) = (node.fence_sent(START), fleet.marks);
    let promoted = fleet.replica();
    let mine = fleet.send(Partition::Keys, true, keys("mine"));
    let theirs = fleet.evict("theirs");
    node.message(Partition::Keys, &theirs, START + 1);
    node.acknowledged(node.generation(), Partition::Keys, mine.mark, &mine.body, START + 2);
    node.fence_answered(ticket, marks, START + 3);
    node.validate();
    assert!(!node.is_owing() && !node.owes("users", b"theirs"));
    let mut lost = node.clone();
    assert_eq!(node.message(Partition::Keys, &mine, START + 4), [], "what was acknowledged is known");
    fence(&mut node, &fleet, START + 20);
    assert!(!node.is_owing() && !node.owes("users", b"theirs"));
    // Should the server not have had it, the next answer says so.
    let effects = fence(&mut lost, &promoted, START + 20);
    assert!(effects.contains(&Effect::Replay(keys("mine"))) && lost.owes("users", b"theirs"), "{effects:?}");
    // And so does the chain, where what followed is linked to something else.
    let mut node = Node::new(TIMING, 10, START);
    node.up(START);
    let ticket = node.fence_sent(START);
    let mut following = fleet.replica();
    following.marks[1] = Mark { number: 0, ..following.marks[1] };
    let message = following.evict("theirs");
    node.message(Partition::Keys, &message, START + 1);
    for number in [0, 2] {
        let mut node = node.clone();
        node.fence_answered(ticket, [Mark { number, chain: 1, ..marks[0] }; 2], START + 3);
        assert!(node.owes("users", b"theirs"), "{number}");
    }
    // Nor was anything done since that was done in another epoch.
    let mut node = Node::new(TIMING, 10, START);
    node.up(START);
    let ticket = node.fence_sent(START);
    node.acknowledged(node.generation(), Partition::Keys, mine.mark, &mine.body, START + 1);
    node.fence_answered(ticket, Fleet::new(8).marks, START + 3);
    assert!(node.owes("users", b"mine"));
}

#[test]
fn r12_an_own_eviction_that_is_acknowledged_between_two_joins_is_witnessed() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let mut promoted = fleet.replica();
    let lost = fleet.evict("lost");
    node.message(Partition::Keys, &lost, START + 10);
    // The log cannot tell: apart from here until the next fence.
    fleet.evict("unheard");
    node.message(Partition::Keys, &fleet.evict("hole"), START + 11);
    node.log_answered(node.generation(), Partition::Keys, &[], START + 12);
    let mine = promoted.send(Partition::Keys, true, keys("mine"));
    node.acknowledged(node.generation(), Partition::Keys, mine.mark, &mine.body, START + 13);
    fence(&mut node, &promoted, START + 20);
    assert!(!node.is_owing(), "the new history has it");
    let second = Fleet::new(9);
    let effects = fence(&mut node, &second, START + 500);
    assert!(effects.contains(&Effect::Replay(keys("mine"))), "{effects:?}");
}

#[test]
fn r14_a_record_is_dead_if_its_cache_was_cleared_after_it_was_born() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let before = node.born(START + 10).unwrap();
    let clear = fleet.send(Partition::Meta, false, Body::Clear("users".into()));
    assert_eq!(node.judge(before, "users", START + 10), Verdict::Valid);
    assert_eq!(node.message(Partition::Meta, &clear, START + 10), [Effect::Clear("users".into())]);
    assert_eq!(node.judge(before, "users", START + 10), Verdict::Dead);
    assert_eq!(node.judge(before, "orders", START + 10), Verdict::Valid);
    let after = node.born(START + 10).unwrap();
    assert_eq!(node.judge(after, "users", START + 10), Verdict::Valid);
    let all = fleet.send(Partition::Meta, false, Body::Clear(EVERY_CACHE.into()));
    node.message(Partition::Meta, &all, START + 11);
    assert_eq!(node.judge(after, "orders", START + 11), Verdict::Dead);
    let elsewhere = Born { epoch: 8, clock: 100 };
    assert_eq!(node.judge(elsewhere, "users", START + 11), Verdict::Dead, "the floors it was measured by are lost");
}

#[test]
fn r14_an_own_clear_of_a_new_epoch_leaves_nothing_to_judge_by() {
    let mut node = joined(&Fleet::new(7));
    let born = node.born(START + 10).unwrap();
    let clear = Fleet::new(8).send(Partition::Meta, true, Body::Clear("users".into()));
    node.acknowledged(node.generation(), Partition::Meta, clear.mark, &clear.body, START + 10);
    assert_eq!(node.judge(born, "users", START + 11), Verdict::Unknown, "by the floors of before it would live");
}

#[test]
fn r14_a_clear_that_is_heard_of_late_lifts_no_floor_back() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let [theirs, mine] = [false, true].map(|own| fleet.send(Partition::Meta, own, Body::Clear("users".into())));
    node.acknowledged(node.generation(), Partition::Meta, mine.mark, &mine.body, START + 10);
    node.message(Partition::Meta, &theirs, START + 11);
    let between = Born::at(theirs.mark);
    assert_eq!(node.judge(between, "users", START + 12), Verdict::Dead);
}

#[test]
fn r14_floors_of_before_a_node_joined_vouch_for_nothing() {
    let mut fleet = Fleet::new(7);
    let mut node = Node::new(TIMING, 10, START);
    node.up(START);
    let (asked, before) = (node.floors_asked(START), fleet.marks[0]);
    let clear = fleet.send(Partition::Meta, false, Body::Clear("users".into()));
    let late = START + TIMING.fresh_for;
    let ticket = node.fence_sent(late);
    node.fence_answered(ticket, fleet.marks, late + 5);
    assert_eq!(node.floors_loaded(asked, before, [], late + 6), [], "a clear in between was never heard of");
    let born = Born::at(before);
    assert_eq!(node.judge(born, "users", late + 6), Verdict::Unknown);
    node.floors_loaded(node.floors_asked(late + 7), clear.mark, [("users".into(), 1)], late + 8);
    assert_eq!(node.judge(born, "users", late + 9), Verdict::Dead);
}

#[test]
fn r14_a_clear_of_another_epoch_leaves_nothing_to_judge_by_before_a_node_joined() {
    let mut node = Node::new(TIMING, 10, START);
    node.up(START);
    let old = Fleet::new(7).marks[0];
    node.floors_loaded(node.floors_asked(START), old, [], START + 1);
    assert_eq!(node.judge(Born::at(old), "users", START + 2), Verdict::Valid);
    let clear = Fleet::new(8).send(Partition::Meta, false, Body::Clear("users".into()));
    node.message(Partition::Meta, &clear, START + 3);
    assert_eq!(node.judge(Born::at(old), "users", START + 4), Verdict::Unknown);
}

#[test]
fn r14_floors_of_another_past_end_this_one() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let promoted = fleet.replica();
    let clear = fleet.send(Partition::Meta, false, Body::Clear("users".into()));
    node.message(Partition::Meta, &clear, START + 10);
    let asked = node.floors_asked(START + 11);
    let effects = node.floors_loaded(asked, promoted.marks[0], [], START + 12);
    assert!(effects.contains(&Effect::RaiseFloor) && effects.contains(&Effect::SendFence), "{effects:?}");
}

#[test]
fn r14_what_was_cleared_while_the_floors_were_loading_is_in_them() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let born = node.born(START + 10).unwrap();
    let (asked, before) = (node.floors_asked(START + 10), fleet.marks[0]);
    let clear = fleet.send(Partition::Meta, true, Body::Clear("users".into()));
    node.acknowledged(node.generation(), Partition::Meta, clear.mark, &clear.body, START + 11);
    let effects = node.floors_loaded(asked, before, [], START + 12);
    assert_eq!(effects, [], "a mark of before this node's memory says nothing");
    assert_eq!(node.judge(born, "users", START + 13), Verdict::Dead);
}

#[test]
fn r14_after_a_failover_everything_is_cleared_until_no_number_is_used_twice() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let mut promoted = fleet.replica();
    for _ in 0..2 {
        let clear = fleet.send(Partition::Meta, false, Body::Clear("users".into()));
        node.message(Partition::Meta, &clear, START + 10);
    }
    // Born by numbers that the promoted server will give again.
    let unaware = node.born(START + 20).unwrap();
    let everything = Body::Clear(EVERY_CACHE.into());
    assert!(fence(&mut node, &promoted, START + 500).contains(&Effect::Replay(everything.clone())));
    for number in 1..=3 {
        let clear = promoted.send(Partition::Meta, true, everything.clone());
        let (counts, effects) =
            node.replayed(node.generation(), Some((Partition::Meta, clear.mark, &clear.body)), START + 510);
        assert!(counts, "{number}");
        assert_eq!(effects.contains(&Effect::Replay(everything.clone())), number < 3, "{number}: {effects:?}");
    }
    node.floors_loaded(node.floors_asked(START + 520), promoted.marks[0], [(EVERY_CACHE.into(), 3)], START + 521);
    assert_eq!(node.judge(unaware, "users", START + 522), Verdict::Dead);
    node.validate();
}

#[test]
fn r14_floors_that_are_too_old_judge_nothing_until_they_are_loaded() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let born = node.born(START + 10).unwrap();
    let late = START + 6 + TIMING.fresh_for;
    assert_eq!(node.judge(born, "users", late), Verdict::Unknown);
    let unheard = fleet.send(Partition::Meta, false, Body::Clear("users".into()));
    let old = node.floors_asked(START);
    node.floors_loaded(node.floors_asked(late), unheard.mark, [("users".into(), 1)], late + 5);
    assert_eq!(node.judge(born, "users", late + 5), Verdict::Dead);
    node.floors_loaded(old, Fleet::new(7).marks[0], [], late + 6);
    assert_eq!(node.judge(born, "users", late + 6), Verdict::Dead, "an answer of before changes nothing");
}

#[test]
fn r15_a_node_that_nobody_reads_falls_silent_and_wakes_at_the_next_read() {
    let fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    assert_eq!(node.read(START), []);
    assert_eq!(node.tick(START + TIMING.heartbeat), [Effect::SendFence]);
    assert_eq!(node.tick(START + TIMING.heartbeat + 1), [], "once per heartbeat");
    let late = START + 10 * TIMING.fresh_for + 1;
    assert_eq!(node.tick(late), []);
    assert_eq!(node.read(late + 1), [Effect::SendFence]);
    assert_eq!(node.tick(late + 1 + TIMING.heartbeat), [Effect::SendFence]);
}

#[test]
fn what_could_not_be_sent_is_owed_until_it_was() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    node.down();
    assert_eq!(node.defer(&keys("a"), START + 10), []);
    assert!(node.owes("users", b"a"));
    assert_eq!(node.up(START + 20), [Effect::SendFence, Effect::Replay(keys("a"))]);
    assert_eq!(node.replayed(node.generation(), None, START + 30), (false, vec![]), "not at once again");
    assert_eq!(node.tick(START + 31), []);
    assert!(node.owes("users", b"a"));
    assert_eq!(node.tick(START + 20 + TIMING.heartbeat)[0], Effect::Replay(keys("a")));
    let sent = fleet.send(Partition::Keys, true, keys("a"));
    let (counts, effects) =
        node.replayed(node.generation(), Some((Partition::Keys, sent.mark, &sent.body)), START + 600);
    assert_eq!((counts, effects), (true, vec![kill("a")]));
    assert!(!node.owes("users", b"a"));
}

#[test]
fn a_server_that_refuses_ends_a_generation() {
    let fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let generation = node.generation();
    assert_eq!(node.refused(START + 10), [Effect::SendFence]);
    assert_ne!(node.generation(), generation);
    assert!(node.is_synced(START + 11));

    let sent = node.fence_sent(START + 12);
    node.fence_refused();
    assert_eq!(node.fence_answered(sent, fleet.marks, START + 13), [], "of a fence that was sent before");
    assert!(!node.tick(START + 14).contains(&Effect::SendFence), "the next is for the heartbeat");
    assert!(node.tick(START + 12 + TIMING.heartbeat).contains(&Effect::SendFence));
}

#[test]
fn a_token_is_seen_when_its_message_was_applied() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let message = fleet.evict("a");
    let mut token = ConsistencyToken::NOTHING;
    token.note(Partition::Keys, Seen { epoch: 7, number: message.mark.number });
    assert!(!node.has_seen(token));
    node.message(Partition::Keys, &message, START + 10);
    assert!(node.has_seen(token));
    assert!(!Node::new(TIMING, 10, START).has_seen(token));
    let mut older = token;
    older.note(Partition::Meta, Seen { epoch: 6, number: 0 });
    assert!(!node.has_seen(older), "it is of both");
    assert_eq!(node.current(older), Some(token), "nobody hears of an epoch that is over");
    assert_eq!(Node::new(TIMING, 10, START).current(older), Some(older));
}

#[test]
fn witnesses_are_forgotten_by_age() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    for _ in 0..REMEMBERED_KEYS + 100 {
        node.message(Partition::Keys, &fleet.evict("a"), START + 10);
    }
    node.validate();
    node.tick(START + 11 + TIMING.witness_for);
    node.validate();
    let effects = fence(&mut node, &Fleet::new(8), START + 100 * SECOND);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Replay(_))));
    assert!(!node.tick(START + 200 * SECOND).iter().any(|effect| matches!(effect, Effect::Replay(_))));
}

#[test]
fn an_old_witness_takes_no_younger_one_with_it() {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    node.message(Partition::Keys, &fleet.evict("old"), START + 10);
    let mut promoted = fleet.replica();
    let late = START + TIMING.witness_for;
    for key in ["mine", "mine, too"] {
        let mine = fleet.send(Partition::Keys, true, keys(key));
        node.acknowledged(node.generation(), Partition::Keys, mine.mark, &mine.body, late);
        node.message(Partition::Keys, &mine, late);
    }
    // The first shows that the past is another, the second takes the number of what was lost.
    for key in ["other", "another"] {
        node.message(Partition::Keys, &promoted.evict(key), late + 5);
    }
    node.tick(late + 20);
    node.validate();
    fence(&mut node, &promoted, late + 30);
    assert!(node.owes("users", b"mine") && node.owes("users", b"mine, too") && !node.owes("users", b"old"));
}

/// A node that heard of more than it remembers, and how the fleet was before that and just before the end of it.
fn overwhelmed() -> (Node, Fleet, Fleet) {
    let mut fleet = Fleet::new(7);
    let mut node = joined(&fleet);
    let before = fleet.replica();
    for number in 0..REMEMBERED_KEYS + 100 {
        let message = fleet.evict(if number == 0 { "first" } else { "a" });
        node.message(Partition::Keys, &message, START + 10);
    }
    let end = fleet.replica();
    node.message(Partition::Keys, &fleet.evict("last"), START + 11);
    node.validate();
    (node, before, end)
}

#[test]
fn what_was_forgotten_for_its_number_is_repeated_as_a_clear() {
    let (mut node, before, _) = overwhelmed();
    fence(&mut node, &before, START + 500);
    assert!(node.owes("users", b"first"), "nobody knows its name any more");
    let everything = Effect::Replay(Body::Clear(EVERY_CACHE.into()));
    assert!(node.tick(START + 505 + TIMING.replay_others_after).contains(&everything));
}

#[test]
fn what_was_forgotten_and_is_linked_to_the_fleets_past_is_not_repeated() {
    let (mut node, before, mut end) = overwhelmed();
    fence(&mut node, &end, START + 500);
    assert!(node.owes("users", b"last") && !node.owes("users", b"first"));
    node.message(Partition::Keys, &end.evict("last"), START + 501);
    // It stays forgotten: the next failover may be the one that loses it.
    fence(&mut node, &before, START + 600);
    assert!(node.owes("users", b"first"));
}

#[test]
fn what_was_forgotten_longer_ago_than_anything_is_witnessed_is_forgotten_for_good() {
    let (mut node, before, _) = overwhelmed();
    node.tick(START + 11 + TIMING.witness_for);
    fence(&mut node, &before, START + 12 + TIMING.witness_for);
    assert!(!node.owes("users", b"first") && node.owes("users", b"last"));
}

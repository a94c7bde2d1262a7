use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::deferred::Text;
use super::*;
use crate::coherence::simulator::Random;

const WITNESS_FOR: u64 = 60;

/// So few of these are remembered that some are forgotten in most runs.
fn bodies() -> Vec<Body> {
    let key: Arc<[u8]> = [0].into();
    let of = |message: u32| {
        let text = Text { cache: message.to_string().into(), key: Arc::clone(&key) };
        Body::Keys(vec![text; REMEMBERED_KEYS / 6].into())
    };
    (0..80).map(of).collect()
}

/// What a node heard and nobody has told it to repeat yet: its body, whether it is its own, and when.
type Unsettled = BTreeMap<Nonce, (Body, bool, u64)>;

#[test]
fn what_was_witnessed_lately_is_in_the_fleets_past_or_is_repeated() {
    let bodies = bodies();
    let (mut repeated, mut floors, mut proven) = (0, 0, 0);
    for seed in 0..500 {
        let mut random = Random::new(seed);
        let mut now = 1_000;
        let mut fleet: Vec<Message> = Vec::new();
        let mut heard = Unsettled::new();
        let mut history = History::default();
        let mark = |fleet: &[Message]| fleet.last().map_or(Mark { epoch: 1, number: 0, chain: 1 }, |last| last.mark);
        history.join(mark(&fleet), u64::MAX);
        for (sent, body) in bodies.iter().enumerate() {
            now += random.below(8);
            history.forget_before(now - WITNESS_FOR);
            heard.retain(|_, (.., at)| *at >= now - WITNESS_FOR);
            history.validate();
            let before = mark(&fleet);
            let next = Mark { epoch: 1, number: before.number + 1, chain: 2 + sent as Nonce };
            let own = random.one_in(4);
            fleet.push(Message { mark: next, previous: before.chain, own, body: body.clone() });
            if !random.one_in(10) {
                match history.hear(&fleet[fleet.len() - 1], now) {
                    Heard::New => _ = heard.insert(next.chain, (body.clone(), own, now)),
                    Heard::Foreign => history.leave(),
                    Heard::Known => unreachable!("each is sent once"),
                }
            }
            if random.one_in(12) {
                fleet.truncate(fleet.len().saturating_sub(random.below(12) as usize));
            }
            if !random.one_in(8) {
                continue;
            }
            // Whether or not this node knows why: it takes up the fleet's past as it is.
            history.leave();
            let lost = history.join(mark(&fleet), u64::MAX);
            let past: BTreeSet<Nonce> = fleet.iter().map(|message| message.mark.chain).collect();
            let floor = lost.iter().find(|(_, body)| *body == Body::Floor);
            floors += usize::from(floor.is_some());
            for (chain, (body, own, _)) in &heard {
                if past.contains(chain) {
                    proven += 1;
                    continue;
                }
                let again = lost.iter().find(|(_, lost)| lost == body).or(floor);
                assert!(again.is_some_and(|(as_own, _)| *as_own || !own), "seed {seed}: {chain} is lost for good");
                repeated += 1;
            }
            // What it was told to repeat is settled, needed or not; of a floor it is not known what it stands for.
            heard.retain(|_, (body, ..)| floor.is_none() && !lost.iter().any(|(_, lost)| lost == body));
            history.validate();
        }
    }
    assert!(repeated > 1_000 && floors > 100 && proven > 1_000, "{repeated} {floors} {proven}");
}

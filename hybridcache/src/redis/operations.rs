//! The contract of a driver, by commands and scripts. Each operation is one round trip, but for that of reading a long log.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use redis::{Cmd, Pipeline, Value};
use xxhash_rust::xxh3::xxh3_64;

use super::commands::{Commands, Read};
use super::courier;
use super::line::Answer as Waits;
use super::link::Link;
use super::scripts::{EPOCH, SCRIPTS, Script};
use super::{LARGE, RedisDriver, reply};
use crate::coherence::node::{Mark, Partition};
use crate::driver::{Answer, Awaited, Bump, Driver, Fault, Filled, Found, Health, Listener, Lives, Put};
use crate::nonce::{Nonce, nonce};
use crate::rt::broken::{Rule, is_broken};
use crate::rt::io::{self, Home};

/// How many messages of a log are read at once. Each may be of 64 KiB, and after a cut all nodes read at the same time: in one answer to
/// each the server would have to hold the whole log as often as there are nodes.
const LOGGED_AT_ONCE: usize = 128;
/// How much of it is read at most: what so many messages take that name a key each, and 1 MiB in any case. Of an `evict_many` each names a
/// thousand, and whoever missed thousands of those would be busy with them for seconds, in which no call of its process is answered.
const LOGGED_EACH: usize = 512;
const LOGGED_MOST: usize = 1 << 20;

/// A script with its keys and arguments.
struct Call<'a> {
    script: &'static Script,
    keys: Vec<&'a [u8]>,
    arguments: Vec<Cow<'a, [u8]>>,
}

impl<'a> Call<'a> {
    fn new(script: &'static Script) -> Self {
        Self { script, keys: Vec::new(), arguments: Vec::new() }
    }

    fn key(mut self, key: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.keys.push(key.as_ref());
        self
    }

    fn keys(mut self, keys: &'a [Vec<u8>]) -> Self {
        self.keys.extend(keys.iter().map(Vec::as_slice));
        self
    }

    fn arg(mut self, argument: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.arguments.push(Cow::Borrowed(argument.as_ref()));
        self
    }

    fn number(mut self, number: impl ToString) -> Self {
        self.arguments.push(Cow::Owned(number.to_string().into_bytes()));
        self
    }

    fn nonce(mut self, nonce: Nonce) -> Self {
        self.arguments.push(Cow::Owned(nonce.to_be_bytes().to_vec()));
        self
    }

    /// An intent; nothing for none.
    fn intent(self, intent: Option<Nonce>) -> Self {
        match intent {
            Some(intent) => self.nonce(intent),
            None => self.arg(&[]),
        }
    }

    /// How long a value lives: from now on, and at most; nothing for no such end.
    fn lives(self, lives: Lives) -> Self {
        self.number(ms(lives.now)).number(lives.at_most.map(|most| ms(most).to_string()).unwrap_or_default())
    }

    /// The command that runs it, by its hash or in full.
    fn command(&self, name: &str, script: &str) -> Cmd {
        let arguments = self.keys.iter().copied().chain(self.arguments.iter().map(|argument| &argument[..]));
        let (count, bytes) = arguments.fold((2, script.len() + 4), |(n, bytes), of| (n + 1, bytes + of.len()));
        let mut command = Cmd::with_capacity(count + 1, name.len() + bytes);
        command.arg(name).arg(script).arg(self.keys.len()).arg(&self.keys[..]);
        for argument in &self.arguments {
            command.arg(&argument[..]);
        }
        command
    }

    async fn run(self, link: &Link, limit: Duration) -> Result<Value, Fault> {
        let start = Instant::now();
        match link.ask(self.command("EVALSHA", &self.script.hash), limit).await {
            Err(Fault::Refused { code }) if code == "NOSCRIPT" => {
                link.ask(self.command("EVAL", &self.script.code), limit.saturating_sub(start.elapsed())).await
            }
            answer => answer,
        }
    }
}

/// As the server counts: at least a millisecond, and at most a century.
fn ms(duration: Duration) -> u64 {
    const CENTURY: u128 = 100 * 365 * 24 * 60 * 60 * 1000;
    duration.as_millis().clamp(1, CENTURY) as u64
}

impl RedisDriver {
    /// A call of a script that takes a number: behind these keys and arguments come its own.
    fn numbered<'a>(&'a self, script: &'static Script, partition: Partition, chain: Nonce, tail: &'a [u8]) -> Call<'a> {
        let at = partition as usize;
        let call = Call::new(script).key(&self.names.sequences[at]).key(&self.names.logs[at]);
        let call = if partition == Partition::Meta { call.key(&self.names.floors) } else { call };
        call.arg(&self.names.channels[at]).number(self.options.log_length).nonce(nonce()).nonce(chain).arg(tail)
    }

    /// Where a value of this size goes.
    fn lane(&self, size: usize) -> &Link {
        if size > LARGE { &self.large } else { &self.small }
    }

    async fn write(&self, call: Call<'_>, size: usize) -> Result<Value, Fault> {
        call.run(self.lane(size), self.options.write_timeout).await
    }

    /// Reads a record; where there is none, plants a lease if there is one, for so many milliseconds.
    async fn read(&self, key: &[u8], lease: Option<(&[u8], u64)>, with_remaining: bool) -> Result<Found, Fault> {
        let hash = xxh3_64(key) | 1;
        let known: &AtomicU64 = &self.large_keys[(hash >> 32) as usize % self.large_keys.len()];
        let was_large = known.load(Relaxed) == hash;
        let (link, limit) = match was_large {
            true => (&self.large, self.options.write_timeout),
            false => (&self.small, self.options.read_timeout),
        };
        let answered = self.counts.answered.load(Relaxed);
        let found = link.send(Commands::Read(Read { key, lease, with_remaining }), limit, Waits::Found).await;
        let is_large = match &found {
            Ok(found) => found.record.as_ref().is_some_and(|record| record.len() > LARGE),
            // Where others were answered meanwhile it may be its size: next time it has more time, and is in nobody's way.
            Err(Fault::Unanswered) => was_large || self.counts.answered.load(Relaxed) != answered,
            Err(_) => was_large,
        };
        if is_large != was_large {
            known.store(if is_large { hash } else { 0 }, Relaxed);
        }
        found
    }

    /// Sends commands on the connection of the bus. The answer counts only if that connection still is the one on which the
    /// messages come in: then those that were sent before it are in.
    async fn ask_bus<const N: usize>(&self, commands: &Pipeline) -> Result<[Value; N], Fault> {
        let generation = self.bus.generation().ok_or(Fault::Down)?;
        let answers = self.bus.ask_all(commands, self.options.write_timeout).await?;
        // A refusal may be what ended it, and is the better answer.
        let refused = answers.iter().any(|answer| matches!(answer, Value::ServerError(_)));
        if !refused && self.bus.generation() != Some(generation) {
            return Err(Fault::Unanswered);
        }
        several(answers)
    }

    /// Where a partition stands, by two commands: one that only a master obeys, and that changes nothing; and the question.
    fn where_it_stands(&self, commands: &mut Pipeline, partition: Partition) {
        let sequence = &self.names.sequences[partition as usize];
        commands.cmd("HDEL").arg(sequence).arg("_").cmd("HMGET").arg(sequence).arg(&["e", "n", "c"]);
    }

    /// Gives a partition an epoch if it has none.
    async fn found(&self, partition: Partition) -> Result<(), Fault> {
        let call = self.numbered(&SCRIPTS.found, partition, 0, &[]);
        call.run(&self.bus, self.options.write_timeout).await.map(drop)
    }
}

/// So many answers as there were commands.
fn several<const N: usize>(values: Vec<Value>) -> Result<[Value; N], Fault> {
    values.try_into().map_err(|_| reply::strange())
}

/// Of the answers to [`RedisDriver::where_it_stands`]. What is no hash is as good as lost.
fn standing(obeyed: Value, mark: Value) -> Result<Option<Mark>, Fault> {
    match reply::integer(obeyed) {
        Err(Fault::Refused { code }) if code == "WRONGTYPE" => Ok(None),
        Err(fault) => Err(fault),
        Ok(_) => reply::mark(mark),
    }
}

impl Driver for RedisDriver {
    fn get<'a>(&'a self, key: &'a [u8], with_remaining: bool) -> Answer<'a, Found> {
        Box::pin(self.read(key, None, with_remaining))
    }

    fn get_or_lease<'a>(
        &'a self,
        key: &'a [u8],
        lease: &'a [u8],
        lease_for: Duration,
        with_remaining: bool,
    ) -> Answer<'a, Found> {
        Box::pin(async move {
            let full = match self.read(key, Some((lease, ms(lease_for))), with_remaining).await {
                Err(Fault::Refused { code }) if code == "OOM" => Fault::Refused { code },
                answer => return answer,
            };
            let found = self.get(key, with_remaining).await?;
            if found.record.is_some() { Ok(found) } else { Err(full) }
        })
    }

    fn spent(&self, record: Vec<u8>) {
        courier::spent(record);
    }

    fn fill<'a>(
        &'a self,
        key: &'a [u8],
        lease: &'a [u8],
        record: &'a [u8],
        lives: Lives,
        wake: &'a [u8],
    ) -> Answer<'a, Filled> {
        let call = Call::new(&SCRIPTS.fill).key(key).arg(lease).arg(record).lives(lives);
        let call = call.arg(&self.names.channels[Partition::Keys as usize]).arg(wake);
        Box::pin(async move {
            if is_broken(Rule::Fill) {
                let mut command = redis::cmd("SET");
                command.arg(key).arg(record).arg("PX").arg(ms(lives.now));
                return self.small.ask(command, self.options.write_timeout).await.map(|_| Filled::Kept);
            }
            // What it replaces may be the larger: a reload sends that along.
            let kept = reply::integer(self.write(call, record.len().max(lease.len())).await?)? == 1;
            Ok(if kept { Filled::Kept } else { Filled::Rejected })
        })
    }

    fn lease_over<'a>(
        &'a self,
        key: &'a [u8],
        record: &'a [u8],
        lease: &'a [u8],
        lease_for: Duration,
    ) -> Answer<'a, bool> {
        let call = Call::new(&SCRIPTS.lease_over).key(key).arg(record).arg(lease).number(ms(lease_for));
        Box::pin(async move { Ok(reply::integer(self.write(call, record.len()).await?)? == 1) })
    }

    fn renew<'a>(&'a self, leases: &'a [(&'a [u8], &'a [u8], Duration)]) -> Answer<'a, i64> {
        let renewed = |call: Call<'a>, (key, lease, lives): &(&'a [u8], &'a [u8], Duration)| {
            call.key(*key).arg(*lease).number(ms(*lives))
        };
        let call = leases.iter().fold(Call::new(&SCRIPTS.renew), renewed);
        Box::pin(async move { reply::integer(self.write(call, 0).await?) })
    }

    fn release<'a>(&'a self, key: &'a [u8], lease: &'a [u8], wake: &'a [u8]) -> Answer<'a, ()> {
        let call = Call::new(&SCRIPTS.release).key(key).arg(lease);
        let call = call.arg(&self.names.channels[Partition::Keys as usize]).arg(wake);
        Box::pin(async move { reply::integer(self.write(call, lease.len()).await?).map(drop) })
    }

    fn await_fill<'a>(&'a self, key: &'a [u8], lease: &'a [u8]) -> Answer<'a, Awaited> {
        let call = Call::new(&SCRIPTS.await_fill).key(key).arg(lease);
        Box::pin(async move {
            match self.write(call, 0).await? {
                Value::Nil => Ok(Awaited::Gone),
                left => Ok(Awaited::Flagged { remaining: reply::remaining(left)?.unwrap_or_default() }),
            }
        })
    }

    fn touch<'a>(&'a self, key: &'a [u8], version: Nonce, lives: Duration) -> Answer<'a, Option<Duration>> {
        let call = Call::new(&SCRIPTS.touch).key(key).nonce(version).number(ms(lives));
        Box::pin(async move {
            let granted = u64::try_from(reply::integer(self.write(call, 0).await?)?).unwrap_or_default();
            Ok((granted > 0).then(|| Duration::from_millis(granted)))
        })
    }

    fn evict<'a>(
        &'a self,
        keys: &'a [Vec<u8>],
        ended: Option<Nonce>,
        planted: Option<(Nonce, Duration)>,
        bump: Bump<'a>,
    ) -> Answer<'a, (Mark, bool)> {
        let call = self.numbered(&SCRIPTS.evict, Partition::Keys, bump.chain, bump.tail);
        let call = call.key(&self.names.writers).keys(keys);
        let call = call.intent(ended).intent(planted.map(|(intent, _)| intent));
        let call = call.number(planted.map_or(0, |(_, lives)| ms(lives)));
        Box::pin(async move { reply::taken(self.write(call, 0).await?) })
    }

    fn put<'a>(
        &'a self,
        key: &'a [u8],
        others: &'a [Vec<u8>],
        Put { record, lives, ended, settle }: Put<'a>,
        bump: Bump<'a>,
    ) -> Answer<'a, (Mark, bool)> {
        let call = self.numbered(&SCRIPTS.put, Partition::Keys, bump.chain, bump.tail);
        let call = call.key(&self.names.writers).key(key).keys(others);
        let call = call.arg(record).lives(lives).intent(ended);
        let call = call.number(if settle.is_zero() { 0 } else { ms(settle) });
        Box::pin(async move { reply::taken(self.write(call, record.len()).await?) })
    }

    fn is_slow(&self, record: &[u8]) -> bool {
        record.len() > LARGE
    }

    fn clear<'a>(&'a self, name: &'a str, bump: Bump<'a>) -> Answer<'a, Mark> {
        let call = self.numbered(&SCRIPTS.clear, Partition::Meta, bump.chain, bump.tail).arg(name);
        Box::pin(async move { reply::taken(self.write(call, 0).await?).map(|(mark, _)| mark) })
    }

    fn bump<'a>(&'a self, partition: Partition, bump: Bump<'a>) -> Answer<'a, Mark> {
        let call = self.numbered(&SCRIPTS.bump, partition, bump.chain, bump.tail);
        Box::pin(async move { reply::taken(self.write(call, 0).await?).map(|(mark, _)| mark) })
    }

    fn fence(&self) -> Answer<'_, [Mark; 2]> {
        Box::pin(async move {
            let mut commands = Pipeline::with_capacity(4);
            self.where_it_stands(&mut commands, Partition::Meta);
            self.where_it_stands(&mut commands, Partition::Keys);
            // A second time where a partition had to be founded, and no further: somebody might take it away each time.
            for _ in 0..3 {
                let [meta_obeyed, meta, keys_obeyed, keys] = self.ask_bus(&commands).await?;
                match (standing(meta_obeyed, meta)?, standing(keys_obeyed, keys)?) {
                    (Some(meta), Some(keys)) => return Ok([meta, keys]),
                    (meta, keys) => {
                        if meta.is_none() {
                            self.found(Partition::Meta).await?;
                        }
                        if keys.is_none() {
                            self.found(Partition::Keys).await?;
                        }
                    }
                }
            }
            Err(reply::strange())
        })
    }

    fn floors(&self) -> Answer<'_, (Mark, Vec<(String, u64)>)> {
        Box::pin(async move {
            let mut commands = Pipeline::with_capacity(3);
            self.where_it_stands(&mut commands, Partition::Meta);
            commands.cmd("HGETALL").arg(&self.names.floors);
            for _ in 0..3 {
                // Reads wait for it, and none is to wait for longer than a read may take.
                let answers = self.small.ask_all(&commands, self.options.read_timeout).await?;
                let [obeyed, mark, floors] = several(answers)?;
                let mut floors = reply::table(floors)?;
                let epoch = floors.iter().position(|(name, _)| name == EPOCH.as_bytes());
                let epoch = epoch.and_then(|at| reply::nonce(&floors.swap_remove(at).1));
                let floors = reply::floors(floors);
                if floors.is_none() {
                    // Somebody else has written into it. What is true of it nobody can say: it is nobody's from here on.
                    let mut command = redis::cmd("HDEL");
                    command.arg(&self.names.floors).arg(EPOCH);
                    self.small.ask(command, self.options.read_timeout).await?;
                }
                match standing(obeyed, mark)?.zip(floors) {
                    Some((mark, floors)) if epoch == Some(mark.epoch) => return Ok((mark, floors)),
                    // Lost, or of another time: what is older than now is in doubt.
                    _ => self.found(Partition::Meta).await?,
                }
            }
            Err(reply::strange())
        })
    }

    fn log_after(&self, partition: Partition, number: u64) -> Answer<'_, Vec<Vec<u8>>> {
        let most = (self.options.log_length as usize).saturating_mul(LOGGED_EACH).max(LOGGED_MOST);
        Box::pin(async move {
            let (mut messages, mut next, mut room) = (Vec::new(), number + 1, most);
            loop {
                let mut command = redis::cmd("XRANGE");
                command.arg(&self.names.logs[partition as usize]).arg(format!("({}-0", next - 1)).arg("+");
                command.arg("COUNT").arg(LOGGED_AT_ONCE);
                let entries = reply::array(self.large.ask(command, self.options.write_timeout).await?)?;
                let are_all = entries.len() < LOGGED_AT_ONCE;
                for entry in entries {
                    let (id, message) = reply::logged(entry)?;
                    match room.checked_sub(message.len()) {
                        Some(left) if id == format!("{next}-0").as_bytes() => room = left,
                        _ => return Ok(Vec::new()),
                    }
                    messages.push(message);
                    next += 1;
                }
                if are_all {
                    return Ok(messages);
                }
            }
        })
    }

    fn subscribe(&self, listener: Listener) {
        let subscriber = self.subscriber.clone();
        // On the thread where the events happen, so that it comes between two of them.
        let task = io::spawn(async move { subscriber.subscribe(listener) });
        self.tasks.lock().extend(task);
    }

    fn health(&self) -> Health {
        Health {
            connected: self.small.generation().is_some(),
            subscribed: self.subscriber.is_up(),
            breaker_open: self.small.breaker_open(),
            attempts: self.counts.attempts.load(Relaxed),
            unanswered: self.counts.unanswered.load(Relaxed),
            refused: self.counts.refused.load(Relaxed),
        }
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            let tasks = std::mem::take(&mut *self.tasks.lock());
            for task in tasks {
                task.stop().await;
            }
            self.links().for_each(|link| link.close());
            // The last event, where all of them happen.
            let subscriber = self.subscriber.clone();
            Home::Thread.run(async move { subscriber.down() }).await;
            Ok(())
        })
    }
}

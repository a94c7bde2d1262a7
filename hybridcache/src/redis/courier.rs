//! Commands of many callers, on one connection.
//!
//! A caller leaves its commands and waits for their answers. One task for each connection, on the thread of connections, sends
//! together what it finds, and keeps the deadlines of all: so a call has no timer of its own, waits for no turn, and redis-rs
//! sees one request where there were many. Nothing is held back to be sent with what may come later: what comes while the task is
//! busy is what it finds next.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use parking_lot::Mutex;
use redis::{Cmd, Pipeline, RedisResult, Value};

use super::commands::{Commands, Made, Read};
use super::line::{Caller, Line, Wait};
use crate::rt::io::{self, Alarm, Lingering};

/// The part of what may be under way that is sent as one, about. More would keep the first waiting for the answer to the last; less
/// would wake callers, and be woken by them, more often.
const TOGETHER: usize = 8;

/// How many records, and of which size at most, a thread keeps for the courier that took their memory: 256 KiB.
const KEPT: (usize, usize) = (16, 16 * 1024);

/// A request that waits for room.
struct Request {
    commands: Made,
    wait: Wait,
}

thread_local! {
    /// Records that this thread has read, and has no more use for. The next request that it leaves takes them along.
    static SPENT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A record has been read. Its memory goes back to the thread that took it: an allocator that keeps memory by threads, as most do, is
/// slow where one thread takes what another gives back, and for a record of 100 bytes that was a third of a hit with 1,024 callers.
pub(super) fn spent(record: Vec<u8>) {
    let (most, longest) = KEPT;
    // A thread that is ending keeps nothing.
    let _ = SPENT.try_with(|spent| {
        let mut spent = spent.borrow_mut();
        if spent.len() < most && record.capacity() <= longest {
            spent.push(record);
        }
    });
}

/// Where requests for one connection are left. Dropped, the connection ends when what was left is answered.
#[derive(Debug)]
pub(super) struct Outbox(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    left: Left,
    courier: Option<Waker>,
    /// When it was woken.
    woken: Option<Instant>,
    /// Something was left that is not answered yet.
    busy: bool,
    closed: bool,
}

/// What callers left.
#[derive(Default)]
struct Left {
    requests: Vec<(Spelled, Caller)>,
    /// What the reads among them are about, one behind the other.
    bytes: Vec<u8>,
    /// Records that they have read.
    spent: Vec<Vec<u8>>,
}

/// [`Commands`], with a read's bytes among those of others: so many of them are the key, and so many the lease. The courier makes the
/// commands of a read, so that their memory is taken and given back by one thread, as allocators like it.
enum Spelled {
    Made(Vec<Cmd>),
    Read { key: usize, lease: Option<(usize, u64)>, with_remaining: bool },
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("requests", &self.left.requests.len()).finish_non_exhaustive()
    }
}

impl Outbox {
    /// Has a courier run for this connection, with up to `room` commands under way.
    pub(super) fn open(line: Line, room: usize) -> Self {
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let courier = Courier {
            line,
            room,
            waiting: Arc::clone(&waiting),
            taken: Left::default(),
            held: VecDeque::new(),
            under_way: VecDeque::new(),
            commands: 0,
            alarm: Alarm::default(),
            lingering: <[Lingering; 2]>::default(),
        };
        io::detach(courier);
        Self(waiting)
    }

    /// Leaves a request. Who is returned is to be woken, where no lock is held.
    pub(super) fn leave(&self, commands: Commands<'_>, caller: Caller) -> Option<Waker> {
        let mut waiting = self.0.lock();
        let Left { requests, bytes, spent } = &mut waiting.left;
        let _ = SPENT.try_with(|own| spent.append(&mut own.borrow_mut()));
        let spelled = match commands {
            Commands::Made(commands) => Spelled::Made(commands),
            Commands::Read(Read { key, lease, with_remaining }) => {
                bytes.extend_from_slice(key);
                let lease = lease.map(|(lease, ms)| {
                    bytes.extend_from_slice(lease);
                    (lease.len(), ms)
                });
                Spelled::Read { key: key.len(), lease, with_remaining }
            }
        };
        requests.push((spelled, caller));
        waiting.busy = true;
        let courier = waiting.courier.take();
        if courier.is_some() {
            waiting.woken = Some(Instant::now());
        }
        courier
    }

    /// Whether something was left that is not answered yet.
    pub(super) fn is_busy(&self) -> bool {
        self.0.lock().busy
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        let courier = {
            let mut waiting = self.0.lock();
            waiting.closed = true;
            waiting.courier.take()
        };
        if let Some(courier) = courier {
            courier.wake();
        }
    }
}

/// Sends what is left for one connection, and hands out the answers.
struct Courier {
    line: Line,
    room: usize,
    waiting: Arc<Mutex<Waiting>>,
    /// Empty, and kept for its memory.
    taken: Left,
    /// There is no room for them yet.
    held: VecDeque<Request>,
    /// In the order in which they were sent, which is that of the answers.
    under_way: VecDeque<Batch>,
    /// How many commands are under way.
    commands: usize,
    /// Goes off at the first deadline there is, or earlier.
    alarm: Alarm,
    /// While nothing is under way, and while something is.
    lingering: [Lingering; 2],
}

/// What was sent as one.
struct Batch {
    /// How many commands each has, and who waits, unless the wait is over.
    waits: Vec<(usize, Option<Wait>)>,
    commands: usize,
    reply: Pin<Box<dyn Future<Output = RedisResult<Vec<Value>>> + Send>>,
}

impl Future for Courier {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // Whether the callers have been left the waker: the next one wakes the thread, which is what lingering saves.
        let mut sleeps = false;
        loop {
            let answered = this.receive(cx);
            let (closed, nothing) = this.take(sleeps.then_some(&*cx));
            let sent = this.send(cx);
            let mut idle = !answered && nothing && !sent;
            while this.alarm.poll(cx).is_ready() {
                this.expire(Instant::now());
                // What it made room for is sent now.
                idle = false;
            }
            if !idle {
                sleeps = false;
                this.lingering.iter_mut().for_each(Lingering::found);
                continue;
            }
            if closed && this.held.is_empty() && this.under_way.is_empty() {
                return Poll::Ready(());
            }
            let lingering = &mut this.lingering[usize::from(!this.under_way.is_empty())];
            if sleeps || lingering.stay(cx) {
                return Poll::Pending;
            }
            sleeps = true;
        }
    }
}

impl Drop for Courier {
    /// It ends when there is nothing left to do. Should it panic before, nobody may wait for it, and its connection is lost.
    fn drop(&mut self) {
        self.line.lose();
        let left = std::mem::take(&mut self.waiting.lock().left);
        drop(left);
    }
}

impl Courier {
    /// Hands out what was answered: whether there was anything.
    fn receive(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        while let Some(first) = self.under_way.front_mut()
            && let Poll::Ready(reply) = first.reply.as_mut().poll(cx)
            && let Some(batch) = self.under_way.pop_front()
        {
            self.commands -= batch.commands;
            if self.held.is_empty() && self.under_way.is_empty() {
                // Before they are woken, so that none of them finds what it left itself.
                let mut waiting = self.waiting.lock();
                waiting.busy = !waiting.left.requests.is_empty();
            }
            self.line.hand_out(batch.waits, reply);
            any = true;
        }
        any
    }

    /// Takes what was left: whether no more will be, and whether there was nothing. Then who leaves the next wakes this task, if it
    /// is to be woken.
    fn take(&mut self, woken: Option<&Context<'_>>) -> (bool, bool) {
        let mut waiting = self.waiting.lock();
        std::mem::swap(&mut waiting.left, &mut self.taken);
        let (closed, nothing) = (waiting.closed, self.taken.requests.is_empty());
        if nothing {
            waiting.courier = woken.map(|cx| cx.waker().clone());
            waiting.busy = !(self.held.is_empty() && self.under_way.is_empty());
        }
        let woken = waiting.woken.take();
        drop(waiting);
        let mut bytes = &self.taken.bytes[..];
        let mut next = |length| bytes.split_off(..length).unwrap_or_default();
        let since = Instant::now();
        if let Some(woken) = woken {
            self.lingering.iter_mut().for_each(|lingering| lingering.woken(since - woken));
        }
        for (spelled, caller) in self.taken.requests.drain(..) {
            let wait = Wait::new(since, caller);
            self.alarm.go_off_by(wait.until);
            let commands = match spelled {
                Spelled::Made(commands) => Made::Many(commands),
                Spelled::Read { key, lease, with_remaining } => {
                    let (key, lease) = (next(key), lease.map(|(lease, ms)| (next(lease), ms)));
                    Read { key, lease, with_remaining }.into()
                }
            };
            self.held.push_back(Request { commands, wait });
        }
        self.taken.bytes.clear();
        self.taken.spent.clear();
        (closed, nothing)
    }

    /// Sends what there is room for: whether there was anything.
    fn send(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        while let Some(mut batch) = self.next() {
            any = true;
            // The first look at it is what sends it.
            match batch.reply.as_mut().poll(cx) {
                Poll::Ready(reply) => self.line.hand_out(batch.waits, reply),
                Poll::Pending => {
                    self.commands += batch.commands;
                    self.under_way.push_back(batch);
                }
            }
        }
        any
    }

    fn next(&mut self) -> Option<Batch> {
        if self.held.is_empty() {
            return None;
        }
        let mut pipeline = Pipeline::with_capacity(self.held.len().min(self.room / TOGETHER));
        let mut waits = Vec::with_capacity(self.held.len().min(self.room / TOGETHER));
        while let Some(Request { commands, wait }) = self.held.pop_front() {
            let number = commands.len();
            if wait.caller.answer.is_closed() {
                // Whoever went away before it was sent has no use for it.
                self.line.give_up(&wait.caller);
                continue;
            }
            // One that is larger than all the room there is goes alone.
            let fits = self.commands + pipeline.len() + number <= self.room;
            if !(fits || self.under_way.is_empty() && waits.is_empty()) {
                self.held.push_front(Request { commands, wait });
                break;
            }
            waits.push((number, Some(wait)));
            commands.add_to(&mut pipeline);
            if pipeline.len() >= self.room / TOGETHER {
                break;
            }
        }
        let commands = pipeline.len();
        if commands == 0 {
            return None;
        }
        Some(Batch { waits, commands, reply: Box::pin(self.line.send(pipeline)) })
    }

    /// Ends the waits whose time is over.
    fn expire(&mut self, now: Instant) {
        let mut over = Vec::new();
        for request in std::mem::take(&mut self.held) {
            if request.wait.until <= now { over.push(request.wait) } else { self.held.push_back(request) }
        }
        for batch in &mut self.under_way {
            over.extend(batch.waits.iter_mut().filter_map(|(_, wait)| wait.take_if(|wait| wait.until <= now)));
        }
        self.under_way.retain(|batch| batch.waits.iter().any(|(_, wait)| wait.is_some()));
        self.commands = self.under_way.iter().map(|batch| batch.commands).sum();
        let held = self.held.iter().map(|request| &request.wait);
        let sent = self.under_way.iter().flat_map(|batch| &batch.waits).filter_map(|(_, wait)| wait.as_ref());
        if let Some(next) = held.chain(sent).map(|wait| wait.until).min() {
            self.alarm.go_off_by(next);
        }
        over.into_iter().for_each(|wait| self.line.fail(wait, false));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::line::Answer;
    use super::*;
    use crate::rt::io::oneshot;

    #[test]
    fn what_a_thread_has_read_goes_along_with_its_next_request() {
        let (most, longest) = KEPT;
        spent(Vec::with_capacity(longest + 1));
        (0..most + 1).for_each(|_| spent(vec![7; 100]));
        let outbox = Outbox(Arc::default());
        let ask = || {
            let caller = Caller { limit: Duration::MAX, probe: false, answer: Answer::Found(oneshot::channel().0) };
            outbox.leave(Commands::Read(Read { key: b"key", lease: None, with_remaining: false }), caller);
            outbox.0.lock().left.spent.len()
        };
        assert_eq!(ask(), most, "not more than it may keep, and none that is long");
        assert_eq!(ask(), most, "once");
        spent(vec![7; 100]);
        assert_eq!(ask(), most + 1);
    }
}

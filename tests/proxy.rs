//! A TCP proxy that does to a connection what networks do.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

/// A proxy before a server on this machine, on a runtime of its own. Bytes that came are never dropped on a connection that lives
/// on: a real network does not do that either.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Ends with the proxy; `None` only while it is dropped.
    runtime: Option<Runtime>,
}

/// What a connection is for, by what its client says on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Everything else.
    Data,
    /// It sent a large value.
    Large,
    /// Subscribed.
    Bus,
}

#[derive(Debug, Default)]
struct Shared {
    /// Where new connections lead.
    port: AtomicU16,
    /// In the order of [`Lane`].
    lanes: [Weather; 3],
    refuse: AtomicBool,
    /// When each connection was opened.
    accepted: Mutex<Vec<Instant>>,
    /// What the server says, and what clients hear instead.
    instead: Mutex<Option<(Vec<u8>, Vec<u8>)>>,
    connections: AtomicU64,
    turns: AtomicU64,
    /// Something in a lane changed.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Weather {
    /// Nothing that a client says reaches the server.
    hold_up: AtomicBool,
    /// Nothing that the server says reaches a client.
    hold_down: AtomicBool,
    /// For each piece of bytes, and up to so much more.
    delay: Mutex<(Duration, Duration)>,
    /// How often all connections were to end.
    cuts: AtomicU64,
}

impl Proxy {
    /// A proxy before the server on this port.
    #[must_use]
    pub fn before(port: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // Without waiting for it, so that a test that runs on a runtime may make one.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { port: AtomicU16::new(port), ..Shared::default() });
        let accepting = Arc::clone(&shared);
        runtime.spawn(async move { accept(TcpListener::from_std(listener).unwrap(), accepting).await });
        Self { address, shared, runtime: Some(runtime) }
    }

    /// `redis://` and its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Its host, and its port.
    #[must_use]
    pub fn address(&self) -> (String, String) {
        (self.address.ip().to_string(), self.address.port().to_string())
    }

    /// New connections lead to the server on this port.
    pub fn lead_to(&self, port: u16) {
        self.shared.port.store(port, SeqCst);
    }

    /// Each piece of bytes takes so long, in either direction, and up to `jitter` longer.
    pub fn delay(&self, by: Duration, jitter: Duration) {
        for weather in &self.shared.lanes {
            *weather.delay.lock().unwrap() = (by, jitter);
        }
    }

    /// Keeps back what clients say (`up`) and what the server says (`down`): neither side learns that the other is gone. Kept bytes
    /// go on their way when it is lifted.
    pub fn blackhole(&self, up: bool, down: bool) {
        for lane in [Lane::Data, Lane::Large, Lane::Bus] {
            self.blackhole_lane(lane, up, down);
        }
    }

    /// [`blackhole`](Self::blackhole) of one lane.
    pub fn blackhole_lane(&self, lane: Lane, up: bool, down: bool) {
        let weather = &self.shared.lanes[lane as usize];
        weather.hold_up.store(up, SeqCst);
        weather.hold_down.store(down, SeqCst);
        self.shared.changed.notify_waiters();
    }

    /// Ends all connections with RST.
    pub fn cut(&self) {
        for lane in [Lane::Data, Lane::Large, Lane::Bus] {
            self.cut_lane(lane);
        }
    }

    /// [`cut`](Self::cut) of one lane.
    pub fn cut_lane(&self, lane: Lane) {
        self.shared.lanes[lane as usize].cuts.fetch_add(1, SeqCst);
        self.shared.changed.notify_waiters();
    }

    /// From here on clients hear `instead`, of the same length, wherever the server says `this`.
    pub fn rewrite(&self, this: &[u8], instead: &[u8]) {
        assert_eq!(this.len(), instead.len());
        *self.shared.instead.lock().unwrap() = Some((this.to_vec(), instead.to_vec()));
    }

    /// Ends every new connection at once.
    pub fn refuse(&self, refuse: bool) {
        self.shared.refuse.store(refuse, SeqCst);
    }

    /// How many connections were opened so far, refused ones included.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.attempts().len() as u64
    }

    /// When each connection was opened so far, refused ones included.
    #[must_use]
    pub fn attempts(&self) -> Vec<Instant> {
        self.shared.accepted.lock().unwrap().clone()
    }

    /// How many are open.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(SeqCst)
    }

    /// How often the direction changed from client to server so far, over all connections: the number of round trips, where one
    /// client waits for each answer.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.shared.turns.load(SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // In an async test a runtime may not be waited for.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        shared.accepted.lock().unwrap().push(Instant::now());
        // Before it is looked whether to refuse it: what is refused from then on and cut is either the one or the other.
        let cuts = [0, 1, 2].map(|lane| shared.lanes[lane].cuts.load(SeqCst));
        let server = TcpStream::connect(("127.0.0.1", shared.port.load(SeqCst))).await;
        match server {
            Ok(server) if !shared.refuse.load(SeqCst) => {
                tokio::spawn(carry(client, server, cuts, Arc::clone(&shared)));
            }
            _ => {
                let _ = client.set_zero_linger();
            }
        }
    }
}

async fn carry(client: TcpStream, server: TcpStream, cuts: [u64; 3], shared: Arc<Shared>) {
    shared.connections.fetch_add(1, SeqCst);
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    // So that a cut is an RST, and not an orderly end.
    let _ = (client.set_zero_linger(), server.set_zero_linger());
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let server_spoke = AtomicBool::new(true);
    let lane = AtomicUsize::new(Lane::Data as usize);
    tokio::select! {
        () = pump(from_client, to_server, &shared, &lane, |weather| &weather.hold_up, |bytes| {
            if server_spoke.swap(false, SeqCst) {
                shared.turns.fetch_add(1, SeqCst);
            }
            if bytes.windows(SUBSCRIBE.len()).any(|part| part == SUBSCRIBE) {
                lane.store(Lane::Bus as usize, SeqCst);
            } else if bytes.len() == PIECE {
                lane.store(Lane::Large as usize, SeqCst);
            }
        }) => {}
        () = pump(from_server, to_client, &shared, &lane, |weather| &weather.hold_down, |bytes| {
            shared.say_instead(bytes);
            server_spoke.store(true, SeqCst);
        }) => {}
        () = shared.until(|| {
            let lane = lane.load(SeqCst);
            shared.lanes[lane].cuts.load(SeqCst) != cuts[lane]
        }) => {}
    }
    shared.connections.fetch_sub(1, SeqCst);
}

/// How much is carried at once, at most.
const PIECE: usize = 64 * 1024;
/// How a client says that a connection is one of the bus.
const SUBSCRIBE: &[u8] = b"\r\nSUBSCRIBE\r\n";

impl Shared {
    fn say_instead(&self, bytes: &mut [u8]) {
        let Some((this, instead)) = &*self.instead.lock().unwrap() else { return };
        for at in 0..(bytes.len() + 1).saturating_sub(this.len()) {
            if bytes[at..].starts_with(this) {
                bytes[at..at + this.len()].copy_from_slice(instead);
            }
        }
    }

    async fn until(&self, so: impl Fn() -> bool) {
        loop {
            // Registered before the look, so that a change between the two is not missed.
            let changed = self.changed.notified();
            if so() {
                return;
            }
            changed.await;
        }
    }
}

/// Carries bytes in one direction until an end closes.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    lane: &AtomicUsize,
    hold: impl Fn(&Weather) -> &AtomicBool,
    spoke: impl Fn(&mut [u8]),
) {
    let mut bytes = vec![0; PIECE];
    loop {
        let Ok(read @ 1..) = from.read(&mut bytes).await else { return };
        spoke(&mut bytes[..read]);
        let weather = || &shared.lanes[lane.load(SeqCst)];
        let (delay, jitter) = *weather().delay.lock().unwrap();
        if !(delay + jitter).is_zero() {
            let more = RandomState::new().hash_one(0) % (jitter.as_nanos() as u64 + 1);
            tokio::time::sleep(delay + Duration::from_nanos(more)).await;
        }
        shared.until(|| !hold(weather()).load(SeqCst)).await;
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

//! A TCP proxy that does to a connection what networks do.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

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

#[derive(Debug, Default)]
struct Shared {
    /// Nothing that a client says reaches the server.
    hold_up: AtomicBool,
    /// Nothing that the server says reaches a client.
    hold_down: AtomicBool,
    refuse: AtomicBool,
    /// For each piece of bytes, and up to so much more.
    delay: Mutex<(Duration, Duration)>,
    accepted: AtomicU64,
    connections: AtomicU64,
    turns: AtomicU64,
    /// Something above changed.
    changed: Notify,
    /// All connections are to end.
    cut: Notify,
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
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        runtime.spawn(async move { accept(TcpListener::from_std(listener).unwrap(), port, accepting).await });
        Self { address, shared, runtime: Some(runtime) }
    }

    /// `redis://` and its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Each piece of bytes takes so long, in either direction, and up to `jitter` longer.
    pub fn delay(&self, by: Duration, jitter: Duration) {
        *self.shared.delay.lock().unwrap() = (by, jitter);
    }

    /// Keeps back what clients say (`up`) and what the server says (`down`): neither side learns that the other is gone. Kept bytes
    /// go on their way when it is lifted.
    pub fn blackhole(&self, up: bool, down: bool) {
        self.shared.hold_up.store(up, SeqCst);
        self.shared.hold_down.store(down, SeqCst);
        self.shared.changed.notify_waiters();
    }

    /// Ends all connections with RST.
    pub fn cut(&self) {
        self.shared.cut.notify_waiters();
    }

    /// Ends every new connection at once.
    pub fn refuse(&self, refuse: bool) {
        self.shared.refuse.store(refuse, SeqCst);
    }

    /// How many connections were opened so far, refused ones included.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(SeqCst)
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

async fn accept(listener: TcpListener, port: u16, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        shared.accepted.fetch_add(1, SeqCst);
        let server = TcpStream::connect(("127.0.0.1", port)).await;
        match server {
            Ok(server) if !shared.refuse.load(SeqCst) => {
                tokio::spawn(carry(client, server, Arc::clone(&shared)));
            }
            _ => {
                let _ = client.set_zero_linger();
            }
        }
    }
}

async fn carry(client: TcpStream, server: TcpStream, shared: Arc<Shared>) {
    shared.connections.fetch_add(1, SeqCst);
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    // So that a cut is an RST, and not an orderly end.
    let _ = (client.set_zero_linger(), server.set_zero_linger());
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let server_spoke = AtomicBool::new(true);
    tokio::select! {
        () = pump(from_client, to_server, &shared, &shared.hold_up, || {
            if server_spoke.swap(false, SeqCst) {
                shared.turns.fetch_add(1, SeqCst);
            }
        }) => {}
        () = pump(from_server, to_client, &shared, &shared.hold_down, || server_spoke.store(true, SeqCst)) => {}
        () = shared.cut.notified() => {}
    }
    shared.connections.fetch_sub(1, SeqCst);
}

/// Carries bytes in one direction until an end closes.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, hold: &AtomicBool, spoke: impl Fn()) {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut bytes).await else { return };
        spoke();
        let (delay, jitter) = *shared.delay.lock().unwrap();
        if !(delay + jitter).is_zero() {
            let more = RandomState::new().hash_one(0) % (jitter.as_nanos() as u64 + 1);
            tokio::time::sleep(delay + Duration::from_nanos(more)).await;
        }
        loop {
            // Registered before the look, so that a change between the two is not missed.
            let changed = shared.changed.notified();
            if !hold.load(SeqCst) {
                break;
            }
            changed.await;
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

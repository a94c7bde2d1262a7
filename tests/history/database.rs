//! The source of truth: a map from keys to versions that any process may read and write, and whose every commit is one step.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::now;
use crate::Random;

const LOAD: u8 = 0;
const COMMIT: u8 = 1;
const REQUEST: usize = 17;

/// The database, and what happened to it.
#[derive(Debug)]
pub struct Database {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    versions: HashMap<u64, u64>,
    commits: Vec<Commit>,
    loads: Vec<Load>,
}

/// A commit.
#[derive(Clone, Copy, Debug)]
pub struct Commit {
    /// Of this key.
    pub key: u64,
    /// It made this version.
    pub version: u64,
    /// At this time.
    pub at: u64,
}

/// A load that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Of this key.
    pub key: u64,
    /// As its process numbered it.
    pub load: u64,
    /// What it read.
    pub version: u64,
    /// When it came in.
    pub start: u64,
    /// When it was answered.
    pub end: u64,
}

impl Database {
    /// An empty one; every key has version 0.
    ///
    /// # Panics
    ///
    /// If there is no port for it.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for (client, seed) in listener.incoming().zip(1..) {
                let state = Arc::clone(&shared);
                // Ends with the client.
                thread::spawn(move || client.and_then(|client| serve(client, &state, Random::seeded(seed))));
            }
        });
        Self { address, state }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every commit and every answered load so far.
    ///
    /// # Panics
    ///
    /// Never.
    #[must_use]
    pub fn logs(&self) -> (Vec<Commit>, Vec<Load>) {
        let state = self.state.lock().unwrap();
        (state.commits.clone(), state.loads.clone())
    }
}

fn serve(mut client: TcpStream, state: &Mutex<State>, mut random: Random) -> io::Result<()> {
    client.set_nodelay(true)?;
    loop {
        let mut request = [0; REQUEST];
        client.read_exact(&mut request)?;
        let start = now();
        let word = |at: usize| u64::from_le_bytes(request[at..at + 8].try_into().unwrap());
        let (key, load) = (word(1), word(9));
        let version = if request[0] == LOAD {
            // What is read is as of its begin, and is on its way for a while: that is when a commit overtakes it.
            let version = state.lock().unwrap().versions.get(&key).copied().unwrap_or(0);
            thread::sleep(latency(key, &mut random));
            state.lock().unwrap().loads.push(Load { key, load, version, start, end: now() });
            version
        } else {
            let mut state = state.lock().unwrap();
            let version = state.versions.entry(key).or_insert(0);
            *version += 1;
            let version = *version;
            state.commits.push(Commit { key, version, at: now() });
            version
        };
        client.write_all(&version.to_le_bytes())?;
    }
}

/// One key in four is slow: slower than a lease lasts, at times. One is slower than an answer may be old. One in four takes no time
/// to speak of.
fn latency(key: u64, random: &mut Random) -> Duration {
    Duration::from_micros(match key {
        15 => 600_000 + random.below(800_000),
        key if key % 4 == 3 => random.below(300_000),
        key if key % 4 == 1 => random.below(100),
        _ => random.below(3_000),
    })
}

/// A connection to the database.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    /// Missing while a request is under way: one that is given up half way takes its connection along.
    connection: Option<tokio::net::TcpStream>,
}

impl Client {
    /// Connects with the first request.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    /// Reads a key's version.
    ///
    /// # Errors
    ///
    /// The database is gone.
    pub async fn load(&mut self, key: u64, load: u64) -> io::Result<u64> {
        self.ask(LOAD, key, load).await
    }

    /// Gives a key its next version, and returns it.
    ///
    /// # Errors
    ///
    /// The database is gone.
    pub async fn commit(&mut self, key: u64) -> io::Result<u64> {
        self.ask(COMMIT, key, 0).await
    }

    async fn ask(&mut self, what: u8, key: u64, load: u64) -> io::Result<u64> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let connection = tokio::net::TcpStream::connect(self.address).await?;
                connection.set_nodelay(true)?;
                connection
            }
        };
        let request = [&[what][..], &key.to_le_bytes(), &load.to_le_bytes()].concat();
        connection.write_all(&request).await?;
        let version = connection.read_u64_le().await?;
        self.connection = Some(connection);
        Ok(version)
    }
}

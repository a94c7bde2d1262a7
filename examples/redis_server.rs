//! A Redis server for the examples: of this machine, on a free port, in a folder of its own.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

/// A server that keeps nothing on disk. It ends with this, also when the example panics.
pub(crate) struct RedisServer {
    pub(crate) port: u16,
    process: Child,
    folder: TempDir,
}

impl RedisServer {
    /// Starts one on a port that nobody has.
    pub(crate) fn start() -> io::Result<Self> {
        // Free again before the server takes it; should somebody be quicker, another is tried.
        let free = || Ok::<_, io::Error>(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
        let mut attempts = (0..5).map(|_| free().and_then(Self::start_on));
        let first = attempts.next().expect("five");
        first.or_else(|error| attempts.find_map(Result::ok).ok_or(error))
    }

    /// Starts one on this port, and returns when it answers.
    pub(crate) fn start_on(port: u16) -> io::Result<Self> {
        let folder = TempDir::new()?;
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--unixsocket", "socket"])
            .args(["--save", "", "--logfile", "log"])
            .current_dir(&folder)
            // Of a group of its own: Ctrl-C is for us to hear, and the server ends when we let it.
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound => io::Error::other(
                    "there is no `redis-server` on the PATH: install Redis 7.0 or newer \
                     (Debian and Ubuntu: `apt install redis-server`, macOS: `brew install redis`)",
                ),
                _ => error,
            })?;
        let mut server = Self { port, process, folder };
        let began = Instant::now();
        while !server.answers() {
            if let Some(status) = server.process.try_wait()? {
                return Err(io::Error::other(format!("redis-server ended at once on port {port}: {status}")));
            }
            if began.elapsed() > Duration::from_secs(10) {
                return Err(io::Error::other("redis-server does not answer"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    /// Asked by its socket, which nobody else has.
    fn answers(&self) -> bool {
        let mut answer = [0; 5];
        let asked = UnixStream::connect(self.folder.path().join("socket")).and_then(|mut server| {
            server.write_all(b"PING\r\n")?;
            server.read_exact(&mut answer)
        });
        asked.is_ok() && answer == *b"+PONG"
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// From this call on, hears whether somebody wants this process to end: Ctrl-C, `kill`, a terminal that is closed. A server
/// that is started before would be left behind.
pub(crate) fn told_to_end() -> io::Result<impl Future<Output = ()>> {
    let [mut interrupt, mut terminate, mut hang_up] =
        [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?];
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}

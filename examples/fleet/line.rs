//! The line between a node and Redis, where it can be cut.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What does not come through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cut {
    #[default]
    Nothing,
    /// The connection that is subscribed.
    Bus,
    Everything,
}

/// A proxy. What is cut is held back without a word to either side, as a network does it: both believe in the connection
/// until their own clocks tell them otherwise.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) port: u16,
    cut: watch::Sender<Cut>,
}

impl Line {
    /// A line to the server on this port.
    pub(crate) async fn to(server: u16) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (cut, state) = watch::channel(Cut::Nothing);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, state.clone()));
            }
        });
        Ok(Self { port, cut })
    }

    pub(crate) fn cut(&self, cut: Cut) {
        self.cut.send_replace(cut);
    }

    pub(crate) fn state(&self) -> Cut {
        *self.cut.borrow()
    }
}

async fn carry(client: TcpStream, server: u16, cut: watch::Receiver<Cut>) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", server)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let is_bus = Arc::new(AtomicBool::new(false));
    tokio::select! {
        ended = pump(from_client, to_server, cut.clone(), &is_bus) => ended,
        ended = pump(from_server, to_client, cut, &is_bus) => ended,
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut cut: watch::Receiver<Cut>,
    is_bus: &AtomicBool,
) -> io::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut bytes).await?;
        if read == 0 {
            return Ok(());
        }
        // Who subscribes is the bus. The server's answer repeats the word in small letters.
        if bytes[..read].windows(9).any(|word| word == b"SUBSCRIBE") {
            is_bus.store(true, Relaxed);
        }
        let passes = |cut: &Cut| match cut {
            Cut::Nothing => true,
            Cut::Bus => !is_bus.load(Relaxed),
            Cut::Everything => false,
        };
        if cut.wait_for(passes).await.is_err() {
            return Ok(());
        }
        to.write_all(&bytes[..read]).await?;
    }
}

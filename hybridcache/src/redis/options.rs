//! Where the server is, and how patient to be with it.

use std::fmt;
use std::time::Duration;

use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion};

use crate::error::{Error, ErrorKind};
use crate::rt::io::Handle;

/// How to reach a Redis server, and how patient to be with it.
///
/// ```
/// use std::time::Duration;
/// use hybridcache::RedisOptions;
///
/// let options = RedisOptions::new("redis://app:secret@cache.internal:6379/2").read_timeout(Duration::from_millis(100));
/// ```
///
/// The URL is one of `redis://[user[:password]@]host[:port][/database]`, `rediss://…` for TLS (feature `tls`), and
/// `unix:///path/to/socket[?db=…&user=…&pass=…]`. Reserved characters in a user or password are percent-encoded.
///
/// The server is Redis 7.0 or newer, or Valkey, as one master (with any number of replicas), and not a cluster.
///
/// Connections live on a thread of the library's own. If waking it takes 15 µs or more and the server answers within about 100 µs, the
/// thread stays awake between calls that follow each other closely, and occupies a processor meanwhile; on a machine with only one
/// it never does. With [`runtime`](Self::runtime), calls that come one at a time do without this thread.
#[derive(Clone)]
pub struct RedisOptions {
    url: String,
    tls: Tls,
    pub(super) connect_timeout: Duration,
    pub(super) read_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) breaker_threshold: u32,
    pub(super) breaker_open: Duration,
    pub(super) log_length: u32,
    pub(super) lazily: bool,
    pub(super) runtime: Option<Handle>,
}

#[derive(Clone, Default)]
struct Tls {
    ca: Option<Vec<u8>>,
    client: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for RedisOptions {
    /// Without the password and without keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions").field("server", &self.server()).finish_non_exhaustive()
    }
}

impl RedisOptions {
    /// A server by its URL, with the defaults for everything else.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            tls: Tls::default(),
            connect_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_millis(250),
            write_timeout: Duration::from_millis(500),
            breaker_threshold: 3,
            breaker_open: Duration::from_millis(250),
            log_length: 4096,
            lazily: false,
            runtime: None,
        }
    }

    /// Trust the certificates in this PEM text, and no others. Default: those that browsers trust.
    #[must_use]
    pub fn ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.ca = Some(pem.into());
        self
    }

    /// Show the server this certificate (PEM), to which this private key (PEM) belongs. Default: none.
    #[must_use]
    pub fn client_certificate(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.tls.client = Some((certificate.into(), key.into()));
        self
    }

    /// How long one attempt to connect may take, including TLS and log-in. Default: 1 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a read may take before the body runs instead. Default: 250 ms, which is enough for one lost packet (TCP sends it
    /// again after about 200 ms).
    #[must_use]
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// How long an evict, a put, a fill, or the read of a large value may take. Default: 500 ms.
    #[must_use]
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// After this many commands in a row that went unanswered, none is sent for a while: see
    /// [`breaker_open`](Self::breaker_open). Default: 3.
    #[must_use]
    pub fn breaker_threshold(mut self, failures: u32) -> Self {
        self.breaker_threshold = failures;
        self
    }

    /// For how long no command is sent to a server that does not answer. Then one is sent, and if that is answered, all are again.
    /// Default: 250 ms. At most 500 ms, so that a server that is back is soon in use.
    #[must_use]
    pub fn breaker_open(mut self, duration: Duration) -> Self {
        self.breaker_open = duration;
        self
    }

    /// About how many invalidations the server remembers for nodes that were away for a moment, so that these need not
    /// doubt everything they hold. Each costs about 200 bytes of server memory, and that of an `evict_many` as much as the texts of its
    /// keys, up to 64 KiB. 4096 evictions of 1 000 numbers each take 70 MB, and never do they take more than 270 MB. A node that missed
    /// more than 512 bytes for each message (and at least 1 MiB) doubts everything it holds, which is faster than going through that.
    /// Zero for none. Default: 4096.
    #[must_use]
    pub fn log_length(mut self, messages: u32) -> Self {
        self.log_length = messages;
        self
    }

    /// Go on when the server cannot be reached at first, and keep trying; until it is reached there is only memory. By default an
    /// unreachable server is an error. Wrong options, and a server that answers but cannot be used, always are.
    #[must_use]
    pub fn connect_lazily(mut self) -> Self {
        self.lazily = true;
        self
    }

    /// The runtime of the application. Calls that come one at a time are sent and answered there, over one more connection, and need
    /// not wait for another thread to wake twice. Calls that come together, plain functions, and callers on other runtimes use the
    /// library's own thread, as all do by default; for many calls at once that takes less of the processor.
    ///
    /// ```
    /// # use hybridcache::RedisOptions;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let options = RedisOptions::new("redis://localhost").runtime(tokio::runtime::Handle::current());
    /// # }
    /// ```
    ///
    /// It must have its I/O enabled, as that of `#[tokio::main]` has; if not, `build()` returns an error (with `panic = "abort"` the
    /// process ends instead). When the runtime ends, only that connection ends with it. Default: none.
    #[must_use]
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// The server in a form that may be shown: the URL without the user and the password.
    pub(super) fn server(&self) -> String {
        let (url, rest) = self.url.split_at(self.url.find(['?', '#']).unwrap_or(self.url.len()));
        let (scheme, url) = url.split_at(url.find("://").map_or(0, |at| at + 3));
        // Where a password has one of these and is not encoded, the URL ends within it.
        let server = if rest.contains('@') { "…" } else { url.rsplit('@').next().unwrap_or_default() };
        format!("{scheme}{server}")
    }

    pub(super) fn error(&self, reason: impl Into<String>) -> Error {
        ErrorKind::Remote { server: self.server(), reason: reason.into() }.into()
    }

    /// Checks what can be checked without a server. Returns the client, and the number of the database.
    pub(super) fn client(&self) -> Result<(Client, i64), Error> {
        if self.breaker_open > Duration::from_millis(500) || self.breaker_threshold == 0 {
            return Err(self.error("the breaker stays open for at most 500 ms, and opens after at least one failure"));
        }
        if [self.connect_timeout, self.read_timeout, self.write_timeout].contains(&Duration::ZERO) {
            return Err(self.error("a timeout of zero lets no command through"));
        }
        let info = self.url.as_str().into_connection_info().map_err(|error| {
            self.error(format!(
                "this is not the URL of a Redis server ({}); it is redis://[user[:password]@]host[:port][/database], \
                 rediss:// for TLS, or unix:///path/to/socket",
                error.detail().unwrap_or(error.category())
            ))
        })?;
        let database = info.redis_settings().db();
        let mut settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
        if settings.username().is_some() && settings.password().is_none() {
            // redis-rs logs nobody in who has no password, and whoever is not logged in is another user.
            settings = settings.set_password("");
        }
        let info = info.set_tcp_settings(tcp()).set_redis_settings(settings);
        Ok((self.open(info)?, database))
    }

    #[cfg(feature = "tls")]
    fn open(&self, info: ConnectionInfo) -> Result<Client, Error> {
        let Tls { ca, client } = self.tls.clone();
        if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            if ca.is_some() || client.is_some() {
                return Err(self.error("certificates were given, but only a URL of `rediss://` uses TLS"));
            }
            return Client::open(info).map_err(|error| self.error(error.to_string()));
        }
        // An application that has chosen a provider keeps it. Without one, and with several compiled in, rustls panics.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let client_tls = client.map(|(client_cert, client_key)| redis::ClientTlsConfig { client_cert, client_key });
        Client::build_with_tls(info, redis::TlsCertificates { client_tls, root_cert: ca })
            .map_err(|error| self.error(format!("the certificates cannot be used: {error}")))
    }

    #[cfg(not(feature = "tls"))]
    fn open(&self, info: ConnectionInfo) -> Result<Client, Error> {
        if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) || self.tls.ca.is_some() || self.tls.client.is_some() {
            return Err(self.error("TLS needs the feature `tls` of hybridcache"));
        }
        Client::open(info).map_err(|error| self.error(error.to_string()))
    }
}

/// A peer that vanished without a word is noticed within three seconds, idle or not.
fn tcp() -> TcpSettings {
    let second = Duration::from_secs(1);
    let keepalive = TcpKeepalive::new().with_time(second);
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "windows"))]
    let keepalive = keepalive.with_interval(second);
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    let keepalive = keepalive.with_retries(2);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let settings = settings.set_user_timeout(2 * second);
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for url in [
            "redis://app:s3cret@host:1/2",
            "redis://:s3cret@host",
            "unix:///a/socket?pass=s3cret",
            "s3cret@x",
            // Reserved characters that nobody has encoded.
            "redis://:s3cret#1@host",
            "redis://app:s3cret?@host:1/2",
            "redis://:@s3cret#@host",
            "unix:///a/socket?pass=@s3cret",
        ] {
            let options = RedisOptions::new(url);
            assert!(!format!("{options:?} {}", options.error("no")).contains("s3cret"), "{url}");
        }
        assert_eq!(RedisOptions::new("redis://app:p%40ss@host:1/2").server(), "redis://host:1/2");
    }

    #[test]
    fn options_that_cannot_work_are_refused_before_anything_connects() {
        let options = || RedisOptions::new("redis://localhost");
        assert!(options().client().is_ok());
        for wrong in [
            RedisOptions::new("http://localhost"),
            RedisOptions::new(""),
            RedisOptions::new("redis://localhost/seven"),
            options().read_timeout(Duration::ZERO),
            options().breaker_threshold(0),
            options().breaker_open(Duration::from_secs(1)),
            options().ca("-----BEGIN CERTIFICATE-----"),
        ] {
            let refused = wrong.client().map_err(|error| error.kind().clone());
            assert!(matches!(refused, Err(ErrorKind::Remote { .. })), "{wrong:?}");
        }
    }
}

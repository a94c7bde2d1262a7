//! Real Redis servers, one for each test that wants one: it takes about ten milliseconds.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// A redis-server on a free port, in a folder of its own. It ends with this, also when the test panics.
#[derive(Debug)]
pub struct RedisServer {
    folder: PathBuf,
    port: u16,
    tls_port: u16,
    options: Vec<String>,
    process: Mutex<Option<Child>>,
}

/// An answer of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// No value.
    Nil,
    /// An integer.
    Integer(i64),
    /// A string, or a status.
    Text(Vec<u8>),
    /// Several answers.
    Array(Vec<Reply>),
    /// A refusal.
    Error(String),
}

impl Reply {
    /// The text of the answer, or the number.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Integer(number) => number.to_string(),
            Self::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Self::Error(error) => error.clone(),
            Self::Nil => String::new(),
            Self::Array(replies) => replies.iter().map(Self::text).collect::<Vec<_>>().join(" "),
        }
    }
}

/// A certificate authority, and what it signed. PEM.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The authority's own certificate.
    pub ca: String,
    /// The certificate of `localhost`, and its key.
    pub server: (String, String),
    /// One of the same name that is of the past.
    pub expired: (String, String),
    /// A client's certificate, and its key.
    pub client: (String, String),
}

impl Certificates {
    /// A new authority.
    #[must_use]
    pub fn new() -> Self {
        // Each has its own name: a certificate whose issuer is called like itself passes for one that nobody signed.
        let named = |name: &str, hosts: &[&str]| {
            let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
            let mut params = CertificateParams::new(hosts).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        let mut params = named("authority", &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let sign = |params: CertificateParams| {
            let key = KeyPair::generate().unwrap();
            (params.signed_by(&key, &ca).unwrap().pem(), key.serialize_pem())
        };
        let server = named("server", &["localhost", "127.0.0.1"]);
        let mut expired = server.clone();
        expired.not_after = date_time_ymd(2000, 1, 1);
        Self { ca: ca.pem(), server: sign(server), expired: sign(expired), client: sign(named("client", &[])) }
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

impl RedisServer {
    /// A server that persists nothing.
    #[must_use]
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// A server with further options, such as `--maxmemory 1mb`: one string for each option with its values.
    #[must_use]
    pub fn with(options: &[&str]) -> Self {
        Self::launch(options, &[], false)
    }

    /// A server with these lines of `ACL` rules, such as `user app on >secret ~* &* +@all`. The default user stays as it is unless
    /// they say otherwise.
    #[must_use]
    pub fn with_users(users: &[&str]) -> Self {
        Self::launch(&["--aclfile users.acl"], &[("users.acl", &(users.join("\n") + "\n"))], false)
    }

    /// A server with a TLS port too; with `mutual`, it wants to see a client's certificate there.
    #[must_use]
    pub fn with_tls(certificates: &Certificates, mutual: bool) -> Self {
        let files = [
            ("ca.pem", certificates.ca.as_str()),
            ("server.pem", &certificates.server.0),
            ("server.key", &certificates.server.1),
        ];
        let options = [
            "--tls-cert-file server.pem",
            "--tls-key-file server.key",
            "--tls-ca-cert-file ca.pem",
            if mutual { "--tls-auth-clients yes" } else { "--tls-auth-clients no" },
        ];
        Self::launch(&options, &files, true)
    }

    fn launch(options: &[&str], files: &[(&str, &str)], tls: bool) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("hybridcache-redis-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        for (name, content) in files {
            fs::write(folder.join(name), content).unwrap();
        }
        let options = options.iter().flat_map(|option| option.split(' ')).map(str::to_owned).collect();
        let mut server = Self { folder, port: 0, tls_port: 0, options, process: Mutex::new(None) };
        // Another process may take the port between our look and the server's.
        for _ in 0..10 {
            server.port = free_port();
            server.tls_port = if tls { free_port() } else { 0 };
            if server.run() {
                return server;
            }
        }
        panic!("redis-server does not start: {}", server.log());
    }

    /// Whether it came up.
    fn run(&self) -> bool {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--unixsocket", "socket"]);
        if self.tls_port != 0 {
            command.args(["--tls-port", &self.tls_port.to_string()]);
        }
        command.args(["--save", "", "--enable-debug-command", "yes", "--logfile", "log"]).args(&self.options);
        let _ = fs::remove_file(self.socket());
        let child = command.current_dir(&self.folder).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("redis-server is needed (tests/run installs it): {error}"));
        *self.process.lock().unwrap() = Some(child);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            if self.answers() {
                return true;
            }
            if self.process.lock().unwrap().as_mut().unwrap().try_wait().unwrap().is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        false
    }

    /// Whether it says anything. One that finds its port taken may go between any two of these steps.
    fn answers(&self) -> bool {
        let Ok(mut socket) = UnixStream::connect(self.socket()) else { return false };
        let mut line = String::new();
        let asked = socket.write_all(b"PING\r\n").is_ok();
        asked && BufReader::new(socket).read_line(&mut line).is_ok() && !line.is_empty()
    }

    /// `redis://` and its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// `rediss://` and its address.
    #[must_use]
    pub fn tls_url(&self) -> String {
        format!("rediss://localhost:{}", self.tls_port)
    }

    /// `unix://` and its socket.
    #[must_use]
    pub fn unix_url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens for TLS.
    #[must_use]
    pub fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// What it wrote into its log.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// Stops it in the middle of whatever it does (SIGSTOP): connections stay, and nothing is answered.
    pub fn pause(&self) {
        let process = WaitId::Pid(self.signal(Signal::STOP));
        // A signal is only sent: on a busy machine the server answers for a while yet.
        waitid(process, WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT).unwrap();
    }

    /// Lets it go on after [`pause`](Self::pause).
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) -> Pid {
        let process = self.process.lock().unwrap();
        let child = process.as_ref().expect("it runs");
        let pid = Pid::from_raw(child.id().cast_signed()).expect("a process has a number");
        kill_process(pid, signal).unwrap();
        pid
    }

    /// Ends it at once (SIGKILL). What it had in memory is gone.
    pub fn kill(&self) {
        if let Some(mut child) = self.process.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again on the same port after [`kill`](Self::kill): empty, or with what it last saved by `SAVE`.
    pub fn restart(&self) {
        assert!(self.run(), "redis-server does not start again: {}", self.log());
    }

    /// Removes what it last saved, so that it starts empty again.
    pub fn forget(&self) {
        let _ = fs::remove_file(self.folder.join("dump.rdb"));
    }

    /// Sends a command, as the default user, and returns the answer.
    ///
    /// # Panics
    ///
    /// If the server is gone.
    pub fn ask(&self, command: &[impl AsRef<[u8]>]) -> Reply {
        let mut socket = UnixStream::connect(self.socket()).unwrap();
        let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
        for argument in command {
            let argument = argument.as_ref();
            bytes.extend(format!("${}\r\n", argument.len()).into_bytes());
            bytes.extend_from_slice(argument);
            bytes.extend_from_slice(b"\r\n");
        }
        socket.write_all(&bytes).unwrap();
        reply(&mut BufReader::new(socket))
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder as &Path);
    }
}

/// A port that nobody has at this moment.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn reply(from: &mut impl BufRead) -> Reply {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    let Some((kind, rest)) = line.trim_end().split_at_checked(1) else { return Reply::Nil };
    let length = || rest.parse::<i64>().unwrap();
    match kind {
        "+" => Reply::Text(rest.as_bytes().to_vec()),
        "-" => Reply::Error(rest.to_owned()),
        ":" => Reply::Integer(length()),
        _ if length() < 0 => Reply::Nil,
        "$" => {
            let mut text = vec![0; length() as usize + 2];
            from.read_exact(&mut text).unwrap();
            text.truncate(text.len() - 2);
            Reply::Text(text)
        }
        "*" => Reply::Array((0..length()).map(|_| reply(from)).collect()),
        kind => panic!("no such answer: {kind}"),
    }
}

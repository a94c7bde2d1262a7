//! Finding out at the start what would otherwise go wrong in the night: a right that is missing, a bus that is deaf.

use std::sync::Weak;
use std::time::{Duration, Instant};

use redis::{Pipeline, Value};

use super::link::Trouble;
use super::{Names, RedisDriver};
use crate::driver::{Driver, Fault};
use crate::error::Error;
use crate::nonce::nonce;
use crate::rt::io;

/// How often a driver that began without a server looks whether it has one.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

impl RedisDriver {
    /// Does once, on keys of its own, everything that the driver ever does. Why the server cannot say yet, if it cannot: it is loading
    /// its data, say.
    pub(super) async fn probe(&self) -> Result<Result<(), String>, Error> {
        let limit = self.options.connect_timeout;
        let [string, hash, stream] =
            ["string", "hash", "stream"].map(|kind| format!("{}!{:032x}{kind}", self.prefix(), nonce()));
        let echo = self.subscriber.echo();
        let mut all = Pipeline::new();
        all.cmd("SET").arg(&string).arg("").arg("NX").arg("GET").arg("PX").arg(60_000);
        all.cmd("GET").arg(&string).cmd("GETRANGE").arg(&string).arg(0).arg(0);
        all.cmd("SETRANGE").arg(&string).arg(0).arg("!").cmd("PTTL").arg(&string);
        all.cmd("HSET").arg(&hash).arg("n").arg(0).cmd("HINCRBY").arg(&hash).arg("n").arg(1);
        all.cmd("HGET").arg(&hash).arg("n").cmd("HMGET").arg(&hash).arg("n").cmd("HGETALL").arg(&hash);
        all.cmd("XADD").arg(&stream).arg("1-0").arg("m").arg("").cmd("XRANGE").arg(&stream).arg("-").arg("+");
        for key in [&string, &hash, &stream] {
            // Should it not be removed: that may be the right that is missing.
            all.cmd("PEXPIRE").arg(key).arg(60_000);
        }
        all.cmd("HDEL").arg(&hash).arg("n").cmd("UNLINK").arg(&string).arg(&hash).arg(&stream);
        all.cmd("EVAL").arg("return 1").arg(0).cmd("EVALSHA").arg("0".repeat(40)).arg(0);
        all.cmd("TIME").cmd("PING");
        for channel in &self.names.channels {
            all.cmd("PUBLISH").arg(channel).arg(&echo);
        }
        let answers = match self.small.ask_all(&all, limit).await {
            Ok(answers) => answers,
            Err(fault) => return Ok(Err(format!("the test of rights failed: {fault}"))),
        };
        let mut missing = Vec::new();
        for (command, answer) in all.cmd_iter().zip(&answers) {
            let Value::ServerError(error) = answer else { continue };
            let name = command.args_iter().next();
            let name = match name {
                Some(redis::Arg::Simple(name)) => String::from_utf8_lossy(name).into_owned(),
                _ => String::new(),
            };
            match error.code() {
                "NOPERM" => missing.push(right(&name, error.details().unwrap_or_default(), &self.names)),
                // Nobody has such a script: that it may be run is all.
                "NOSCRIPT" => {}
                // The memory is full, and that passes.
                "OOM" => {}
                code => {
                    let why = refusal(code, error.details().unwrap_or_default());
                    let passes = ["LOADING", "BUSY", "MASTERDOWN", "NOREPLICAS", "MISCONF"].contains(&code);
                    return if passes { Ok(Err(why)) } else { Err(self.options.error(why)) };
                }
            }
        }
        missing.dedup();
        if !missing.is_empty() {
            return Err(self.options.error(lacking(&missing)));
        }
        if let Err(fault) = self.listen(limit).await? {
            return Ok(Err(format!("the connection of the bus failed: {fault}")));
        }
        if let Some(harm) = self.harm_of_policy(limit).await {
            tracing::warn!(server = %self.options.server(), "{harm}");
        }
        Ok(Ok(()))
    }

    /// The messages above were published before this asks, and so they are in when it is answered.
    async fn listen(&self, limit: Duration) -> Result<Result<(), Fault>, Error> {
        let start = Instant::now();
        loop {
            if let Err(fault) = self.bus.ask(redis::cmd("PING"), limit).await {
                return Ok(Err(fault));
            }
            let silent = self.subscriber.silent();
            if silent.is_empty() {
                return Ok(Ok(()));
            }
            if start.elapsed() > limit {
                return Err(self.options.error(format!(
                    "the bus is deaf: a message published on `{}` did not come back within {limit:?}, so that no \
                     node would hear of another's evicts",
                    silent.join("` and `")
                )));
            }
            // Through a proxy the two connections need not end at the same server thread.
            io::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What will go wrong with the way in which the server makes room, where the user may ask for it (`+info`).
    pub(super) async fn harm_of_policy(&self, limit: Duration) -> Option<String> {
        let mut info = redis::cmd("INFO");
        info.arg("memory");
        let text = match self.small.ask(info, limit).await.ok()? {
            Value::BulkString(text) => String::from_utf8_lossy(&text).into_owned(),
            Value::VerbatimString { text, .. } => text,
            _ => return None,
        };
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let policy = field("maxmemory_policy:");
        let harm = match policy {
            _ if field("maxmemory:") == "0" => return None,
            "volatile-ttl" => "evicts first what ends soonest, and those are the leases of loads under way",
            policy if policy.starts_with("allkeys") => {
                "may evict the few keys that hold the numbers of the bus, and each time all nodes drop all they hold"
            }
            _ => return None,
        };
        Some(format!("the eviction policy {policy} {harm}; volatile-lru or volatile-lfu fits"))
    }

    /// What all keys of the namespace begin with.
    fn prefix(&self) -> &str {
        self.names.sequences[0].trim_end_matches('q')
    }
}

/// Waits until a driver that began without a server has one, and tests it then. What is wrong can only be logged.
pub(super) async fn when_reached(driver: Weak<RedisDriver>) {
    loop {
        io::sleep(LOOK_AGAIN).await;
        let Some(driver) = driver.upgrade() else { return };
        let health = driver.health();
        if !health.connected || !health.subscribed {
            continue;
        }
        match driver.probe().await {
            Ok(Ok(())) => return,
            Ok(Err(_)) => {}
            Err(error) => return tracing::error!(%error, "the remote tier was reached, and cannot be used"),
        }
    }
}

/// Nothing is wrong, but nobody is there.
pub(super) fn unreachable(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::TimedOut(_) => true,
        Trouble::Failed(error) => error.code().is_none() && error.is_io_error() && !tls(error),
        Trouble::Unfit(_) | Trouble::Homeless => false,
    }
}

fn tls(error: &redis::RedisError) -> bool {
    ["certificate", "alert", "InvalidContentType", "corrupt message"]
        .iter()
        .any(|word| error.to_string().contains(word))
}

/// The server may well be there: this process, or the machine, has as many files open as it may (`EMFILE`, `ENFILE`).
pub(super) fn starved(trouble: &Trouble) -> bool {
    let why = trouble.to_string();
    ["(os error 24)", "(os error 23)"].iter().any(|number| why.contains(number))
}

/// Why there is no connection, for a person.
pub(super) fn explain(trouble: &Trouble, server: &str, names: &Names) -> String {
    let error = match trouble {
        Trouble::Failed(error) => error,
        Trouble::TimedOut(_) if server.starts_with("rediss") || server.starts_with("valkeys") => {
            return format!(
                "{trouble}; a server that does not speak TLS on this port does not answer: is it `redis://`?"
            );
        }
        trouble => return trouble.to_string(),
    };
    let detail = error.to_string();
    match (error.code(), error.detail().unwrap_or_default()) {
        (Some("NOPERM"), said) => return lacking(&[right(said.split('\'').nth(1).unwrap_or_default(), said, names)]),
        (Some(code), said) => return refusal(code, said),
        _ => {}
    }
    let advice = match &detail[..] {
        detail if detail.contains("UnknownIssuer") || detail.contains("BadSignature") => {
            "the certificate of the server is signed by nobody we trust: give its `ca`"
        }
        detail if detail.contains("not valid for") => {
            "the certificate of the server is for another name than the URL's"
        }
        detail if detail.contains("certificate expired") || detail.contains("not valid yet") => {
            "the certificate of the server has expired, or is not valid yet"
        }
        detail if detail.contains("Parse error") => "what listens there does not speak the protocol of Redis",
        detail if detail.contains("CertificateRequired") || detail.contains("HandshakeFailure") => {
            "the server wants a `client_certificate`"
        }
        detail if detail.contains("InvalidContentType") || detail.contains("corrupt message") => {
            "the server does not speak TLS on this port: is it `redis://`?"
        }
        _ if error.is_connection_refusal() => "nobody listens there",
        _ if error.is_connection_dropped() => {
            "the server ended the connection at once: if its port is for TLS the URL is `rediss://`, and it may have as \
             many clients as it takes (`maxclients`)"
        }
        _ => "no connection",
    };
    format!("{advice} ({detail})")
}

/// What an error of the server means, for a person.
fn refusal(code: &str, detail: &str) -> String {
    match code {
        "WRONGPASS" => "the user or the password is wrong".to_owned(),
        "NOAUTH" => "it wants a password, and the URL has none".to_owned(),
        "READONLY" => "it is a replica, and only a master takes writes".to_owned(),
        "NOPROTO" => "it does not speak RESP3, which Redis does since 6.0; 7.0 or newer is needed".to_owned(),
        "LOADING" => "it is still loading its data".to_owned(),
        "ERR" if detail.contains("DB index") => "it has no database of this number".to_owned(),
        "ERR" if detail.contains("max number of clients") => {
            "it has as many clients as it takes (`maxclients`)".to_owned()
        }
        "ERR" if detail.contains("unknown command") => {
            format!("it lacks a command, and Redis 7.0 or newer is needed: {detail}")
        }
        code => format!("{code} {detail}"),
    }
}

fn lacking(rights: &[String]) -> String {
    format!("the user lacks rights: `ACL SETUSER … {}`", rights.join(" "))
}

/// The right that a command was refused for the lack of.
// `… to run the '…' command`, or `… to access` what Redis 7.0 calls `one of the keys used as arguments`, later ones `a key`, and Valkey by
// its name.
pub(super) fn right(command: &str, said: &str, names: &Names) -> String {
    let all = names.floors.trim_end_matches("m}f");
    match said.rsplit_once("to access ") {
        None => format!("+{}", command.to_lowercase()),
        Some((_, what)) if what.ends_with("channel") || what.contains("of the channels") => format!("&{all}*"),
        Some(_) => format!("~{all}*"),
    }
}

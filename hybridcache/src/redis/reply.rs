//! What the server answered, in our terms.

use std::time::Duration;

use redis::Value;

use crate::coherence::node::Mark;
use crate::driver::{Fault, Found};
use crate::nonce::Nonce;

/// The answer, unless it is a refusal.
pub(super) fn accepted(value: Value) -> Result<Value, Fault> {
    match value {
        Value::ServerError(error) => Err(Fault::Refused { code: error.code().to_owned() }),
        value => Ok(value),
    }
}

/// An answer of a shape that no Redis gives to what was asked.
pub(super) fn strange() -> Fault {
    Fault::Refused { code: "UNEXPECTED".to_owned() }
}

pub(super) fn bytes(value: Value) -> Result<Option<Vec<u8>>, Fault> {
    match accepted(value)? {
        Value::BulkString(bytes) => Ok(Some(bytes)),
        Value::Nil => Ok(None),
        _ => Err(strange()),
    }
}

pub(super) fn integer(value: Value) -> Result<i64, Fault> {
    match accepted(value)? {
        Value::Int(integer) => Ok(integer),
        _ => Err(strange()),
    }
}

/// Of a read: the record, behind what was left of it where that was asked for.
///
/// Interleaving that the end of nothing defeats: nothing is there, and `PTTL` says so; what follows it is in another packet, and comes
/// late; another process loads and fills meanwhile; the record is read, seems to have no end, and memory serves it for ever.
pub(super) fn found(first: Option<Value>, second: Option<Value>) -> Result<Found, Fault> {
    let (record, left) = match second {
        Some(record) => (Some(record), first),
        None => (first, None),
    };
    let remaining = left.map(remaining).transpose()?.flatten();
    let record = bytes(record.ok_or_else(strange)?)?;
    Ok(Found { remaining: remaining.filter(|_| record.is_some()), record })
}

/// Of `PTTL`: what is left, if there is an end. Of nothing, nothing is.
pub(super) fn remaining(value: Value) -> Result<Option<Duration>, Fault> {
    Ok(match integer(value)? {
        -1 => None,
        left => Some(Duration::from_millis(u64::try_from(left).unwrap_or(0))),
    })
}

pub(super) fn array(value: Value) -> Result<Vec<Value>, Fault> {
    match accepted(value)? {
        Value::Array(values) => Ok(values),
        _ => Err(strange()),
    }
}

/// Of `HMGET q e n c`: where a partition stands, if it has a number that can be one.
pub(super) fn mark(value: Value) -> Result<Option<Mark>, Fault> {
    let fields: Result<Vec<_>, _> = array(value)?.into_iter().map(bytes).collect();
    let [Some(epoch), Some(number), Some(chain)] = &fields?[..] else { return Ok(None) };
    // As for the scripts: one that they can count up from.
    let number = std::str::from_utf8(number).ok().filter(|number| number.len() < 16);
    let number = number.and_then(|number| number.parse().ok());
    Ok(match (nonce(epoch), number, nonce(chain)) {
        (Some(epoch), Some(number), Some(chain)) => Some(Mark { epoch, number, chain }),
        _ => None,
    })
}

pub(super) fn nonce(bytes: &[u8]) -> Option<Nonce> {
    bytes.try_into().ok().map(Nonce::from_be_bytes)
}

/// Of `HELLO`: whether this is a server that we can use, and if not why.
pub(super) fn greeting(value: Value) -> Result<(), String> {
    let Value::Map(fields) = accepted(value).map_err(|fault| fault.to_string())? else {
        return Err("it does not speak RESP3".to_owned());
    };
    let field =
        |name: &str| fields.iter().find(|(key, _)| text(key) == name).map(|(_, value)| text(value)).unwrap_or_default();
    let version = field("version");
    let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    match (field("mode"), field("role")) {
        _ if major < 7 => Err(format!("its version is {version}, and 7.0 or newer is needed")),
        ("cluster", _) => Err("it is part of a cluster, and one master is needed".to_owned()),
        ("sentinel", _) => Err("it is a sentinel: give the address of the master it watches".to_owned()),
        (_, "master") => Ok(()),
        (_, role) => Err(format!("it is a {role}, and only a master takes writes")),
    }
}

fn text(value: &Value) -> &str {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
        Value::SimpleString(text) => text,
        _ => "",
    }
}

/// Of a script that took a number: where the partition stands now, and whether a record was put.
pub(super) fn taken(value: Value) -> Result<(Mark, bool), Fault> {
    let values = array(value)?;
    let [Value::BulkString(epoch), Value::Int(number), Value::BulkString(chain), more @ ..] = &values[..] else {
        return Err(strange());
    };
    match (nonce(epoch), u64::try_from(*number), nonce(chain)) {
        (Some(epoch), Ok(number), Some(chain)) => Ok((Mark { epoch, number, chain }, more == [Value::Int(1)])),
        _ => Err(strange()),
    }
}

/// A field of a hash, and its value.
type Field = (Vec<u8>, Vec<u8>);

/// Of `HGETALL`. What is no hash is as good as empty.
pub(super) fn table(value: Value) -> Result<Vec<Field>, Fault> {
    match accepted(value) {
        Ok(Value::Map(fields)) => {
            fields.into_iter().map(|(name, value)| bytes(name)?.zip(bytes(value)?).ok_or_else(strange)).collect()
        }
        Err(Fault::Refused { code }) if code == "WRONGTYPE" => Ok(Vec::new()),
        Err(fault) => Err(fault),
        Ok(_) => Err(strange()),
    }
}

/// The floors of caches, by their names; `None` if one of them is no floor.
pub(super) fn floors(table: Vec<Field>) -> Option<Vec<(String, u64)>> {
    let floor =
        |(name, number): Field| Some((String::from_utf8(name).ok()?, std::str::from_utf8(&number).ok()?.parse().ok()?));
    table.into_iter().map(floor).collect()
}

/// An entry of the log, `[id, [m, message]]`: the id and the message.
pub(super) fn logged(value: Value) -> Result<Field, Fault> {
    let [id, fields] = <[Value; 2]>::try_from(array(value)?).map_err(|_| strange())?;
    let [_, message] = <[Value; 2]>::try_from(array(fields)?).map_err(|_| strange())?;
    bytes(id)?.zip(bytes(message)?).ok_or_else(strange)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeted(fields: &[(&str, &str)]) -> Result<(), String> {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        greeting(Value::Map(fields.iter().map(|(name, value)| (text(name), text(value))).collect()))
    }

    #[test]
    fn what_was_put_behind_the_question_how_long_it_lives_is_not_kept() {
        let found = |left| {
            let record = Value::BulkString(b"record".to_vec());
            found(Some(Value::Int(left)), Some(record)).unwrap().remaining
        };
        assert_eq!([found(-1), found(-2), found(0)], [None, Some(Duration::ZERO), Some(Duration::ZERO)]);
        assert_eq!(found(1_500), Some(Duration::from_millis(1_500)));
    }

    #[test]
    fn servers_are_judged_by_how_they_greet() {
        let of_version = |version| greeted(&[("version", version), ("mode", "standalone"), ("role", "master")]);
        for version in ["7.0.0", "7.0.15", "7.2.4", "8.4.0", "10.0.0", "255.255.255"] {
            assert_eq!(of_version(version), Ok(()), "{version}");
        }
        for version in ["6.2.14", "6.0.0", "2.8", "", "unstable"] {
            let reason = format!("its version is {version}, and 7.0 or newer is needed");
            assert_eq!(of_version(version), Err(reason));
        }
        let as_it = |mode, role| greeted(&[("version", "7.0.15"), ("mode", mode), ("role", role)]).unwrap_err();
        assert!(as_it("cluster", "master").contains("cluster"));
        assert!(as_it("sentinel", "").contains("sentinel"));
        assert!(as_it("standalone", "replica").contains("replica"));
        assert_eq!(greeting(Value::Okay), Err("it does not speak RESP3".to_owned()));
    }
}

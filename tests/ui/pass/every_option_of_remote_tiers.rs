//! Every option of a remote tier in its forms. Without a manager that has one, entries are kept in memory.
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hybridcache::cached;
use hybridcache::codec::{BoxError, Codec, Protobuf, Shared};
use hybridcache_tests::on_tokio;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const LAG: Duration = Duration::from_millis(200);

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Id(u64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: Id,
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Message {
    #[prost(uint64, tag = "1")]
    id: u64,
}

#[cached(ttl = "60s", tier = hybrid)]
async fn user(id: Id, lang: &str) -> Result<User, std::io::Error> {
    Ok(User { name: format!("{}{lang}", id.0), id })
}

#[cached(
    ttl = "60s",
    sliding,
    tier = hybrid,
    codec = bincode,
    compress(lz4, min = 1024),
    consistency = bounded,
    single_flight = process,
    lease = "10s",
    settle = LAG,
    degraded_ttl = "500ms",
    on_outage = queue,
    max_value_bytes = "1MiB"
)]
fn everything(id: u64, path: &Path, more: Option<&str>, ids: &[u64]) -> Vec<String> {
    vec![format!("{id}{}{more:?}{ids:?}", path.display())]
}

#[cached(ttl = "forever", tier = hybrid, codec = json, consistency = eventual, max_disconnected = "30s", compress = zstd)]
fn eventual(id: u64) -> Option<u64> {
    Some(id)
}

#[cached(sliding = "5m", max_age = "1h", tier = redis, codec = postcard, compress(zstd, min = "4KiB"), on_outage = fail)]
fn redis(id: u64) -> u64 {
    id
}

#[cached(sliding = "5m", tier = redis, codec = msgpack, compress(lz4), none_ttl = "1s")]
fn slides(id: u64) -> Option<Arc<User>> {
    (id > 0).then(|| Arc::new(User { id: Id(id), name: String::new() }))
}

#[cached(ttl = "60s", tier = hybrid, codec = protobuf)]
async fn message(id: u64) -> Message {
    Message { id }
}

#[cached(ttl = "60s", tier = hybrid, codec = Shared(Protobuf))]
async fn shared(id: u64) -> Arc<Message> {
    Arc::new(Message { id })
}

mod own {
    pub struct Packed;
}

impl Codec<u64> for own::Packed {
    const ID: u8 = 200;

    fn encode(&self, value: &u64, into: &mut Vec<u8>) -> Result<(), BoxError> {
        into.extend_from_slice(&value.to_be_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<u64, BoxError> {
        Ok(u64::from_be_bytes(bytes.try_into()?))
    }
}

#[cached(ttl = "60s", tier = redis, codec = own::Packed, key(tenth: Id = Id(id / 10)))]
async fn packed(id: u64) -> u64 {
    id
}

#[cached(ttl = "60s", tier = hybrid)]
fn generic<T, const N: usize>(of: T) -> Vec<T>
where
    T: Clone + Eq + std::hash::Hash + Send + Sync + Serialize + DeserializeOwned + 'static,
{
    vec![of; N]
}

struct Repo<T> {
    kind: T,
}

impl<T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> Repo<T> {
    #[cached(ttl = "60s", tier = hybrid, skip(self))]
    pub async fn find(&self, path: PathBuf) -> Option<(T, PathBuf)> {
        Some((self.kind.clone(), path))
    }
}

trait Users {
    fn named(&self, name: &str) -> impl Future<Output = Option<User>> + Send;
}

impl Users for Repo<u64> {
    #[cached(ttl = "60s", tier = hybrid, codec = json, skip(self), name = "users by name")]
    async fn named(&self, name: &str) -> Option<User> {
        Some(User { id: Id(self.kind), name: name.to_owned() })
    }
}

fn main() {
    for _ in 0..2 {
        assert_eq!(everything(1, Path::new("a"), Some("b"), &[2]), ["1aSome(\"b\")[2]"]);
        assert_eq!((eventual(1), redis(2), slides(0)), (Some(1), 2, None));
        assert_eq!((generic::<_, 2>(7_u8), generic::<_, 1>(7_u8)), (vec![7, 7], vec![7]));
    }
    assert_eq!((everything::stats().hits, eventual::stats().hits), (1, 1));
    let name = |cache: &str| cache.rsplit("::").next().unwrap().to_owned();
    assert_eq!(name(generic::cache::<u8, 2>().name()), "generic<u8, 2>");
    on_tokio(1, async || {
        let repo = Repo { kind: 7_u64 };
        for _ in 0..2 {
            assert_eq!(user(Id(1), "en").await.unwrap().name, "1en");
            assert_eq!((message(1).await.id, shared(2).await.id, packed(31).await), (1, 2, 31));
            assert_eq!(repo.find(PathBuf::from("a")).await, Some((7, PathBuf::from("a"))));
            assert_eq!(repo.named("Ada").await.unwrap().name, "Ada");
        }
        assert_eq!((user::stats().hits, user::peek(&Id(1), "en").await.unwrap().id), (1, Id(1)));
        user::evict(&Id(1), "en").await.unwrap();
        assert_eq!((user::peek(&Id(1), "en").await, packed(39).await), (None, 31));
    });
}

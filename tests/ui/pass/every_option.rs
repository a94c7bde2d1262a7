//! Every option in its forms.
use std::sync::LazyLock;
use std::time::Duration;

use hybridcache::{Cache, cached};
use hybridcache_tests::on_tokio;

const LIFE: Duration = Duration::from_secs(60);
const NAME: &str = "named by a constant";

static SHARED: LazyLock<Cache<u64, String>> = LazyLock::new(|| Cache::builder("shared").build().unwrap());

#[derive(Debug, PartialEq)]
struct Unclonable(u64);

#[cached(ttl = LIFE * 2, sliding = LIFE / 2, max_age = "1h", jitter = 0.1)]
fn lifetimes(id: u64) -> u64 {
    id
}

#[cached(ttl = "forever", name = NAME, version = 2, single_flight = off)]
fn forever(id: u64) -> u64 {
    id
}

#[cached(ttl = "1h 30m", sliding, capacity = 10 * 10, policy = s3fifo, tier = memory)]
fn spaced(id: u64) -> u64 {
    id
}

#[cached(policy = lru)]
fn lru(id: u64) -> u64 {
    id
}

#[cached(policy = lfu)]
fn lfu(id: u64) -> u64 {
    id
}

#[cached(policy = fifo)]
fn fifo(id: u64) -> u64 {
    id
}

#[cached(policy = mru)]
fn mru(id: u64) -> u64 {
    id
}

#[cached(policy = clock)]
fn clock(id: u64) -> u64 {
    id
}

#[cached(policy = adaptive)]
fn adaptive(id: u64) -> u64 {
    id
}

#[cached(max_weight = 1 << 20, weigh = weigh, store_if = keeps)]
fn weighed(id: u64) -> String {
    "x".repeat(id as usize)
}

fn weigh(_: &u64, value: &String) -> u64 {
    value.len() as u64
}

fn keeps(value: &String) -> bool {
    value.len() < 10
}

#[cached(cache_none, none_ttl = "10s", err_ttl = Duration::from_secs(1), cache_err = true, wait_timeout = "1s")]
fn negative(id: u64) -> Result<Option<u64>, String> {
    match id {
        0 => Err("zero".to_owned()),
        1 => Ok(None),
        _ => Ok(Some(id)),
    }
}

#[cached(share_err = |error| Unclonable(error.0), single_flight = process)]
async fn shared_error(id: u64) -> Result<u64, Unclonable> {
    Err(Unclonable(id))
}

#[cached(cache = SHARED, when = id != 0)]
async fn given(id: u64) -> String {
    id.to_string()
}

#[cached(cache = &SHARED)]
fn given_by_reference(id: u64) -> Option<String> {
    Some(id.to_string())
}

struct Users {
    cache: Cache<(u64, String), String>,
    tenant: u64,
}

impl Users {
    #[cached(cache = self.cache, key(tenant: u64 = self.tenant, lang))]
    pub async fn user(&self, id: u64, lang: &str) -> String {
        format!("{id}{lang}")
    }
}

#[cached(cache = cache, skip(cache), handle = false)]
fn injected(cache: &Cache<u64, u64>, id: u64) -> u64 {
    id
}

#[cached(ttl = "60s", refresh_ahead = "80%", skip(pool))]
async fn ahead(pool: &String, id: u64, lang: &str, more: Option<&str>, ids: &[u64], both: (u8, &str)) -> String {
    format!("{pool}{id}{lang}{more:?}{ids:?}{both:?}")
}

#[cached(ttl = "60s", refresh_ahead = 0.8)]
fn ahead_blocking(id: u64, lang: std::borrow::Cow<'_, str>) -> String {
    format!("{id}{lang}")
}

#[cached(key(
    id: u64 = id / 10,
    even: bool = id % 2 == 0,
    list: Vec<String> = list.iter().map(|s| s.to_string()).collect(),
))]
fn computed(id: u64, list: Vec<&str>) -> usize {
    id as usize + list.len()
}

fn main() {
    assert_eq!((lifetimes(1), forever(1), spaced(1)), (1, 1, 1));
    assert_eq!((lru(1), lfu(1), fifo(1), mru(1), clock(1), adaptive(1)), (1, 1, 1, 1, 1, 1));
    assert_eq!((forever::cache().name(), forever::cache().version()), (NAME, 2));
    assert_eq!((weighed(5).len(), weighed(50).len(), weighed::cache().len()), (5, 50, 1));
    for id in [0, 1, 2] {
        assert_eq!(negative(id), negative(id));
    }
    assert_eq!(negative::stats().hits, 3);
    let users = Users { cache: Cache::builder("users").build().unwrap(), tenant: 7 };
    let injection = Cache::builder("injected").build().unwrap();
    assert_eq!((injected(&injection, 1), injected(&injection, 1), injection.stats().hits), (1, 1, 1));
    assert_eq!((computed(10, vec!["a"]), computed(12, vec!["a"])), (11, 11));
    on_tokio(1, async move || {
        assert_eq!(shared_error(7).await, Err(Unclonable(7)));
        assert_eq!((given(0).await, given(1).await), ("0".to_owned(), "1".to_owned()));
        assert_eq!((given::peek(&0).await, given::stats().bypassed), (None, 1));
        assert_eq!((given_by_reference(1).as_deref(), SHARED.stats().hits), (Some("1"), 1));
        assert_eq!((users.user(1, "en").await, users.user(2, "en").await), ("1en".to_owned(), "1en".to_owned()));
        assert_eq!(users.user_key("en"), (7, "en".to_owned()));
        assert_eq!(users.user_cache().len(), 1);
        assert_eq!(ahead(&"p".to_owned(), 1, "en", None, &[2], (3, "x")).await, "p1enNone[2](3, \"x\")");
        assert_eq!(ahead_blocking(1, "en".into()), "1en");
    });
}

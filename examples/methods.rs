//! Cached methods: the cache is a field of the service, injected like its other parts, and the tenant is in the key.
//!
//! ```text
//! cargo run --example methods
//! ```

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hybridcache::{Cache, cache_evict, cached};

/// Stands for a database: names by tenant and user id.
type Table = Arc<Mutex<HashMap<(u64, u64), String>>>;

/// The users of one tenant.
pub struct UserService {
    tenant: u64,
    table: Table,
    users: Cache<(u64, u64), String>,
}

impl UserService {
    /// The name of a user. `self` is never part of a key by itself, so the key says what of it matters.
    #[cached(cache = self.users, key(tenant: u64 = self.tenant, id))]
    pub async fn user(&self, id: u64) -> Option<String> {
        println!("      the database is asked for user {id} of tenant {}", self.tenant);
        self.table.lock().unwrap_or_else(PoisonError::into_inner).get(&(self.tenant, id)).cloned()
    }

    /// Renames a user and forgets the cached name: of this tenant only, since the evict computes the same key.
    #[cache_evict(self.user(id))]
    pub async fn rename(&self, id: u64, name: &str) {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).insert((self.tenant, id), name.to_owned());
    }
}

async fn show(service: &UserService, id: u64) {
    println!("tenant {}, user {id}?", service.tenant);
    let name = service.user(id).await;
    println!("      {}", name.as_deref().unwrap_or("nobody"));
}

#[tokio::main]
async fn main() -> Result<(), hybridcache::Error> {
    let table = Table::default();
    // One cache for all tenants: each test or program builds its own, and nothing is shared behind its back.
    let users = Cache::builder("users").ttl(Duration::from_secs(300)).capacity(1_000).build()?;
    let service = |tenant| UserService { tenant, table: Arc::clone(&table), users: users.clone() };
    let (acme, globex) = (service(1), service(2));

    acme.rename(7, "Ada").await;
    globex.rename(7, "Grace").await;
    println!("- the same id at two tenants, each of them twice");
    for tenant in [&acme, &globex, &acme, &globex] {
        show(tenant, 7).await;
    }
    println!("- tenant 1 renames its user");
    acme.rename(7, "Ada Lovelace").await;
    show(&acme, 7).await;
    show(&globex, 7).await;
    println!("- nobody is not kept, unless `cache_none` says so");
    show(&acme, 8).await;
    show(&acme, 8).await;

    let stats = users.stats();
    println!("\n{} hits, {} loads, {} entries", stats.hits, stats.loads, stats.entries);
    Ok(())
}

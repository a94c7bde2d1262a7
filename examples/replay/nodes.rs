//! The stream through several nodes over one Redis, as a load balancer would spread it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use hybridcache::codec::MsgPack;
use hybridcache::{Cache, CacheManager, Error, Stats};

use crate::catalogue::{CatalogueError, Product};
use crate::shop;

/// Managers with a hybrid cache each, which take requests in turn.
pub(crate) struct Nodes {
    nodes: Vec<(CacheManager, Cache<u32, Arc<Product>>)>,
    next: AtomicUsize,
}

impl Nodes {
    /// Connects `count` nodes, whose memory holds `capacity` products each. What a run before left in Redis is cleared.
    pub(crate) async fn connect(redis: &str, count: u16, capacity: u64, ttl: Option<Duration>) -> Result<Self, Error> {
        let mut nodes = Vec::new();
        for _ in 0..count {
            let manager = CacheManager::builder().namespace("replay").redis(redis).build().await?;
            let products = Cache::builder("products").ttl(ttl.unwrap_or(Duration::from_secs(3600)));
            nodes.push((manager.clone(), products.capacity(capacity).hybrid(MsgPack).manager(&manager).build()?));
        }
        if let Some((_, products)) = nodes.first() {
            products.clear().await?;
        }
        Ok(Self { nodes, next: AtomicUsize::new(0) })
    }

    /// What each node has counted.
    pub(crate) fn stats(&self) -> Vec<Stats> {
        self.nodes.iter().map(|(_, products)| products.stats()).collect()
    }

    pub(crate) async fn shutdown(&self) {
        for (manager, _) in &self.nodes {
            manager.shutdown().await;
        }
    }
}

/// One product, by the node whose turn it is: from its memory, from Redis, or by a query.
pub(crate) async fn product_of_a_node(id: u32) -> Result<Arc<Product>, CatalogueError> {
    let nodes = shop().nodes.as_ref().expect("only a replay with nodes asks them");
    let turn = nodes.next.fetch_add(1, Relaxed) % nodes.nodes.len();
    nodes.nodes[turn].1.get_or_load(&id, || async { shop().catalogue.find(id).await.map(Arc::new) }).await
}

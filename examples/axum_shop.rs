//! A shop over HTTP: reads are cached, writes evict what they change.
//!
//! ```text
//! cargo run --example axum_shop -- --port 3000
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use clap::Parser;
use hybridcache::{CacheManager, Stats, cache_evict, cached};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize)]
struct Product {
    id: u32,
    name: String,
    price_cents: u32,
}

/// One product. That there is none is remembered too, but not for long.
#[cached(name = "product", ttl = "60s", none_ttl = "5s", skip(db))]
async fn product(db: &Database, id: u32) -> Result<Option<Product>, ShopError> {
    db.run(format!("read product {id}"), move |connection| {
        let mut query = connection.prepare_cached("SELECT id, name, price_cents FROM product WHERE id = ?1")?;
        query.query_row([id], to_product).optional()
    })
    .await
}

/// The products whose name contains `q`; "Tea" and "tea " are the same search, in lower case as SQLite's `lower` has it.
#[cached(name = "search", ttl = "60s", capacity = 1_000, key(q: String = q.trim().to_ascii_lowercase()))]
async fn search(db: &Database, q: &str) -> Result<Arc<Vec<Product>>, ShopError> {
    let q = q.trim().to_ascii_lowercase();
    db.run(format!("search {q:?}"), move |connection| {
        let mut query = connection.prepare_cached(
            "SELECT id, name, price_cents FROM product WHERE instr(lower(name), ?1) ORDER BY id LIMIT 50",
        )?;
        query.query_map([q], to_product)?.collect::<Result<_, _>>().map(Arc::new)
    })
    .await
}

fn to_product(row: &Row<'_>) -> rusqlite::Result<Product> {
    Ok(Product { id: row.get(0)?, name: row.get(1)?, price_cents: row.get(2)? })
}

async fn get_product(State(db): State<Database>, Path(id): Path<u32>) -> Result<Json<Product>, ShopError> {
    product(&db, id).await?.map(Json).ok_or(ShopError::NotFound)
}

#[derive(Deserialize)]
struct Search {
    #[serde(default)]
    q: String,
}

async fn get_products(
    State(db): State<Database>,
    Query(wanted): Query<Search>,
) -> Result<Json<Arc<Vec<Product>>>, ShopError> {
    search(&db, &wanted.q).await.map(Json)
}

#[derive(Deserialize)]
struct Offer {
    name: String,
    price_cents: u32,
}

/// Adds or changes a product: it is read anew, and so is every search, for any of them may list it.
#[cache_evict(product(id), search(..))]
async fn put_product(
    State(db): State<Database>,
    Path(id): Path<u32>,
    Json(offer): Json<Offer>,
) -> Result<StatusCode, ShopError> {
    db.run(format!("write product {id}"), move |connection| {
        let mut write = connection.prepare_cached("INSERT OR REPLACE INTO product VALUES (?1, ?2, ?3)")?;
        write.execute(params![id, offer.name, offer.price_cents])
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a product out of the shop. If there is none, that is an error, and nothing is evicted.
#[cache_evict(product(id), search(..))]
async fn delete_product(State(db): State<Database>, Path(id): Path<u32>) -> Result<StatusCode, ShopError> {
    let delete = db.run(format!("delete product {id}"), move |connection| {
        connection.execute("DELETE FROM product WHERE id = ?1", [id])
    });
    if delete.await? == 0 { Err(ShopError::NotFound) } else { Ok(StatusCode::NO_CONTENT) }
}

#[derive(Serialize)]
struct Counts {
    hits: u64,
    loads: u64,
    hit_ratio: f64,
    entries: u64,
}

/// Every cache that was used so far, by its name.
async fn get_stats() -> Json<BTreeMap<String, Counts>> {
    let counts = |stats: Stats| Counts {
        hits: stats.hits,
        loads: stats.loads,
        hit_ratio: stats.hit_ratio(),
        entries: stats.entries,
    };
    let caches = CacheManager::current().stats().into_iter();
    Json(caches.map(|(name, stats)| (name, counts(stats))).collect())
}

/// Runs a shop that forgets everything when it ends.
#[derive(Parser)]
struct Flags {
    /// Where to listen on 127.0.0.1; 0 takes any free port
    #[arg(long, default_value_t = 3000)]
    port: u16,
}

/// How long a request that has begun may take once the shop closes.
const LAST_ORDERS: Duration = Duration::from_secs(2);

/// Returns on Ctrl-C. Without the signal there is no way to ask for an end, so an error here means: serve on.
async fn told_to_close() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let flags = Flags::parse();
    let shop = Router::new()
        .route("/products", get(get_products))
        .route("/products/{id}", get(get_product).put(put_product).delete(delete_product))
        .route("/stats", get(get_stats))
        .with_state(Database::open()?);
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, flags.port))
        .await
        .map_err(|error| format!("port {} cannot be used: {error}", flags.port))?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("A line appears here for each query. Try these, some of them twice:\n");
    println!("  curl {url}/products/1");
    println!("  curl '{url}/products?q=tea'");
    println!("  curl -X PUT {url}/products/1 --json '{{\"name\": \"Tea kettle\", \"price_cents\": 3100}}'");
    println!("  curl -X DELETE {url}/products/2");
    println!("  curl {url}/stats\n");
    let late = async {
        told_to_close().await;
        tokio::time::sleep(LAST_ORDERS).await;
    };
    tokio::select! {
        served = axum::serve(listener, shop).with_graceful_shutdown(told_to_close()).into_future() => served?,
        () = late => {}
    }
    CacheManager::current().shutdown().await;
    let _ = writeln!(io::stdout(), "the shop is closed");
    Ok(())
}

/// The answer to a request that fails. It is `Clone`: who waited for another's query shares its error.
#[derive(Clone, Debug)]
enum ShopError {
    NotFound,
    Database(Arc<rusqlite::Error>),
}

impl IntoResponse for ShopError {
    fn into_response(self) -> Response {
        match self {
            ShopError::NotFound => (StatusCode::NOT_FOUND, "no such product\n").into_response(),
            ShopError::Database(error) => {
                eprintln!("database: {error}");
                (StatusCode::INTERNAL_SERVER_ERROR, "the shop is out of order\n").into_response()
            }
        }
    }
}

#[derive(Clone)]
struct Database(Arc<Mutex<Connection>>);

impl Database {
    fn open() -> rusqlite::Result<Self> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(
            "CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price_cents INTEGER NOT NULL);
             INSERT INTO product VALUES (1, 'Tea pot', 2450), (2, 'Tea cup', 690), (3, 'Coffee mug', 890);",
        )?;
        Ok(Database(Arc::new(Mutex::new(connection))))
    }

    /// Runs a query where blocking is allowed, and says so, if anybody reads it: a read that hits leaves no such line.
    async fn run<T, F>(&self, what: String, query: F) -> Result<T, ShopError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let _ = writeln!(io::stdout(), "database: {what}");
        let connection = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || query(&connection.lock().unwrap_or_else(PoisonError::into_inner)))
            .await
            .expect("a query neither panics nor is aborted")
            .map_err(|error| ShopError::Database(Arc::new(error)))
    }
}

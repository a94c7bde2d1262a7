//! The slow side: products in an embedded SQLite database.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};

/// A row of the catalogue.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Product {
    pub(crate) id: u32,
    /// What a visitor of the shop sees.
    pub(crate) page: String,
}

/// Why a product could not be read. It is `Clone`, so that callers who waited for one load share its error.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the catalogue: {0}")]
pub(crate) struct CatalogueError(Arc<rusqlite::Error>);

impl From<rusqlite::Error> for CatalogueError {
    fn from(error: rusqlite::Error) -> Self {
        CatalogueError(Arc::new(error))
    }
}

/// The database, the connections that are idle, and how often it was asked.
pub(crate) struct Catalogue {
    file: PathBuf,
    idle: Mutex<Vec<Connection>>,
    queries: AtomicU64,
}

impl Catalogue {
    /// Creates the database in `folder`, with a row for each of `ids`.
    pub(crate) fn create(folder: &Path, ids: impl Iterator<Item = u32>) -> Result<Self, CatalogueError> {
        let file = folder.join("catalogue.sqlite");
        let mut connection = Connection::open(&file)?;
        // The file does not outlive this run, so it need not survive a crash.
        connection.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
             CREATE TABLE product (id INTEGER PRIMARY KEY, page TEXT NOT NULL)",
        )?;
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction.prepare(
                "INSERT INTO product VALUES (?1, format('<h1>Product %d</h1><b>%.2f EUR</b><p>%s</p>',
                    ?1, 0.99 + ?1 % 500, 'A few lines of prose that make you want to buy it.'))",
            )?;
            for id in ids {
                insert.execute([id])?;
            }
        }
        transaction.commit()?;
        Ok(Catalogue { file, idle: Mutex::default(), queries: AtomicU64::new(0) })
    }

    /// Reads one product. SQLite blocks, so the query leaves the async threads.
    pub(crate) async fn find(&'static self, id: u32) -> Result<Product, CatalogueError> {
        let query = tokio::task::spawn_blocking(move || self.query(id));
        query.await.expect("a query neither panics nor is aborted")
    }

    fn query(&self, id: u32) -> Result<Product, CatalogueError> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => Connection::open_with_flags(
                &self.file,
                OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )?,
        };
        let product = connection
            .prepare_cached("SELECT id, page FROM product WHERE id = ?1")?
            .query_row([id], |row| Ok(Product { id: row.get(0)?, page: row.get(1)? }))?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(product)
    }

    /// How many queries were made so far.
    pub(crate) fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    /// Closes the idle connections, so that the file can be removed on every system.
    pub(crate) fn close(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

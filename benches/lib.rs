//! Measuring hybridcache: the functions that are measured, and a runner that compares in pairs.
//!
//! `compare.rs` prints the table of `README.md`, `hit.rs` puts the same hits into criterion, `instructions.rs` runs them under
//! valgrind.

pub mod cases;
pub mod pairs;
pub mod work;

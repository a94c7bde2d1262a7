//! Measuring hybridcache: the functions that are measured, and a runner that compares in pairs.
//!
//! `compare.rs` and `policies.rs` print the tables of `README.md`, `memory.rs` measures memory, `hit.rs` puts the same hits into criterion, `instructions.rs` runs them under
//! valgrind.

pub mod cases;
pub mod pairs;
pub mod processes;
pub mod work;

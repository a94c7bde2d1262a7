//! What the examples and benches that replay request streams share.

mod adaptive;
pub mod optimum;
pub mod policies;
mod simulated;
pub mod stream;

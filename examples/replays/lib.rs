//! What the examples and benches that replay request streams share.

pub mod optimum;
pub mod policies;
pub mod stream;

//! The grammar of the attributes: what was written, with its spans. Nothing here knows the function below the attribute.

pub(crate) mod cached;
mod later;
pub(crate) mod list;
pub(crate) mod remote;
pub(crate) mod value;
pub(crate) mod writes;

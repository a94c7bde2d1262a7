//! The rules, one function each. Every rule says what is wrong and names the cure.

mod cached;
mod function;
mod options;
mod remote;
mod writes;

pub(crate) use cached::cached;
pub(crate) use function::{cacheable, wrappable};
pub(crate) use options::options;
pub(crate) use remote::remote;
pub(crate) use writes::{evict, evicted_after, of_result, put, put_after, result_in};

#[cfg(test)]
mod tests;

//! What the attributes accept, and what they say about the rest.
#[test]
fn ui() {}

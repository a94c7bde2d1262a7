//! What the attributes accept, and what they say about the rest.
//!
//! `ui/pass` compiles, runs and asserts. `ui/fail` is one mistake (or one kind of it) for each file, with all that
//! the compiler says: `TRYBUILD=overwrite cargo test -p hybridcache-tests --test ui` writes it anew.

use std::process::Command;

/// The compiler whose words the `.stderr` files have. Every other one says things a little differently.
const PINNED: &str = "rustc 1.95.";

#[test]
fn programs_compile_or_say_why_not() {
    let programs = trybuild::TestCases::new();
    programs.pass("ui/pass/*.rs");
    let rustc = rustc();
    if rustc.starts_with(PINNED) {
        programs.compile_fail("ui/fail/*.rs");
    } else {
        eprintln!("ui/fail was left out: its texts are those of {PINNED}x, and this is {rustc}");
    }
}

/// The version of the compiler that cargo uses here.
fn rustc() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().expect("a compiler runs this, so there is one");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

//! The floors of the house: a module names lower floors, or earlier modules of its own, and never one above.
//!
//! It reads the sources of the library, and so needs them beside it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of each floor from the ground up, in the order in which they may name one another.
const FLOORS: [&[&str]; 8] = [
    &["effort", "sync", "error", "time", "rt", "nonce", "known"],
    &["key", "record", "entry", "returned"],
    &["codec", "coherence", "observe"],
    &["driver", "bus"],
    &["fleet", "memory", "redis"],
    &["cache"],
    &["manager"],
    &["__private"],
];

/// Where a module stands: its floor, and its place on it.
fn place(module: &str) -> Option<(usize, usize)> {
    FLOORS.iter().enumerate().find_map(|(floor, modules)| Some((floor, modules.iter().position(|of| *of == module)?)))
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../hybridcache/src")
}

/// Unit tests that are a file of their own.
fn tests(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests"))
}

/// Every source file but the root and the tests, with the module it belongs to.
fn files() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !tests(&path) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&sources(), &mut found);
    let mut files = Vec::new();
    for path in found {
        let inside = path.strip_prefix(sources()).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        match first.trim_end_matches(".rs") {
            "lib" => {}
            "site" => files.push((path, "__private".to_owned())),
            module => files.push((path.clone(), module.to_owned())),
        }
    }
    files
}

/// The code of a file, without comments and without what only tests see.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = text.lines().map(|line| match line.find("//") {
        // Two slashes in a string are no comment; where there are quotes the whole line is code.
        Some(at) if !line[..at].contains('"') => &line[..at],
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The modules that the code names by `crate::`.
fn named(code: &str) -> BTreeSet<String> {
    let identifier = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        if code[..at].ends_with('$') || code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + path.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut parts = vec![String::new()];
            for c in group.chars() {
                match c {
                    '}' if depth == 0 => break,
                    ',' if depth == 0 => parts.push(String::new()),
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => parts.last_mut().unwrap().push(c),
                }
            }
            names.extend(parts.iter().map(|part| identifier(part.trim_start())).filter(|name| !name.is_empty()));
        } else {
            names.insert(identifier(rest));
        }
    }
    names
}

#[test]
fn no_module_names_one_above_it() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for (path, module) in files() {
        let shown = path.strip_prefix(sources()).unwrap().display().to_string();
        let Some(own) = place(&module) else {
            wrong.push(format!("{shown}: the module `{module}` has no floor yet: give it one in tests/layers.rs"));
            continue;
        };
        for name in named(&code(&path)) {
            // What `#[macro_export]` puts at the root of the crate.
            if module == "__private" && name.starts_with("__") {
                continue;
            }
            match place(&name) {
                None => {
                    wrong.push(format!("{shown}: `crate::{name}` is no module of a floor: name the module it is in"))
                }
                Some(named) if named > own => {
                    wrong.push(format!("{shown}: `{module}` names `{name}`, which is above it"))
                }
                Some(_) => checked += 1,
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(checked > 40, "the test sees the imports: {checked}");
}

#[test]
fn every_module_of_a_floor_exists() {
    let modules: BTreeSet<_> = files().into_iter().map(|(_, module)| module).collect();
    for module in FLOORS.concat() {
        assert!(modules.contains(module), "`{module}` is gone: take it from tests/layers.rs");
    }
}

#[test]
fn only_one_file_names_a_runtime() {
    for (path, module) in files() {
        let code = code(&path);
        let test_clock = module == "time";
        let mut left = code.replace("tokio::time::Instant", if test_clock { "" } else { "tokio::time::Instant" });
        if test_clock {
            left = left.replace("tokio::time::pause", "");
        }
        assert!(
            module == "rt" || !left.contains("tokio::"),
            "{} names tokio: that is what `rt` is for",
            path.display()
        );
        assert!(
            module == "rt" || !code.contains("thread::spawn"),
            "{} spawns: that is what `rt` is for",
            path.display()
        );
    }
}

#[test]
fn the_core_of_coherence_has_no_lock_no_clock_and_no_task() {
    for (path, module) in files() {
        // What drives the core in tests is not of it.
        let drives =
            ["model", "simulator"].iter().any(|part| path.components().any(|folder| folder.as_os_str() == *part));
        if module == "coherence" && !drives {
            let code = code(&path);
            for word in ["Mutex", "RwLock", "Atomic", "Instant", "Clock", "async ", "Waker", "crate::time", "crate::rt"]
            {
                assert!(!code.contains(word), "{} has a `{word}`: the core only decides", path.display());
            }
            // And not a field whose name begins like that.
            let awaits =
                |at: usize| !code[at + ".await".len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
            let waits = code.match_indices(".await").any(|(at, _)| awaits(at));
            assert!(!waits, "{} waits for something: the core only decides", path.display());
        }
    }
}

#[test]
fn the_reader_of_imports_reads_them() {
    let code = "use crate::time::{NEVER, deadline}; use crate::{cache::{A, b::C}, rt, manager::X};
        let x = crate::key::y(); $crate::no; mycrate::no;";
    let names: Vec<_> = named(code).into_iter().collect();
    assert_eq!(names, ["cache", "key", "manager", "rt", "time"]);
    assert!(place("time") < place("rt") && place("rt") < place("key") && place("cache") < place("manager"));
}

//! Which policy, and how much room? Replays recorded streams over all policies and many capacities, and compares them
//! with the optimum.
//!
//! ```text
//! cargo run --release --example plan -- requests.trace.xz
//! cargo run --release --example plan -- access.csv --column path --entry-bytes 2000 --page plan.html
//! ```

mod advice;
mod curves;
mod page;
#[path = "../progress.rs"]
mod progress;
mod report;
mod sample;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use clap::Parser;
use replays::policies::EntryBytes;
use replays::stream::Source;

use advice::Advice;
use curves::{Curves, STOP, ladder, replay, smallest};
use progress::Progress;
use sample::Sample;

/// Compares cache policies on recorded request streams, prints a table and a recommendation, and writes a page of hit
/// ratio curves.
#[derive(Parser)]
struct Flags {
    /// Recorded streams: big-endian u32 keys (.trace, .bin), text with one key a line (.txt), ARC traces (.lis), tables
    /// (.csv), each as it is or packed (.xz, .zst)
    #[arg(required = true, value_name = "TRACE")]
    paths: Vec<PathBuf>,
    /// The column of a table that has the keys: its name in the first row, or its number in a table without names
    /// [default: 1]; with it, all streams have to be tables
    #[arg(long, value_name = "NAME|NUMBER")]
    column: Option<String>,
    /// The capacities to try, in entries [default: twelve, from a thousandth of the keys to all of them]
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..))]
    capacity: Vec<u64>,
    /// How many bytes an entry has: key, value, and what they refer to
    #[arg(long, value_name = "N", default_value_t = 256)]
    entry_bytes: u64,
    /// How many of these are the key and the value themselves, not what they refer to: `s3fifo` takes six tenths
    /// of them besides [default: all]
    #[arg(long, value_name = "N")]
    inline_bytes: Option<u64>,
    /// The share of keys that the streams were recorded with (`Cache::record`), above 0 and up to 1
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, value_parser = share)]
    recorded_share: f64,
    /// How many requests are replayed at most; of a longer stream, those for a share of the keys
    #[arg(long, value_name = "N", default_value_t = 2_000_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(10_000..))]
    most: u32,
    /// Where to write the page; of what is there, only an older page is written over
    #[arg(long, value_name = "FILE", default_value = "plan.html")]
    page: PathBuf,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err("write it as a number above 0 and up to 1, like 0.01".into()),
    }
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    let stop = || {
        // Who presses it again does not want to wait for the next step.
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    };
    match ctrlc::set_handler(stop).map_err(Into::into).and_then(|()| run(&flags)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("stopped: no page was written");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `false` if Ctrl-C came before the end.
fn run(flags: &Flags) -> Result<bool, Box<dyn Error>> {
    let entry = EntryBytes { all: flags.entry_bytes, inline: flags.inline_bytes.unwrap_or(flags.entry_bytes) };
    if entry.inline > entry.all {
        return Err(format!("--inline-bytes are a part of --entry-bytes, which are {}", entry.all).into());
    }
    // Before the work, so that it is not done in vain; and not at its place before it is whole.
    // What a link is to is replaced, and not the link: `/dev/stdout` is one.
    let place = std::fs::canonicalize(&flags.page).unwrap_or_else(|_| flags.page.clone());
    let folder = place.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let named = |error: io::Error| format!("{}: {}", flags.page.display(), error.kind());
    if place.is_dir() {
        return Err(named(io::ErrorKind::IsADirectory.into()).into());
    }
    // What is there and no file, like `/dev/null`, is not replaced by one.
    let is_replaced = std::fs::metadata(&place).map_or(true, |about| about.is_file());
    let new = || {
        let mut page = tempfile::Builder::new();
        // A page is not for its owner alone, as what is temporary would be.
        #[cfg(unix)]
        page.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        page.tempfile_in(folder).map_err(named)
    };
    if is_replaced {
        // `--page a.trace b.trace` has a stream where the page was left out.
        let mut beginning = Vec::new();
        match File::open(&place).and_then(|file| file.take(64).read_to_end(&mut beginning)) {
            Ok(_) if !page::may_be_page(&beginning) => {
                let there = flags.page.display();
                return Err(format!("--page {there}: there is something else, which is not written over").into());
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(named(error).into()),
            _ => {}
        }
        // A trial, gone at once: whoever is ended at work leaves nothing behind.
        new()?;
    }

    let mut all = Vec::new();
    for path in &flags.paths {
        let Some(curves) = plan(path, flags)? else { return Ok(false) };
        let advice = Advice::of(&curves, entry);
        if STOP.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let mut out = io::stdout().lock();
        writeln!(out, "{curves}\n")?;
        match &advice {
            Some(advice) => writeln!(out, "recommended: {advice}\n")?,
            None => writeln!(out, "no key is asked for twice: no cache would ever hit\n")?,
        }
        all.push((curves, advice));
    }
    let html = page::page(&all);
    if is_replaced {
        let mut page = new()?;
        page.write_all(html.as_bytes()).map_err(named)?;
        page.persist(&place).map_err(|error| named(error.error))?;
    } else {
        std::fs::write(&place, html).map_err(named)?;
    }
    writeln!(io::stdout(), "curves: {}", flags.page.display())?;
    Ok(true)
}

fn plan(path: &Path, flags: &Flags) -> Result<Option<Curves>, Box<dyn Error>> {
    let named = |error| format!("{}: {error}", path.display());
    let source = Source::Recorded { path: path.to_path_buf(), column: flags.column.clone() };
    let progress = Progress::new(0, "requests read");
    let mut read = 0;
    let go_on = |so_far| {
        progress.add(so_far - std::mem::replace(&mut read, so_far));
        !STOP.load(Ordering::Relaxed)
    };
    let sample = Sample::read(source.keys().map_err(named)?, flags.most as usize, go_on).map_err(named)?;
    drop(progress);
    let Some(mut sample) = sample else { return Ok(None) };
    sample.rate *= flags.recorded_share;
    sample.of = (sample.of as f64 / flags.recorded_share).round() as u64;
    let mut capacities = flags.capacity.clone();
    capacities.sort_unstable();
    capacities.dedup();
    match capacities.first() {
        None => capacities = ladder(&sample),
        Some(capacity) if *capacity < smallest(&sample) => {
            return Err(format!(
                "{}: --capacity {capacity}: a share of the keys, which is all that is replayed, says nothing about fewer than {} \
                 entries (see --most)",
                path.display(),
                smallest(&sample),
            )
            .into());
        }
        Some(_) => {}
    }
    Ok(replay(path.display().to_string(), sample, capacities))
}

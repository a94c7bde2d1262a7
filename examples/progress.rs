//! That something is happening, and for how long yet.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

/// A bar on a terminal; elsewhere a line every two seconds. Gone when dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
    what: &'static str,
    told: Mutex<Instant>,
}

impl Progress {
    /// Towards `all` steps; 0 if nobody knows.
    pub(crate) fn new(all: u64, what: &'static str) -> Self {
        let (bar, template) = match all {
            0 => (ProgressBar::no_length(), "{spinner} {human_pos} {msg}"),
            all => (ProgressBar::new(all), "{wide_bar} {human_pos} of {human_len} {msg}, {eta} left"),
        };
        bar.set_style(ProgressStyle::with_template(template).expect("a constant template"));
        bar.set_message(what);
        Self { bar, what, told: Mutex::new(Instant::now()) }
    }

    pub(crate) fn add(&self, steps: u64) {
        self.bar.inc(steps);
        if self.bar.is_hidden()
            && let Ok(mut told) = self.told.try_lock()
            && told.elapsed() > Duration::from_secs(2)
        {
            *told = Instant::now();
            let of = self.bar.length().map(|all| format!(" of {}", HumanCount(all))).unwrap_or_default();
            eprintln!("{}{of} {}", HumanCount(self.bar.position()), self.what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

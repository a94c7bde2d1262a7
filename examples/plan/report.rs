//! The table on the terminal.

use std::fmt;

use indicatif::HumanCount;

use crate::curves::{Curve, Curves};

/// What was replayed of a stream, in a sentence.
pub(crate) fn summary(curves: &Curves) -> String {
    let sample = &curves.sample;
    let (requests, keys) = (HumanCount(sample.of), HumanCount(sample.keys()));
    let kept = HumanCount(sample.requests.len() as u64);
    let one_in = HumanCount((1.0 / sample.rate) as u64);
    if sample.beginning {
        let share = if sample.rate < 1.0 { format!(" for one key in {one_in}") } else { String::new() };
        let keys = HumanCount(sample.distinct as u64);
        format!("{requests} requests; replayed: the first {kept}{share}, with {keys} keys (see --most)")
    } else if sample.rate < 1.0 {
        format!(
            "{requests} requests for about {keys} keys; replayed: one key in {one_in}, {kept} requests (see --most)"
        )
    } else {
        format!("{requests} requests for {keys} keys")
    }
}

/// How many columns a curve has in the table: room for `*100.00`, and for its name. All fit into a terminal of 80.
fn width(curve: &Curve) -> usize {
    1 + curve.name.len().max(7)
}

impl fmt::Display for Curves {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}: {}", self.title, summary(self))?;
        writeln!(out, "\nhit ratio in percent, `*` the best policy of a row\n")?;
        write!(out, "{:>12}", "capacity")?;
        for curve in &self.curves {
            write!(out, "{:>1$}", curve.name, width(curve))?;
        }
        for (row, capacity) in self.capacities.iter().enumerate() {
            write!(out, "\n{:>12}", HumanCount(*capacity).to_string())?;
            let best = self.best(row);
            for (column, curve) in self.curves.iter().enumerate() {
                let mark = if column > 0 && curve.ratios[row] >= best { "*" } else { "" };
                write!(out, "{:>1$}", format!("{mark}{:.2}", 100.0 * curve.ratios[row]), width(curve))?;
            }
        }
        Ok(())
    }
}

impl Curves {
    /// The best hit ratio of a policy at a capacity.
    pub(crate) fn best(&self, row: usize) -> f64 {
        self.curves[1..].iter().map(|curve| curve.ratios[row]).fold(0.0, f64::max)
    }
}

//! A runner that compares in pairs.
//!
//! On a machine that others use too, two means taken one after the other differ by what the neighbours did meanwhile. Here the two
//! sides run in turns of a few milliseconds, and the ratio is taken within each pair, so that whatever slows a pair down slows
//! both of its halves. Each half is run in two parts, around those of the other: ours, theirs, theirs, ours. So each side comes once
//! after itself and once after the other, which leaves the processor's caches full of what is its own: by that alone one of
//! two parts takes a twelfth longer, where much memory is gone through. The median of the ratios has an interval from order statistics: it
//! assumes nothing about how they are distributed. What a process has to live with for all of its life (where its memory lies, how its
//! hashes fall) is not in that interval, unless the pairs come from several processes.

use std::fmt::Write as _;
use std::time::Duration;

use crate::work::Work;

/// Two things to compare.
pub struct Row {
    /// What, and against whom.
    pub name: String,
    /// How many threads do it at once.
    pub threads: u64,
    /// Ours, for so many threads.
    pub ours: fn(u64) -> Work,
    /// Theirs.
    pub peer: fn(u64) -> Work,
    /// The ratio that ours should stay below.
    pub bar: Option<f64>,
    /// The most operations that may run at once.
    pub most: u64,
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How many pairs for each row.
    pub rounds: usize,
    /// How long one part of a pair should take: of four.
    pub part: Duration,
}

/// Of one pair: nanoseconds an operation, ours and theirs.
pub type Pair = (f64, f64);

/// What came out.
#[derive(Clone, Debug)]
pub struct Measured {
    /// As in [`Row`].
    pub name: String,
    /// As in [`Row`].
    pub bar: Option<f64>,
    /// At least one.
    pub pairs: Vec<Pair>,
}

impl Row {
    /// Runs the row, warm.
    #[must_use]
    pub fn measure(&self, effort: Effort) -> Vec<Pair> {
        let (mut ours, mut peer) = ((self.ours)(self.threads), (self.peer)(self.threads));
        let (n_ours, n_peer) = (self.calibrate(&mut ours, effort), self.calibrate(&mut peer, effort));
        (0..effort.rounds).map(|_| pair(|| each(&mut ours, n_ours), || each(&mut peer, n_peer))).collect()
    }

    /// How many operations take about as long as a part should; warms up by the way.
    fn calibrate(&self, work: &mut Work, effort: Effort) -> u64 {
        let mut n = 256.min(self.most);
        loop {
            let took = work(n);
            if took >= effort.part / 2 || n == self.most {
                let fits = n as f64 * effort.part.as_secs_f64() / took.as_secs_f64();
                return (fits as u64).clamp(1, self.most);
            }
            n = (n * 2).min(self.most);
        }
    }
}

/// Runs both sides, each of which says how long an operation took.
pub fn pair(mut ours: impl FnMut() -> f64, mut peer: impl FnMut() -> f64) -> Pair {
    let (first, second, third, fourth) = (ours(), peer(), peer(), ours());
    (f64::midpoint(first, fourth), f64::midpoint(second, third))
}

fn each(work: &mut Work, n: u64) -> f64 {
    work(n).as_secs_f64() * 1e9 / n as f64
}

impl Measured {
    /// The median ratio of ours to theirs, and the ends of its 95 % interval.
    #[must_use]
    pub fn ratio(&self) -> (f64, f64, f64) {
        let ratios = sorted(self.pairs.iter().map(|(ours, peer)| ours / peer));
        let (low, high) = ranks(ratios.len());
        (median(&ratios), ratios[low], ratios[high])
    }

    /// Below 1, above it, or a tie: the whole interval decides.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        let (_, low, high) = self.ratio();
        match (low, high) {
            (_, high) if high < 1.0 => "below",
            (low, _) if low > 1.0 => "above",
            _ => "tie",
        }
    }

    /// The row of the table.
    #[must_use]
    pub fn markdown(&self) -> String {
        let (ratio, low, high) = self.ratio();
        let ours = median(&sorted(self.pairs.iter().map(|pair| pair.0)));
        let peer = median(&sorted(self.pairs.iter().map(|pair| pair.1)));
        let bar = self.bar.map_or("–".to_owned(), |bar| {
            let kept = if high <= bar {
                "kept"
            } else if low > bar {
                "**missed**"
            } else {
                "unclear"
            };
            format!("≤ {}: {kept}", (bar * 100.0).round() / 100.0)
        });
        format!(
            "| {} | {ours:.1} | {peer:.1} | **{ratio:.2}** | {low:.2} – {high:.2} | {} | {bar} |",
            self.name,
            self.verdict()
        )
    }
}

/// The table.
#[must_use]
pub fn table(rows: &[Measured]) -> String {
    let mut table = String::from(
        "| row | ours, ns | theirs, ns | ratio | 95 % interval | verdict | bar |\n|---|--:|--:|--:|:-:|---|---|\n",
    );
    for row in rows {
        let _ = writeln!(table, "{}", row.markdown());
    }
    table
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

/// Between which of `n` sorted samples the true median lies with a probability of at least 95 %: the number of samples below it is
/// binomial with p = ½.
fn ranks(n: usize) -> (usize, usize) {
    let mut term = 0.5_f64.powi(i32::try_from(n).unwrap_or(i32::MAX));
    let mut tail = 0.0;
    let mut low = 0;
    while low < n / 2 && tail + term <= 0.025 {
        tail += term;
        term *= (n - low) as f64 / (low + 1) as f64;
        low += 1;
    }
    // So many samples may be cut off at either end, but not one more.
    let low = low.saturating_sub(1);
    (low, n - 1 - low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_the_tables() {
        // Conover, Practical Nonparametric Statistics: the 95 % interval of a median.
        assert_eq!(ranks(10), (1, 8));
        assert_eq!(ranks(20), (5, 14));
        assert_eq!(ranks(31), (9, 21));
        assert_eq!(ranks(101), (40, 60));
        assert_eq!(ranks(3), (0, 2));
        assert_eq!(ranks(1), (0, 0));
    }

    #[test]
    fn a_straddling_interval_is_a_tie() {
        let measured = |ratios: &[f64]| Measured {
            name: "row".to_owned(),
            bar: Some(1.25),
            pairs: ratios.iter().map(|ratio| (ratio * 20.0, 20.0)).collect(),
        };
        assert_eq!(measured(&[0.8; 31]).verdict(), "below");
        assert_eq!(measured(&[1.2; 31]).verdict(), "above");
        assert_eq!(measured(&[[0.9; 16], [1.1; 16]].concat()).verdict(), "tie");
        assert_eq!(
            measured(&[1.2; 31]).markdown(),
            "| row | 24.0 | 20.0 | **1.20** | 1.20 – 1.20 | above | ≤ 1.25: kept |"
        );
    }
}

//! What somebody meant who wrote something near it.

/// The option nearest to what was written, if it is near enough to be a slip of the finger.
pub(crate) fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (distance(written, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(written.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// What an option is called here whose name is known from other libraries.
pub(crate) fn elsewhere(written: &str) -> Option<&'static str> {
    const NAMES: [(&str, &[&str]); 11] = [
        ("ttl", &["expire", "expire_after", "expires", "expiry", "lifetime", "time", "time_to_live"]),
        ("sliding", &["idle", "idle_timeout", "time_to_idle", "tti"]),
        ("capacity", &["limit", "max_capacity", "max_entries", "max_size", "size"]),
        ("weigh", &["weigher", "weight"]),
        ("when", &["cond", "condition", "enabled"]),
        ("skip", &["exclude", "ignore", "skip_args"]),
        ("key", &["convert", "key_by"]),
        ("single_flight", &["coalesce", "dedup", "sync_writes"]),
        ("tier", &["backend", "storage", "store"]),
        ("codec", &["encoding", "format", "serializer"]),
        ("compress", &["compression", "compressor"]),
    ];
    NAMES.iter().find(|(_, others)| others.contains(&written)).map(|(here, _)| *here)
}

/// The end of an error sentence: the nearest name, or all of them.
pub(crate) fn suggestion(written: &str, known: &[&str]) -> String {
    match nearest(written, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", list(known)),
    }
}

pub(crate) fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Levenshtein, where two swapped neighbours count as one slip.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    // The first row and column are what it costs to insert or to delete everything.
    let row = |i| (0..=right.len()).map(|j| i + j).collect::<Vec<usize>>();
    let mut rows: Vec<_> = (0..=left.len()).map(row).collect();
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let replace = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_near_and_other_words_are_not() {
        let known = ["ttl", "sliding", "capacity"];
        assert_eq!(nearest("tll", &known), Some("ttl"));
        assert_eq!(nearest("capasity", &known), Some("capacity"));
        assert_eq!(nearest("slidign", &known), Some("sliding"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(suggestion("colour", &known), "there are `ttl`, `sliding`, `capacity`");
    }
}

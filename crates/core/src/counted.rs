//! Counts in messages.

use std::fmt::Display;

/// Formats a count and its noun: `1 rule`, `2 rules`.
pub fn counted<N: Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let plural = if count == N::from(1) { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn only_one_is_singular() {
        assert_eq!(
            [0, 1, 2].map(|count: u64| counted(count, "dead letter")),
            ["0 dead letters", "1 dead letter", "2 dead letters"]
        );
        assert_eq!(counted(1.5, "alert"), "1.5 alerts");
    }
}

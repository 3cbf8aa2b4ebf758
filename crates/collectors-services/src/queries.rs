//! Schedules, backoff and messages of the collectors that run queries of the configuration: Neo4j and SQL. Pure.

mod schedule;

pub(crate) use schedule::{Backoff, Schedule};

/// Returns the first line, cut to a length for logs. Servers quote the query below it.
pub(crate) fn line(text: &str) -> String {
    const MOST: usize = 240;
    let first = text.lines().next().unwrap_or_default().trim();
    match first.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &first[..end]),
        None => first.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_one_line_of_bounded_length() {
        assert_eq!(
            line("Invalid input (line 1)\n\"RETURN 'secret'\"\n  ^"),
            "Invalid input (line 1)"
        );
        assert_eq!(line(&"é".repeat(500)).chars().count(), 243);
    }
}

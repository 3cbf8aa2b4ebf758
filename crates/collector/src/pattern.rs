//! Regular expressions that are found within a text.

use bellwether_matcher::{Pattern, PatternError};

/// Compiles an expression that is to be found somewhere in a text: a [`Pattern`] matches a whole one.
pub fn within(source: &str) -> Result<Pattern, PatternError> {
    // First by itself, so that an error shows what was written.
    Pattern::new(source)?;
    Pattern::new(&format!("(?s:.*?)(?:{source})(?s:.*)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_anywhere_unless_it_has_anchors() {
        assert!(within("b+").unwrap().is_match("a\nbbc"));
        let anchored = within("^(a|b)$").unwrap();
        assert!(anchored.is_match("b") && !anchored.is_match("ab"));
        assert!(within("a)(b").is_err());
    }
}

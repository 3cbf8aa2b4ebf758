//! Comparison of secrets. Pure.

use std::hint::black_box;

/// Returns true if both are equal, in a time that depends only on their lengths.
pub(crate) fn equal(left: &[u8], right: &[u8]) -> bool {
    let differing = left
        .iter()
        .zip(right)
        .fold(0, |all, (a, b)| black_box(all | (a ^ b)));
    left.len() == right.len() && differing == 0
}

#[cfg(test)]
mod tests {
    use super::equal;

    #[test]
    fn equality() {
        assert!(equal(b"", b"") && equal(b"abc", b"abc"));
        for (left, right) in [("abc", "abd"), ("abc", "ab"), ("ab", "abc"), ("", "a")] {
            assert!(!equal(left.as_bytes(), right.as_bytes()));
        }
    }
}

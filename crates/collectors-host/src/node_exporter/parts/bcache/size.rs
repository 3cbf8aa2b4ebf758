//! Sizes as bcache prints them: `20.4G`, whose fraction is in 1024ths.

const UNITS: &str = "kMGTPEZY";

/// Parses a size. The digit behind the point counts 1024ths divided by 10.24, as node_exporter reads it.
pub(super) fn size(text: &str) -> Option<f64> {
    let unit = text.chars().last().and_then(|last| UNITS.find(last));
    let Some(unit) = unit else {
        return text.parse().ok().map(f64::trunc);
    };
    let number = &text[..text.len() - 1];
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let (whole, fraction): (f64, f64) = (whole.parse().ok()?, fraction.parse().ok()?);
    let factor = 1024_f64.powi(i32::try_from(unit).ok()? + 1);
    Some(((whole + fraction / 10.24) * factor).trunc())
}

/// Parses a size that may be negative.
pub(super) fn signed(text: &str) -> Option<f64> {
    match text.strip_prefix('-') {
        Some(size_below) => size(size_below).map(|size| -size),
        None => size(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024() {
        assert_eq!(size("542k"), Some(555_008.0));
        assert_eq!(size("322M"), Some(337_641_472.0));
        assert_eq!(size("1.1k"), Some(1124.0));
        assert_eq!(size("1.9k"), Some(1924.0));
        assert_eq!(signed("-2G"), Some(-2_147_483_648.0));
        assert_eq!((size("17"), size("x"), size("")), (Some(17.0), None, None));
    }
}

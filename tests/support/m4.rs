//! The hourly series of the M4 competition (Makridakis 2018): what is known, and the 48 hours that
//! came then.

#![allow(clippy::expect_used, reason = "for tests and benches")]

use std::path::PathBuf;
use std::{env, fs};

/// One series.
pub struct Hourly {
    /// Known values.
    pub known: Vec<f64>,
    /// Values that followed.
    pub came: Vec<f64>,
}

/// All of them, or what is missing.
pub fn hourly() -> Result<Vec<Hourly>, String> {
    let given = env::var_os("BELLWETHER_TEST_DATA").map(PathBuf::from);
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = given.unwrap_or_else(beside).join("m4");
    let read = |name: &str| {
        let file = folder.join(name);
        let missing = |error| format!("missing: {}: {error}", file.display());
        fs::read_to_string(&file)
            .map(|text| rows(&text))
            .map_err(missing)
    };
    let (known, came) = (read("hourly-train.csv")?, read("hourly-test.csv")?);
    assert_eq!(known.len(), came.len(), "as many series in both files");
    Ok(known
        .into_iter()
        .zip(came)
        .map(|(known, came)| Hourly { known, came })
        .collect())
}

/// The numbers of each line but the first; the first column names the series.
fn rows(text: &str) -> Vec<Vec<f64>> {
    let row = |line: &str| -> Vec<f64> {
        let cells = line.split(',').skip(1).map(|cell| cell.trim_matches('"'));
        cells
            .filter(|cell| !cell.is_empty())
            .map(|cell| cell.parse().expect("a number"))
            .collect()
    };
    text.lines().skip(1).map(row).collect()
}

/// Symmetric mean absolute percentage error, 0 to 200, as M4 scores.
pub fn smape(came: &[f64], forecast: &[f64]) -> f64 {
    assert_eq!(came.len(), forecast.len());
    let error = |(came, forecast): (&f64, &f64)| {
        let size = came.abs() + forecast.abs();
        if size > 0.0 {
            200.0 * (came - forecast).abs() / size
        } else {
            0.0
        }
    };
    came.iter().zip(forecast).map(error).sum::<f64>() / came.len() as f64
}

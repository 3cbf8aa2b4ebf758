//! Forecasts each hour from the hours, days and weeks before it, by ridge regression.

/// Lags in hours. Those longer than the samples allow are omitted.
const LAGS: [usize; 10] = [1, 2, 3, 23, 24, 25, 48, 167, 168, 169];
/// Number of hours to learn from beyond the longest lag.
const LESSONS: usize = 50;
/// Ridge parameter: keeps undetermined weights at zero; in standard deviations of the series.
const RIDGE: f64 = 0.1;

/// Forecasts the `ahead` hours after `hours`, each from the ones before. Results are limited to
/// half the range of the samples beyond it: a recursive forecast may diverge. A positive series is
/// forecast by its logarithms: its variation is proportional to its level.
pub(super) fn autoregression(hours: &[f64], ahead: usize) -> Vec<f64> {
    let lowest = hours.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = hours.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let room = highest / 2.0 - lowest / 2.0;
    let forecast = if lowest > 0.0 {
        let logarithms: Vec<f64> = hours.iter().map(|hour| hour.ln()).collect();
        continued(&logarithms, ahead)
            .into_iter()
            .map(f64::exp)
            .collect()
    } else {
        continued(hours, ahead)
    };
    forecast
        .into_iter()
        .map(|value| value.max(lowest - room).min(highest + room))
        .collect()
}

fn continued(hours: &[f64], ahead: usize) -> Vec<f64> {
    let count = hours.len() as f64;
    let mean = hours.iter().map(|hour| hour / count).sum::<f64>();
    let deviation = hours
        .iter()
        .map(|hour| (hour - mean).powi(2) / count)
        .sum::<f64>()
        .sqrt();
    let usable = LAGS
        .iter()
        .filter(|lag| *lag + LESSONS <= hours.len())
        .count();
    if usable == 0 || !deviation.is_finite() || deviation == 0.0 {
        return vec![mean; ahead];
    }
    let lags = &LAGS[..usable];
    let mut scaled: Vec<f64> = hours.iter().map(|hour| (hour - mean) / deviation).collect();
    let weights = fit(&scaled, lags);
    for _ in 0..ahead {
        let next = row(&scaled, scaled.len(), lags)
            .zip(&weights)
            .map(|(x, w)| x * w)
            .sum();
        scaled.push(next);
    }
    scaled[hours.len()..]
        .iter()
        .map(|value| value * deviation + mean)
        .collect()
}

/// Returns the regressors of hour `at`: the lags, and 1.
fn row<'a>(hours: &'a [f64], at: usize, lags: &'a [usize]) -> impl Iterator<Item = f64> + 'a {
    lags.iter()
        .map(move |lag| hours[at - lag])
        .chain(std::iter::once(1.0))
}

/// Returns the weights of the regressors.
fn fit(hours: &[f64], lags: &[usize]) -> Vec<f64> {
    let size = lags.len() + 1;
    let longest = lags.iter().copied().max().unwrap_or(0);
    let mut system = vec![vec![0.0; size + 1]; size];
    for (index, line) in system.iter_mut().enumerate() {
        line[index] = RIDGE;
    }
    let mut x = Vec::with_capacity(size);
    for at in longest..hours.len() {
        x.clear();
        x.extend(row(hours, at, lags));
        for (line, left) in system.iter_mut().zip(&x) {
            for (cell, right) in line.iter_mut().zip(x.iter().chain([&hours[at]])) {
                *cell += left * right;
            }
        }
    }
    solve(system)
}

/// Gauss-Jordan elimination. The ridge makes the matrix positive definite: no pivot is zero.
fn solve(mut system: Vec<Vec<f64>>) -> Vec<f64> {
    for pivot in 0..system.len() {
        let line = system[pivot].clone();
        for (index, other) in system.iter_mut().enumerate() {
            if index == pivot {
                continue;
            }
            let factor = other[pivot] / line[pivot];
            for (cell, term) in other.iter_mut().zip(&line) {
                *cell -= factor * term;
            }
        }
    }
    system
        .iter()
        .enumerate()
        .map(|(index, line)| line[line.len() - 1] / line[index])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equations_are_solved() {
        let solution = solve(vec![vec![2.0, 1.0, 5.0], vec![1.0, 3.0, 10.0]]);
        assert!((solution[0] - 1.0).abs() < 1e-12 && (solution[1] - 3.0).abs() < 1e-12);
    }

    #[test]
    fn what_repeats_each_day_goes_on() {
        let hours: Vec<f64> = (0..300).map(|hour| f64::from(hour % 24)).collect();
        for (ahead, forecast) in autoregression(&hours, 48).into_iter().enumerate() {
            assert!(
                (forecast - ((300 + ahead) % 24) as f64).abs() < 1.5,
                "{ahead}: {forecast}"
            );
        }
        assert_eq!(autoregression(&[0.0; 200], 2), [0.0, 0.0]);
    }

    #[test]
    fn swings_of_what_is_above_zero_are_parts_of_its_level() {
        // Each day 2 % more, the night a tenth of noon.
        let at = |hour: i32| {
            let day = f64::from(hour % 24) / 24.0 * std::f64::consts::TAU;
            100.0 * 1.02_f64.powf(f64::from(hour) / 24.0) * (1.15 * (1.0 - day.cos())).exp()
        };
        let hours: Vec<f64> = (0..700).map(at).collect();
        for (ahead, forecast) in (0..).zip(autoregression(&hours, 48)) {
            let came = at(700 + ahead);
            assert!(
                (forecast / came - 1.0).abs() < 0.05,
                "{ahead}: {forecast} for {came}"
            );
        }
        assert!((autoregression(&[3.0; 200], 1)[0] - 3.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_reported_stays_near_what_was() {
        // Of 1e-9 and 100 the logarithms are far apart.
        let hours: Vec<f64> = (0..200)
            .map(|hour| if hour % 7 == 0 { 1e-9 } else { 100.0 })
            .collect();
        assert!(
            autoregression(&hours, 48)
                .iter()
                .all(|forecast| (-50.0..=150.0).contains(forecast))
        );
    }
}

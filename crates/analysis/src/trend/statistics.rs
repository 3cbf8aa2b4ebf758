//! Statistics of values without regard to their order.

/// Statistics of at least one finite value.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Number of values.
    pub count: usize,
    /// Mean.
    pub mean: f64,
    /// Minimum.
    pub min: f64,
    /// Maximum.
    pub max: f64,
    /// Population standard deviation, as `stddev_over_time` of PromQL.
    pub deviation: f64,
    /// Mean of the absolute values, to which shares refer.
    pub mean_size: f64,
    /// Quantiles, 0 to 1, with their values, interpolated as `quantile_over_time` of PromQL.
    pub quantiles: Vec<(f64, f64)>,
}

impl Statistics {
    /// Computes the statistics of `values`; `None` if empty. Quantiles are limited to 0 to 1.
    #[must_use]
    pub fn of(values: &[f64], quantiles: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let count = values.len() as f64;
        // Divided first: the sum of huge values is no float.
        let mean = values.iter().map(|value| value / count).sum::<f64>();
        let variance = values
            .iter()
            .map(|value| (value - mean).powi(2) / count)
            .sum::<f64>();
        let mut left = values.to_vec();
        Some(Self {
            count: values.len(),
            mean,
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            deviation: variance.sqrt(),
            mean_size: values.iter().map(|value| value.abs() / count).sum(),
            quantiles: quantiles
                .iter()
                .map(|part| (*part, quantile(&mut left, *part)))
                .collect(),
        })
    }
}

/// Returns the quantile `part` of at least one value. Reorders the values.
fn quantile(values: &mut [f64], part: f64) -> f64 {
    let rank = part.clamp(0.0, 1.0) * (values.len() - 1) as f64;
    let (_, lower, above) = values.select_nth_unstable_by(rank as usize, f64::total_cmp);
    let lower = *lower;
    let upper = above.iter().copied().reduce(f64::min).unwrap_or(lower);
    let share = rank.fract();
    lower * (1.0 - share) + upper * share
}

//! Probabilities of statistical tests.

/// Returns the quantile of Student's distribution for that of the normal distribution, to the first
/// order of 1/freedom.
pub(super) fn student(normal: f64, freedom: f64) -> f64 {
    normal + (normal.powi(3) + normal) / (4.0 * freedom)
}

/// Returns the two-sided p-value of Student's `t`, converted to the normal distribution by
/// Wallace's formula (1959).
pub(super) fn p_value_of_t(t: f64, freedom: f64) -> f64 {
    let narrowed = (freedom * (t * t / freedom).ln_1p()).sqrt();
    outside(narrowed * (8.0 * freedom + 1.0) / (8.0 * freedom + 3.0))
}

/// Returns the two-sided p-value of a correlation, given the effective number of independent pairs.
pub(super) fn p_value_of_correlation(coefficient: f64, worth: f64) -> f64 {
    let freedom = worth - 2.0;
    let rest = 1.0 - coefficient * coefficient;
    if rest <= 0.0 {
        0.0
    } else {
        p_value_of_t(coefficient * (freedom / rest).sqrt(), freedom)
    }
}

/// Returns the two-sided p-value of a normal `z`: erfc by the Chebyshev fit of Numerical Recipes
/// (6.2), with a relative error of 1.2e-7.
fn outside(z: f64) -> f64 {
    const FIT: [f64; 10] = [
        0.170_872_77,
        -0.822_152_23,
        1.488_515_87,
        -1.135_203_98,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_68,
        -1.265_512_23,
    ];
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * x);
    let polynomial = FIT.iter().fold(0.0, |sum, next| sum * t + next);
    (t * (polynomial - x * x).exp()).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_are_those_of_the_tables() {
        for (z, expected) in [
            (0.0, 1.0),
            (1.959_964, 0.05),
            (2.575_829, 0.01),
            (6.0, 1.973e-9),
        ] {
            assert!(
                (outside(z) / expected - 1.0).abs() < 1e-3,
                "{z}: {}",
                outside(z)
            );
        }
        // t of 2.228 with 10 degrees of freedom is 5 %, 3.169 is 1 %.
        assert!((p_value_of_t(2.228, 10.0) - 0.05).abs() < 1e-3);
        assert!((p_value_of_t(-3.169, 10.0) - 0.01).abs() < 5e-4);
        assert!((student(1.96, 10.0) - 2.228).abs() < 0.04);
        // r of 0.632 with 10 pairs is 5 %.
        assert!((p_value_of_correlation(0.632, 10.0) - 0.05).abs() < 1e-3);
        assert_eq!(p_value_of_correlation(1.0, 10.0), 0.0);
    }
}

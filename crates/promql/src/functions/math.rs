//! Functions of single numbers, in which Go differs from the standard library.

use super::mapped;
use crate::ast::Call;
use crate::eval::{Eval, Evaluated, absent};
use crate::query::QueryError;

/// Minimum as Go's `math.Min`: NaN, unless the other is negative infinity.
pub(super) fn min(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        return f64::NEG_INFINITY;
    }
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.min(b)
    }
}

/// Maximum as Go's `math.Max`: NaN, unless the other is positive infinity.
pub(super) fn max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        return f64::INFINITY;
    }
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

pub(super) fn sign(value: f64) -> f64 {
    if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        value
    }
}

/// Rounds to the nearest multiple, ties up. Divides by the inverse as Prometheus does, which keeps 0.1
/// exact.
pub(super) fn round(value: f64, to: &[f64]) -> f64 {
    let inverse = 1.0 / to.first().copied().unwrap_or(1.0);
    (value * inverse + 0.5).floor() / inverse
}

/// Returns the better of two scalars in each step.
pub(super) fn select_scalar(
    eval: &Eval<'_>,
    call: &Call,
    better: fn(f64, f64) -> f64,
) -> Result<Evaluated, QueryError> {
    let (a, b) = (eval.scalar(&call.args[0])?, eval.scalar(&call.args[1])?);
    Ok(Evaluated::Scalar(
        a.into_iter().zip(b).map(|(a, b)| better(a, b)).collect(),
    ))
}

/// Clamps values; returns nothing in steps whose lower bound is above the upper one.
pub(super) fn clamp(eval: &Eval<'_>, call: &Call) -> Result<Evaluated, QueryError> {
    let arguments = &call.args;
    let (low, high) = (eval.scalar(&arguments[1])?, eval.scalar(&arguments[2])?);
    let mut vector = mapped(eval.instant_vector(&arguments[0])?, |step, value| {
        if high[step] < low[step] {
            return crate::eval::ABSENT;
        }
        max(low[step], min(high[step], value))
    });
    vector.retain(|series| !series.values.iter().copied().all(absent));
    Ok(Evaluated::Vector(vector))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_and_the_most_are_those_of_go() {
        let nan = f64::NAN;
        assert_eq!(max(f64::INFINITY, nan), f64::INFINITY);
        assert_eq!(min(nan, f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert!(max(f64::NEG_INFINITY, nan).is_nan() && min(1.0, nan).is_nan());
        assert_eq!((max(1.0, 2.0), min(1.0, 2.0)), (2.0, 1.0));
    }
}

//! Functions of single numbers, where those of the standard library differ from Go's.

use super::mapped;
use crate::ast::Call;
use crate::eval::{Eval, Out, absent};
use crate::query::QueryError;

/// As Go's `math.Min`: NaN wins over all but the least there is.
pub(super) fn least(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        return f64::NEG_INFINITY;
    }
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.min(b)
    }
}

/// As Go's `math.Max`: NaN wins over all but the most there is.
pub(super) fn most(a: f64, b: f64) -> f64 {
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

/// To the nearest multiple, ties up. Prometheus divides by the inverse, which keeps 0.1 exact.
pub(super) fn round(value: f64, to: &[f64]) -> f64 {
    let inverse = 1.0 / to.first().copied().unwrap_or(1.0);
    (value * inverse + 0.5).floor() / inverse
}

/// The better of two numbers in each step.
pub(super) fn better(
    eval: &Eval<'_>,
    call: &Call,
    better: fn(f64, f64) -> f64,
) -> Result<Out, QueryError> {
    let (a, b) = (eval.scalar(&call.args[0])?, eval.scalar(&call.args[1])?);
    Ok(Out::Scalar(
        a.into_iter().zip(b).map(|(a, b)| better(a, b)).collect(),
    ))
}

/// Nothing at all in steps whose bounds are the wrong way round.
pub(super) fn clamp(eval: &Eval<'_>, call: &Call) -> Result<Out, QueryError> {
    let arguments = &call.args;
    let (low, high) = (eval.scalar(&arguments[1])?, eval.scalar(&arguments[2])?);
    let mut lines = mapped(eval.lines(&arguments[0])?, |step, value| {
        if high[step] < low[step] {
            return crate::eval::ABSENT;
        }
        most(low[step], least(high[step], value))
    });
    lines.retain(|line| !line.values.iter().copied().all(absent));
    Ok(Out::Vector(lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_and_the_most_are_those_of_go() {
        let nan = f64::NAN;
        assert_eq!(most(f64::INFINITY, nan), f64::INFINITY);
        assert_eq!(least(nan, f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert!(most(f64::NEG_INFINITY, nan).is_nan() && least(1.0, nan).is_nan());
        assert_eq!((most(1.0, 2.0), least(1.0, 2.0)), (2.0, 1.0));
    }
}

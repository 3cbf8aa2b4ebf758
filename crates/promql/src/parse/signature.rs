//! Signatures of functions.

use crate::ast::ValueType::{self, Matrix, Scalar, String, Vector};

/// Types and number of the arguments of a function, and the type of its result.
#[derive(Debug, PartialEq)]
pub(crate) struct Signature {
    pub(crate) name: &'static str,
    /// Types of the arguments; the last one applies to all further arguments.
    pub(crate) arguments: &'static [ValueType],
    /// Smallest number of arguments.
    pub(crate) min_arguments: usize,
    /// Largest number of arguments.
    pub(crate) max_arguments: usize,
    pub(crate) returns: ValueType,
}

const fn of(name: &'static str, arguments: &'static [ValueType]) -> Signature {
    Signature {
        name,
        arguments,
        min_arguments: arguments.len(),
        max_arguments: arguments.len(),
        returns: Vector,
    }
}

/// A function whose last argument is optional.
const fn optional(name: &'static str, arguments: &'static [ValueType]) -> Signature {
    Signature {
        min_arguments: arguments.len() - 1,
        ..of(name, arguments)
    }
}

/// A function whose last argument may be repeated.
const fn many(
    name: &'static str,
    arguments: &'static [ValueType],
    min_arguments: usize,
    max_arguments: usize,
) -> Signature {
    Signature {
        min_arguments,
        max_arguments,
        ..of(name, arguments)
    }
}

const fn number(name: &'static str, arguments: &'static [ValueType]) -> Signature {
    Signature {
        returns: Scalar,
        ..of(name, arguments)
    }
}

/// All functions, sorted by name.
static ALL: &[Signature] = &[
    of("abs", &[Vector]),
    of("absent", &[Vector]),
    of("absent_over_time", &[Matrix]),
    of("acos", &[Vector]),
    of("acosh", &[Vector]),
    of("asin", &[Vector]),
    of("asinh", &[Vector]),
    of("atan", &[Vector]),
    of("atanh", &[Vector]),
    of("avg_over_time", &[Matrix]),
    of("ceil", &[Vector]),
    of("changes", &[Matrix]),
    of("clamp", &[Vector, Scalar, Scalar]),
    of("clamp_max", &[Vector, Scalar]),
    of("clamp_min", &[Vector, Scalar]),
    of("cos", &[Vector]),
    of("cosh", &[Vector]),
    of("count_over_time", &[Matrix]),
    optional("day_of_month", &[Vector]),
    optional("day_of_week", &[Vector]),
    optional("day_of_year", &[Vector]),
    optional("days_in_month", &[Vector]),
    of("deg", &[Vector]),
    of("delta", &[Matrix]),
    of("deriv", &[Matrix]),
    of("double_exponential_smoothing", &[Matrix, Scalar, Scalar]),
    number("end", &[]),
    of("exp", &[Vector]),
    of("first_over_time", &[Matrix]),
    of("floor", &[Vector]),
    of("histogram_avg", &[Vector]),
    of("histogram_count", &[Vector]),
    of("histogram_fraction", &[Scalar, Scalar, Vector]),
    of("histogram_quantile", &[Scalar, Vector]),
    many("histogram_quantiles", &[Vector, String, Scalar], 3, 12),
    of("histogram_stddev", &[Vector]),
    of("histogram_stdvar", &[Vector]),
    of("histogram_sum", &[Vector]),
    optional("hour", &[Vector]),
    of("idelta", &[Matrix]),
    of("increase", &[Matrix]),
    optional("info", &[Vector, Vector]),
    of("irate", &[Matrix]),
    many(
        "label_join",
        &[Vector, String, String, String],
        3,
        usize::MAX,
    ),
    of("label_replace", &[Vector, String, String, String, String]),
    of("last_over_time", &[Matrix]),
    of("ln", &[Vector]),
    of("log10", &[Vector]),
    of("log2", &[Vector]),
    of("mad_over_time", &[Matrix]),
    number("max_of", &[Scalar, Scalar]),
    of("max_over_time", &[Matrix]),
    number("min_of", &[Scalar, Scalar]),
    of("min_over_time", &[Matrix]),
    optional("minute", &[Vector]),
    optional("month", &[Vector]),
    number("pi", &[]),
    of("predict_linear", &[Matrix, Scalar]),
    of("present_over_time", &[Matrix]),
    of("quantile_over_time", &[Scalar, Matrix]),
    of("rad", &[Vector]),
    number("range", &[]),
    of("rate", &[Matrix]),
    of("resets", &[Matrix]),
    optional("round", &[Vector, Scalar]),
    number("scalar", &[Vector]),
    of("sgn", &[Vector]),
    of("sin", &[Vector]),
    of("sinh", &[Vector]),
    of("sort", &[Vector]),
    many("sort_by_label", &[Vector, String], 1, usize::MAX),
    many("sort_by_label_desc", &[Vector, String], 1, usize::MAX),
    of("sort_desc", &[Vector]),
    of("sqrt", &[Vector]),
    number("start", &[]),
    of("stddev_over_time", &[Matrix]),
    of("stdvar_over_time", &[Matrix]),
    number("step", &[]),
    of("sum_over_time", &[Matrix]),
    of("tan", &[Vector]),
    of("tanh", &[Vector]),
    number("time", &[]),
    of("timestamp", &[Vector]),
    of("ts_of_first_over_time", &[Matrix]),
    of("ts_of_last_over_time", &[Matrix]),
    of("ts_of_max_over_time", &[Matrix]),
    of("ts_of_min_over_time", &[Matrix]),
    of("vector", &[Scalar]),
    optional("year", &[Vector]),
];

/// Returns the signature of a function.
pub(super) fn find(name: &str) -> Option<&'static Signature> {
    ALL.binary_search_by(|function| function.name.cmp(name))
        .ok()
        .map(|at| &ALL[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_sorted_by_name_and_each_has_an_evaluation() {
        for two in ALL.windows(2) {
            let (name, next) = (two[0].name, two[1].name);
            assert!(name < next, "{next} belongs before {name}");
        }
        let evaluated = crate::functions::names();
        for (function, evaluated) in ALL.iter().zip(&evaluated) {
            let name = function.name;
            assert_eq!(name, *evaluated, "TABLE in functions.rs differs here");
        }
        assert_eq!(ALL.len(), evaluated.len());
    }
}

//! What a value is compared with, and what follows from it for one value.
//!
//! Owns the comparison, the levels of a rule and its dead band. Knows neither time nor series.

use bellwether_core::Severity;
use bellwether_schema::string_enum;

string_enum! {
    /// How a value is compared with the threshold.
    pub enum Condition {
        /// Above it.
        Greater = ">" | "greater_than",
        /// Below it.
        Less = "<" | "less_than",
        /// At or above it.
        GreaterOrEqual = ">=" | "greater_or_equal" | "greater_than_or_equal",
        /// At or below it.
        LessOrEqual = "<=" | "less_or_equal" | "less_than_or_equal",
        /// Exactly it.
        Equals = "==" | "equals",
        /// Anything else than it.
        NotEquals = "!=" | "not_equals",
    }
}

impl Condition {
    /// Whether `value` stands in this relation to `threshold`. NaN never does, not even `!=`.
    #[must_use]
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Greater => value > threshold,
            Self::Less => value < threshold,
            Self::GreaterOrEqual => value >= threshold,
            Self::LessOrEqual => value <= threshold,
            Self::Equals => value == threshold,
            Self::NotEquals => value != threshold && !value.is_nan() && !threshold.is_nan(),
        }
    }

    /// The condition with its sides exchanged: `0.5 < x` is `x > 0.5`.
    #[must_use]
    pub fn flipped(self) -> Self {
        match self {
            Self::Greater => Self::Less,
            Self::Less => Self::Greater,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Equals | Self::NotEquals => self,
        }
    }

    /// Whether `a` is further in the direction of the condition than `b`; `None` where the
    /// condition has no direction.
    #[must_use]
    pub fn beyond(self, a: f64, b: f64) -> Option<bool> {
        match self {
            Self::Greater | Self::GreaterOrEqual => Some(a > b),
            Self::Less | Self::LessOrEqual => Some(a < b),
            Self::Equals | Self::NotEquals => None,
        }
    }
}

/// Most levels one rule can have: warning, critical, emergency.
pub const MAX_LEVELS: usize = 3;

/// One level of a rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// How bad it is to reach it.
    pub severity: Severity,
    /// Where it begins; `None` where the expression itself is the condition.
    pub threshold: Option<f64>,
}

/// What one value means for a rule, without regard to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The condition holds up to this level (index, mildest first).
    Holds(usize),
    /// It does not, but the value has not come back past `resolve_threshold` either.
    Band,
    /// It does not.
    Clear,
}

/// The condition of one rule with all its levels.
#[derive(Clone, Debug, PartialEq)]
pub struct Judge {
    /// The comparison.
    pub condition: Condition,
    /// Mildest first, at least one, at most [`MAX_LEVELS`].
    pub levels: Vec<Level>,
    /// Where a firing alert resolves, if that is not the mildest threshold.
    pub resolve: Option<f64>,
}

impl Judge {
    /// Judges a value that is not NaN.
    #[must_use]
    pub fn verdict(&self, value: f64) -> Verdict {
        let holds = |level: &Level| {
            level.threshold.map_or(value != 0.0, |threshold| {
                self.condition.holds(value, threshold)
            })
        };
        match self.levels.iter().rposition(holds) {
            Some(level) => Verdict::Holds(level),
            None if self
                .resolve
                .is_some_and(|at| self.condition.holds(value, at)) =>
            {
                Verdict::Band
            }
            None => Verdict::Clear,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Condition; 6] = [
        Condition::Greater,
        Condition::Less,
        Condition::GreaterOrEqual,
        Condition::LessOrEqual,
        Condition::Equals,
        Condition::NotEquals,
    ];

    #[test]
    fn each_condition_below_at_and_above() {
        let table = ALL.map(|condition| [1.0, 2.0, 3.0].map(|value| condition.holds(value, 2.0)));
        assert_eq!(
            table,
            [
                [false, false, true],
                [true, false, false],
                [false, true, true],
                [true, true, false],
                [false, true, false],
                [true, false, true],
            ]
        );
    }

    #[test]
    fn nan_satisfies_nothing() {
        for condition in ALL {
            assert!(!condition.holds(f64::NAN, 2.0), "{condition:?}");
            assert!(!condition.holds(2.0, f64::NAN), "{condition:?}");
        }
    }

    #[test]
    fn flipping_exchanges_the_sides() {
        for condition in ALL {
            for (a, b) in [(1.0, 2.0), (2.0, 2.0), (3.0, 2.0)] {
                assert_eq!(
                    condition.holds(a, b),
                    condition.flipped().holds(b, a),
                    "{condition:?}"
                );
            }
        }
    }

    #[test]
    fn the_highest_level_reached_and_the_band_below() {
        let level = |severity, at| Level {
            severity,
            threshold: Some(at),
        };
        let judge = Judge {
            condition: Condition::Greater,
            levels: vec![
                level(Severity::Warning, 80.0),
                level(Severity::Critical, 90.0),
                level(Severity::Emergency, 95.0),
            ],
            resolve: Some(75.0),
        };
        let verdicts = [75.0, 76.0, 80.0, 81.0, 91.0, 99.0].map(|value| judge.verdict(value));
        assert_eq!(
            verdicts,
            [
                Verdict::Clear,
                Verdict::Band,
                Verdict::Band,
                Verdict::Holds(0),
                Verdict::Holds(1),
                Verdict::Holds(2),
            ]
        );
    }
}

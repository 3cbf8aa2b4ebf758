//! Comparison of one value with the thresholds of a rule.
//!
//! Owns the comparison, the levels of a rule and its hysteresis. Knows neither time nor series.

use bellwether_core::Severity;
use bellwether_schema::string_enum;

string_enum! {
    /// Comparison of a value with a threshold.
    pub enum Condition {
        /// Above the threshold.
        Greater = ">" | "greater_than",
        /// Below the threshold.
        Less = "<" | "less_than",
        /// At or above the threshold.
        GreaterOrEqual = ">=" | "greater_or_equal" | "greater_than_or_equal",
        /// At or below the threshold.
        LessOrEqual = "<=" | "less_or_equal" | "less_than_or_equal",
        /// Equal to the threshold.
        Equals = "==" | "equals",
        /// Not equal to the threshold.
        NotEquals = "!=" | "not_equals",
    }
}

impl Condition {
    /// Compares `value` with `threshold`. NaN never holds, not even with `!=`.
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

    /// Exchanges the sides: `0.5 < x` is `x > 0.5`.
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

    /// Returns true if `a` is further in the direction of the condition than `b`; `None` for a
    /// condition without direction.
    #[must_use]
    pub fn is_beyond(self, a: f64, b: f64) -> Option<bool> {
        match self {
            Self::Greater | Self::GreaterOrEqual => Some(a > b),
            Self::Less | Self::LessOrEqual => Some(a < b),
            Self::Equals | Self::NotEquals => None,
        }
    }
}

/// Maximum number of levels of a rule: warning, critical, emergency.
pub const MAX_LEVELS: usize = 3;

/// Level of a rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    pub severity: Severity,
    /// Threshold; `None` if the expression itself is the condition.
    pub threshold: Option<f64>,
}

/// Result of a comparison, without regard to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionState {
    /// The condition holds up to this level (index, mildest first).
    Breached(usize),
    /// The condition does not hold, but the value has not passed `resolve_threshold` either.
    Hysteresis,
    /// The condition does not hold.
    Ok,
}

/// Condition of a rule with all its levels.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub condition: Condition,
    /// Mildest first, at least one, at most [`MAX_LEVELS`].
    pub levels: Vec<Level>,
    /// Threshold at which a firing alert resolves, if not that of the mildest level.
    pub resolve: Option<f64>,
}

impl Comparison {
    /// Compares a value that is not NaN.
    #[must_use]
    pub fn evaluate(&self, value: f64) -> ConditionState {
        let holds = |level: &Level| {
            level.threshold.map_or(value != 0.0, |threshold| {
                self.condition.holds(value, threshold)
            })
        };
        match self.levels.iter().rposition(holds) {
            Some(level) => ConditionState::Breached(level),
            None if self
                .resolve
                .is_some_and(|at| self.condition.holds(value, at)) =>
            {
                ConditionState::Hysteresis
            }
            None => ConditionState::Ok,
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
        let comparison = Comparison {
            condition: Condition::Greater,
            levels: vec![
                level(Severity::Warning, 80.0),
                level(Severity::Critical, 90.0),
                level(Severity::Emergency, 95.0),
            ],
            resolve: Some(75.0),
        };
        let states = [75.0, 76.0, 80.0, 81.0, 91.0, 99.0].map(|value| comparison.evaluate(value));
        assert_eq!(
            states,
            [
                ConditionState::Ok,
                ConditionState::Hysteresis,
                ConditionState::Hysteresis,
                ConditionState::Breached(0),
                ConditionState::Breached(1),
                ConditionState::Breached(2),
            ]
        );
    }
}

//! Times at which questions are due. Pure.

use std::collections::BTreeMap;

use bellwether_core::MonoMillis;

/// Question to the agent. Of those that are due at once, the first of this order comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ask {
    /// The connection itself.
    Connection,
    Summary,
    Metrics,
    Bottlenecks,
    Score,
    /// The curves of a plot of the view in front, by its place.
    Plot(usize),
}

impl Ask {
    /// Questions of every view.
    pub(super) const ALWAYS: [Self; 4] =
        [Self::Summary, Self::Metrics, Self::Bottlenecks, Self::Score];
}

/// Questions with the times at which they are due.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    due: BTreeMap<Ask, MonoMillis>,
}

impl Schedule {
    /// Makes a question due at `at`, unless it is due sooner.
    pub(super) fn bring(&mut self, ask: Ask, at: MonoMillis) {
        let due = self.due.entry(ask).or_insert(at);
        *due = (*due).min(at);
    }

    /// Returns the time of the next question.
    pub(super) fn next(&self) -> Option<MonoMillis> {
        self.due.values().min().copied()
    }

    /// Removes and returns the question that is due for the longest time.
    pub(super) fn take_due(&mut self, now: MonoMillis) -> Option<Ask> {
        let due = self.due.iter().filter(|(_, at)| **at <= now);
        let ask = due
            .min_by_key(|(ask, at)| (**at, **ask))
            .map(|(ask, _)| *ask)?;
        self.due.remove(&ask);
        Some(ask)
    }

    /// Returns the questions.
    pub(super) fn asks(&self) -> Vec<Ask> {
        self.due.keys().copied().collect()
    }

    /// Removes the questions about plots.
    pub(super) fn forget_plots(&mut self) {
        self.due.retain(|ask, _| !matches!(ask, Ask::Plot(_)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_that_waits_longest_comes_first() {
        let mut schedule = Schedule::default();
        for (ask, at) in [
            (Ask::Plot(0), 5),
            (Ask::Plot(1), 5),
            (Ask::Summary, 5),
            (Ask::Score, 4),
            (Ask::Score, 9),
            (Ask::Metrics, 8),
        ] {
            schedule.bring(ask, MonoMillis(at));
        }
        assert_eq!(schedule.next(), Some(MonoMillis(4)));
        assert_eq!(schedule.take_due(MonoMillis(3)), None);
        let order: Vec<Ask> = std::iter::from_fn(|| schedule.take_due(MonoMillis(7))).collect();
        assert_eq!(
            order,
            [Ask::Score, Ask::Summary, Ask::Plot(0), Ask::Plot(1)]
        );
        schedule.bring(Ask::Plot(7), MonoMillis(1));
        schedule.forget_plots();
        assert_eq!(schedule.asks(), [Ask::Metrics]);
    }
}

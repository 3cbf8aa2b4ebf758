//! Questions to the agent: what their answers are to the data, and when each is asked again.

use std::time::Duration;

use bellwether_core::UnixMillis;
use serde_json::Value;

use super::live::TICKS;
use super::schedule::Ask;
use super::{Connection, Feed, RARE, SLOW};
use crate::cli::asking::list;
use crate::cli::top::plot::{Grid, Plot};
use crate::cli::top::query::{self, Query};

impl Feed {
    /// Asks what is due first.
    pub(super) fn ask_due(&mut self) {
        let Some(ask) = self.schedule.take_due(self.now()) else {
            return;
        };
        if ask == Ask::Connection {
            return self.connect();
        }
        match self.ask(ask) {
            Ok(()) => {
                if let Some(pace) = self.pace(ask) {
                    self.schedule.bring(ask, self.now().after(pace));
                }
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Asks one question.
    ///
    /// # Errors
    /// The agent does not answer. What needs history, which may be disabled, is left as it was.
    pub(super) fn ask(&mut self, ask: Ask) -> anyhow::Result<()> {
        let at = self.clock.now().wall;
        match ask {
            Ask::Connection => {}
            Ask::Summary => {
                self.data.summary = self.agent.get("/api/v1/summary")?;
                self.summarized = self.now();
            }
            Ask::Metrics => {
                let answer = self.agent.get("/api/v1/metrics?limit=0")?;
                self.set_metrics(list(&answer["metrics"]));
            }
            Ask::Bottlenecks => {
                if let Ok(bottlenecks) = self.agent.get("/api/v1/bottlenecks") {
                    self.data.bottlenecks = bottlenecks;
                }
            }
            Ask::Score => {
                if let Ok(score) = self.agent.get("/api/v1/score") {
                    self.data.score = score;
                }
            }
            Ask::Plot(place) => self.fill(place, at),
        }
        self.changed(at);
        Ok(())
    }

    fn set_metrics(&mut self, metrics: &[Value]) {
        let vitals = replace(&mut self.data.vitals, query::vitals(metrics));
        let series = replace(&mut self.data.series, query::of_all(metrics));
        if vitals || series {
            self.show_front();
        }
    }

    fn fill(&mut self, place: usize, end: UnixMillis) {
        let window = self.needs.window;
        let Some(plot) = self.front().get(place) else {
            return;
        };
        let grid = Grid { end, window };
        let Ok(answer) = self.agent.range(&plot.query, grid) else {
            // Such as for too many requests at once.
            let later = self.now().after(SLOW);
            return self.schedule.bring(Ask::Plot(place), later);
        };
        if let Some(plot) = self.front_mut().get_mut(place) {
            plot.fill(&answer, grid);
        }
    }

    /// Time between two questions of a kind; none if nothing but an event asks it again.
    pub(super) fn pace(&self, ask: Ask) -> Option<Duration> {
        let slow = SLOW.max(self.interval);
        let is_live = |promql: &str| match &self.connection {
            Connection::Live(live) => !live.refused.contains(promql),
            Connection::Away | Connection::Polled => false,
        };
        match (ask, &self.connection) {
            (Ask::Connection, _) => None,
            (Ask::Metrics, _) => Some(RARE.max(self.interval)),
            (Ask::Summary, _) if is_live(TICKS) => Some(slow),
            (Ask::Plot(place), _) => {
                let promql = &self.front().get(place)?.query.promql;
                (!is_live(promql)).then_some(match self.connection {
                    Connection::Live(_) => slow,
                    Connection::Away | Connection::Polled => self.interval,
                })
            }
            (Ask::Bottlenecks | Ask::Score, Connection::Live(_)) => Some(slow),
            (Ask::Summary | Ask::Bottlenecks | Ask::Score, _) => Some(self.interval),
        }
    }
}

/// Sets the queries of plots, and returns whether they are others. A plot whose query stays keeps its curves.
fn replace(plots: &mut Vec<Plot>, queries: Vec<Query>) -> bool {
    let is_same = plots.iter().map(|plot| &plot.query).eq(&queries);
    if is_same {
        return false;
    }
    let mut before = std::mem::take(plots);
    *plots = queries
        .into_iter()
        .map(|query| {
            let place = before.iter().position(|plot| plot.query == query);
            place.map_or_else(|| Plot::new(query), |place| before.swap_remove(place))
        })
        .collect();
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_whose_query_stays_keeps_its_curves() {
        let query = |promql: &str| Query {
            promql: promql.to_owned(),
            most: 1,
            ..Query::default()
        };
        let mut plots = vec![Plot::new(query("a")), Plot::new(query("b"))];
        let series = [serde_json::json!({"labels": {}, "value": 1.0})];
        plots[1].push(&series, UnixMillis(1), SLOW);
        assert!(!replace(&mut plots, vec![query("a"), query("b")]));
        assert!(replace(&mut plots, vec![query("b"), query("c")]));
        let curves: Vec<usize> = plots.iter().map(|plot| plot.curves.len()).collect();
        assert_eq!(curves, [1, 0]);
    }
}

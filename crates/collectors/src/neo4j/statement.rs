//! One statement: sent read-only, bounded in time and rows, answered with rows or a trouble.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_schema::format_duration;
use neo4rs::{BoltMap, BoltType, DetachedRowStream, Graph, Query, query};
use tokio::time::{Instant, timeout_at};

use super::catalogue::APP;
use super::pool::Pool;
use super::rows::{Cell, Row};
use super::trouble::{Kind, Trouble};

/// What to ask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement<'a> {
    pub(super) cypher: &'a str,
    pub(super) database: &'a str,
    pub(super) timeout: Duration,
    pub(super) row_limit: usize,
}

/// What came back.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) rows: Vec<Row>,
    /// Rows above the limit. They were counted, at most nine times the limit, and dropped.
    pub(super) dropped: usize,
    /// Whether all rows were counted.
    pub(super) complete: bool,
}

impl Statement<'_> {
    /// Asks it on a connection of `pool`. The duration is that of the statement, without the wait
    /// for a connection, and there is none where it was not sent.
    pub(super) async fn ask(
        &self,
        pool: &Arc<Pool>,
    ) -> (Result<Answer, Trouble>, Option<Duration>) {
        let lease = match pool.acquire().await {
            Ok(lease) => lease,
            Err(trouble) => return (Err(trouble), None),
        };
        let started = Instant::now();
        let answer = match lease.graph() {
            Some(graph) => self.rows(graph, started + self.timeout).await,
            None => Err(Trouble::new(Kind::Connect, "connection closed")),
        };
        let took = started.elapsed();
        // A connection with an answer still to come is closed, which ends the transaction too.
        match &answer {
            Ok(answer) if answer.complete => lease.give_back(),
            Err(trouble) if trouble.answered() => lease.give_back(),
            _ => drop(lease),
        }
        (answer, Some(took))
    }

    async fn rows(&self, graph: &Graph, deadline: Instant) -> Result<Answer, Trouble> {
        let mut stream = timeout_at(deadline, graph.execute_read(self.query()))
            .await
            .map_err(|_| self.late())??;
        let mut answer = Answer::default();
        while answer.rows.len() + answer.dropped < 10 * self.row_limit {
            match self.next(&mut stream, deadline).await {
                // Late with counting what is dropped anyway: the rows below the limit stand.
                Err(trouble) if answer.dropped > 0 && trouble.kind == Kind::Timeout => {
                    return Ok(answer);
                }
                Err(trouble) => return Err(trouble),
                Ok(None) => {
                    answer.complete = true;
                    return Ok(answer);
                }
                Ok(Some(_)) if answer.rows.len() == self.row_limit => answer.dropped += 1,
                Ok(Some(row)) => answer.rows.push(row),
            }
        }
        Ok(answer)
    }

    async fn next(
        &self,
        stream: &mut DetachedRowStream,
        deadline: Instant,
    ) -> Result<Option<Row>, Trouble> {
        let row = timeout_at(deadline, stream.next())
            .await
            .map_err(|_| self.late())??;
        row.map(|row| {
            let cells: HashMap<String, BoltType> = row
                .to_strict()
                .map_err(|error| Trouble::from(neo4rs::Error::from(error)))?;
            Ok(cells
                .into_iter()
                .map(|(column, value)| (column, cell(value)))
                .collect())
        })
        .transpose()
    }

    /// Named parameters, the database, the server's own timeout, and who asks.
    fn query(&self) -> Query {
        let mut metadata = BoltMap::new();
        // The library greets as itself; this is what the query log and SHOW TRANSACTIONS tell.
        metadata.put("app".into(), APP.into());
        metadata.put("version".into(), env!("CARGO_PKG_VERSION").into());
        let millis = i64::try_from(self.timeout.as_millis())
            .unwrap_or(i64::MAX)
            .max(1);
        query(self.cypher)
            .param("database", self.database)
            .param("app", APP)
            .extra("db", self.database)
            .extra("tx_timeout", millis)
            .extra("tx_metadata", BoltType::Map(metadata))
    }

    fn late(&self) -> Trouble {
        Trouble::new(
            Kind::Timeout,
            format!("not done within {}", format_duration(self.timeout)),
        )
    }
}

fn cell(value: BoltType) -> Cell {
    match value {
        BoltType::Null(_) => Cell::Null,
        BoltType::Boolean(value) => Cell::Bool(value.value),
        BoltType::Integer(value) => Cell::Int(value.value),
        BoltType::Float(value) => Cell::Float(value.value),
        BoltType::String(value) => Cell::Text(value.value),
        BoltType::List(_) => Cell::Other("a list"),
        BoltType::Map(_) => Cell::Other("a map"),
        BoltType::Node(_) => Cell::Other("a node"),
        BoltType::Relation(_) | BoltType::UnboundedRelation(_) => Cell::Other("a relationship"),
        BoltType::Path(_) => Cell::Other("a path"),
        BoltType::Point2D(_) | BoltType::Point3D(_) => Cell::Other("a point"),
        BoltType::Bytes(_) => Cell::Other("bytes"),
        BoltType::Duration(_) => Cell::Other("a duration"),
        BoltType::Date(_) => Cell::Other("a date"),
        BoltType::Time(_) | BoltType::LocalTime(_) => Cell::Other("a time"),
        BoltType::DateTime(_) | BoltType::LocalDateTime(_) | BoltType::DateTimeZoneId(_) => {
            Cell::Other("a date and time")
        }
    }
}

#[cfg(test)]
mod tests {
    use neo4rs::{BoltDuration, BoltInteger, BoltList};

    use super::*;

    #[test]
    fn values_of_the_library_to_cells() {
        assert_eq!(cell(BoltType::Integer(BoltInteger::new(-3))), Cell::Int(-3));
        assert_eq!(cell(BoltType::String("x".into())), Cell::Text("x".into()));
        assert_eq!(cell(BoltType::List(BoltList::new())), Cell::Other("a list"));
        let day = BoltDuration::new(0.into(), 1.into(), 0.into(), 0.into());
        assert_eq!(cell(BoltType::Duration(day)), Cell::Other("a duration"));
    }
}

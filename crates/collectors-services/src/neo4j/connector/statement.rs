//! Runs one statement: read-only, with limits of time and rows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_schema::format_duration;
use neo4rs::{BoltMap, BoltType, DetachedRowStream, Graph, Query, query};
use tokio::time::{Instant, timeout_at};

use super::error::{Kind, Neo4jError};
use super::pool::Pool;
use super::rows::{Cell, Row};
use crate::neo4j::catalogue::APP;

/// A statement with its limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement<'a> {
    pub(super) cypher: &'a str,
    pub(super) database: &'a str,
    pub(super) timeout: Duration,
    pub(super) row_limit: usize,
}

/// Result of a statement.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) rows: Vec<Row>,
    /// Rows over the limit, which were dropped; counted up to nine times the limit.
    pub(super) dropped: usize,
    /// Set if all rows were counted.
    pub(super) complete: bool,
}

impl Statement<'_> {
    /// Runs the statement on a connection of `pool`. The duration does not include the wait for a
    /// connection; it is `None` if the statement was not sent.
    pub(super) async fn run(
        &self,
        pool: &Arc<Pool>,
    ) -> (Result<Answer, Neo4jError>, Option<Duration>) {
        let lease = match pool.acquire().await {
            Ok(lease) => lease,
            Err(error) => return (Err(error), None),
        };
        let started = Instant::now();
        let answer = match lease.graph() {
            Some(graph) => self.rows(graph, started + self.timeout).await,
            None => Err(Neo4jError::new(Kind::Connect, "connection closed")),
        };
        let took = started.elapsed();
        // A connection with an unread answer is closed, which ends the transaction too.
        match &answer {
            Ok(answer) if answer.complete => lease.release(),
            Err(error) if error.is_answer() => lease.release(),
            _ => drop(lease),
        }
        (answer, Some(took))
    }

    async fn rows(&self, graph: &Graph, deadline: Instant) -> Result<Answer, Neo4jError> {
        let mut stream = timeout_at(deadline, graph.execute_read(self.query()))
            .await
            .map_err(|_| self.timeout_error())??;
        let mut answer = Answer::default();
        while answer.rows.len() + answer.dropped < 10 * self.row_limit {
            match self.next(&mut stream, deadline).await {
                // A timeout while counting dropped rows: the rows below the limit are valid.
                Err(error) if answer.dropped > 0 && error.kind == Kind::Timeout => {
                    return Ok(answer);
                }
                Err(error) => return Err(error),
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
    ) -> Result<Option<Row>, Neo4jError> {
        let row = timeout_at(deadline, stream.next())
            .await
            .map_err(|_| self.timeout_error())??;
        row.map(|row| {
            let cells: HashMap<String, BoltType> = row
                .to_strict()
                .map_err(|error| Neo4jError::from(neo4rs::Error::from(error)))?;
            Ok(cells
                .into_iter()
                .map(|(column, value)| (column, cell(value)))
                .collect())
        })
        .transpose()
    }

    /// Builds the query with its parameters, database, server-side timeout and metadata.
    fn query(&self) -> Query {
        let mut metadata = BoltMap::new();
        // Shown by the query log and SHOW TRANSACTIONS; the user agent is that of the library.
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

    fn timeout_error(&self) -> Neo4jError {
        Neo4jError::new(
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

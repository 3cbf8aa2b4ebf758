//! Queries of PostgreSQL, MySQL, MariaDB and SQLite.
//!
//! Without the feature `sql` there are the settings alone, and their checks.

#[cfg(feature = "sql")]
mod collector;
#[cfg(feature = "sql")]
mod connection;
mod dsn;
#[cfg(feature = "sql")]
mod error;
#[cfg(feature = "sql")]
mod pool;
#[cfg(feature = "sql")]
mod query;
#[cfg(feature = "sql")]
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bellwether_collector::{Build, EntryContext, EntryType, check_timeout};
use bellwether_core::Kind;
use bellwether_schema::{
    Diagnostics, HumanDuration, Literal, Secret, Spanned, check_label_name, check_label_names,
    check_metric_name, section,
};

pub use self::dsn::dsn_parameters;
use self::dsn::{Dsn, Server};

/// Label of the database's name, if `databases` is set.
const DATABASE_LABEL: &str = "database";

section! {
    /// Collector of type `sql`: queries of PostgreSQL, MySQL, MariaDB or SQLite. Each runs in a read-only transaction and
    /// has the series `sql_query_success`, `sql_query_duration_seconds` and `sql_query_rows`.
    pub struct Sql {
        /// Address: `postgres://user@host:5432/database`, `mysql://user@host:3306/database` (MariaDB too) or
        /// `sqlite:///path/file.db`. Never shown.
        pub dsn: Spanned<Secret>,
        /// File that holds the password; read again at each new connection.
        pub password_file: Option<Spanned<PathBuf>>,
        /// Query whose first column has names of databases. Each query then runs in each of them, on a connection that
        /// is closed afterwards, and its series have the label `database`. Default: only the database of `dsn`.
        pub databases: Option<Spanned<Literal>>,
        /// Maximum number of connections, and so of concurrent queries.
        pub max_connections: Spanned<u32> = 4.into(),
        /// Maximum number of rows of one query. Further rows are dropped, and the collection fails with a message.
        pub row_limit: Spanned<u32> = 10_000.into(),
        /// The queries.
        pub queries: Vec<SqlQuery>,
    }
}

section! {
    /// Query whose columns are labels and values of metrics.
    pub struct SqlQuery {
        /// Name of the query, in messages and in its series `sql_query_*`.
        pub name: Spanned<String>,
        /// SQL: one statement that returns rows. Nothing is expanded in it.
        pub query: Spanned<Literal>,
        /// Columns that are labels, under their names. A null is a label without a value.
        pub labels: Vec<Spanned<String>> = Vec::new(),
        /// Metrics: each has a series per row.
        pub values: Vec<SqlValue>,
        /// Interval; until the next run, its series keep their values. Default: at each collection.
        pub interval: Option<Spanned<HumanDuration>>,
        /// Longest duration, which the server observes too. Default: `timeout` of the collector, less a tenth.
        pub timeout: Option<Spanned<HumanDuration>>,
    }
}

section! {
    /// Metric whose values are in a column.
    pub struct SqlValue {
        /// Name of the metric.
        pub name: Spanned<String>,
        /// `gauge` or `counter`.
        pub r#type: Kind = Kind::Gauge,
        /// Text of `# HELP`.
        pub help: String = String::new(),
        /// Column of the value. Default: the name of the metric. Numbers, texts with a number and booleans are values;
        /// dates, times and intervals count as seconds. A null is no sample.
        pub column: Option<String>,
        /// Further labels, with their values.
        pub labels: BTreeMap<String, Spanned<String>> = BTreeMap::new(),
        /// Texts of columns by which rows are selected, such as `{Variable_name: Threads_running}`. Default: all rows.
        pub r#where: BTreeMap<String, String> = BTreeMap::new(),
        /// Factor of the value, for base units: 0.001 for milliseconds.
        pub scale: f64 = 1.0,
    }
}

impl EntryType for Sql {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        let before = context.problems.len();
        let dsn = self.check_dsn(context.problems);
        self.check_limits(context.problems);
        if self.queries.is_empty() {
            context
                .problems
                .error(context.at, "no queries")
                .hint("set `queries: [{name: users, query: 'SELECT count(*) AS users FROM users', values: [{name: users}]}]`, for example");
        }
        let mut names = BTreeSet::new();
        for query in &self.queries {
            if !names.insert(query.name.as_str()) {
                let message = format!("query {:?} twice", query.name.value);
                context.problems.error(&query.name.at, message);
            }
            query.check(self.databases.is_some(), context);
        }
        if context.problems.len() > before {
            return None;
        }
        build(self, dsn?, context)
    }
}

#[cfg(feature = "sql")]
fn build(settings: &Sql, dsn: Dsn, context: &mut EntryContext<'_>) -> Option<Build> {
    collector::build(settings, dsn, context)
}

#[cfg(not(feature = "sql"))]
fn build(_: &Sql, _: Dsn, context: &mut EntryContext<'_>) -> Option<Build> {
    if context.enabled {
        context
            .problems
            .error(context.at, "this binary was built without SQL")
            .hint("build with `--features sql`, or set `enabled: false`");
    }
    None
}

impl Sql {
    fn check_dsn(&self, problems: &mut Diagnostics) -> Option<Dsn> {
        let dsn = match Dsn::parse(&self.dsn) {
            Ok(dsn) => dsn,
            Err(error) => {
                problems.error(&self.dsn.at, error.message).hint(error.hint);
                return None;
            }
        };
        if let Some(file) = &self.password_file {
            let message = match (dsn.server, dsn.url.password()) {
                (Server::Sqlite, _) => Some("SQLite has no password"),
                (_, Some(_)) => Some("both a password in the dsn and a password_file"),
                (_, None) => None,
            };
            if let Some(message) = message {
                problems.error(&file.at, message).hint("keep one of them");
            }
        }
        if let (Server::Sqlite, Some(databases)) = (dsn.server, &self.databases) {
            problems
                .error(&databases.at, "SQLite has one database per file")
                .hint("write a collector for each file");
        }
        Some(dsn)
    }

    fn check_limits(&self, problems: &mut Diagnostics) {
        if *self.row_limit == 0 {
            problems.error(&self.row_limit.at, "expected at least 1, found 0");
        }
        if !(1..=100).contains(&*self.max_connections) {
            let message = format!("expected 1 to 100, found {}", *self.max_connections);
            problems.error(&self.max_connections.at, message);
        }
        if let Some(databases) = self.databases.as_ref().filter(|sql| is_blank(sql)) {
            problems.error(&databases.at, "empty query");
        }
    }
}

fn is_blank(sql: &Spanned<Literal>) -> bool {
    sql.trim().is_empty()
}

impl SqlQuery {
    fn check(&self, has_databases: bool, context: &mut EntryContext<'_>) {
        let (interval, timeout) = (context.schedule.interval, context.timeout());
        let problems = &mut *context.problems;
        if is_blank(&self.query) {
            problems.error(&self.query.at, "empty query");
        }
        check_label_names(&self.labels, problems);
        let mut labels = self.labels.iter();
        if let Some(label) = labels.find(|label| has_databases && label.value == DATABASE_LABEL) {
            problems
                .error(
                    &label.at,
                    "the label database is there already, from databases",
                )
                .hint("leave it out of the labels");
        }
        if self.values.is_empty() {
            problems
                .error(&self.name.at, "a query without values")
                .hint("set `values: [{name: users}]`, for example");
        }
        self.check_values(problems);
        if let Some(own) = self.interval.as_ref().filter(|own| own.value.0 < interval) {
            problems
                .error(&own.at, "shorter than the interval of the collector")
                .hint("set `interval` of the collector, which is that of the most frequent query");
        }
        if let Some(own) = &self.timeout {
            check_timeout(own, timeout, "the timeout of the collector", problems);
        }
    }

    fn check_values(&self, problems: &mut Diagnostics) {
        for value in &self.values {
            check_metric_name(&value.name, problems);
            if !matches!(value.r#type, Kind::Counter | Kind::Gauge) {
                let message = format!("a value of a query is no {}", value.r#type.as_str());
                problems
                    .error(&value.name.at, message)
                    .hint("gauge or counter");
            }
            self.check_labels(value, problems);
        }
    }

    fn check_labels(&self, value: &SqlValue, problems: &mut Diagnostics) {
        for (label, text) in &value.labels {
            check_label_name(label, &text.at, problems);
            if self.labels.iter().any(|column| column.value == *label) {
                let message = format!("label {label:?} is a column of the query, too");
                problems.error(&text.at, message).hint("keep one of them");
            }
        }
    }
}

#[cfg(test)]
mod tests;

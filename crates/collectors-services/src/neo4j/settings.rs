//! The section `neo4j_metrics`: its keys, their defaults, and the checks that need no server.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use bellwether_core::Kind;
use bellwether_schema::{
    Constraint, Diagnostics, HumanDuration, Literal, Override, Secret, Spanned, check_label_names,
    did_you_mean, is_host_name, section, string_enum,
};

use super::catalogue::{self, BuiltIn, CATALOGUE, Source, UP};

section! {
    /// Address of Neo4j, and its metrics. `neo4j_up` (1 or 0) exists from the first answer on: a
    /// server that never answered since installation is no failure.
    #[constraints = [Constraint::AtMostOne(&["password", "password_file"])]]
    pub struct Neo4jMetrics {
        /// Address: `bolt://host:7687`; `bolt+s://` for TLS; `bolt+ssc://` for TLS with any
        /// certificate. `neo4j` works in place of `bolt`.
        pub uri: Spanned<String> = "bolt://localhost:7687".to_owned().into(),
        /// User.
        pub user: String = "neo4j".into(),
        /// Password; or name a file.
        pub password: Option<Spanned<Secret>>,
        /// File that holds the password; read again at each new connection.
        pub password_file: Option<Spanned<PathBuf>>,
        /// PEM file with the certificate authority to trust instead of the system's.
        pub ca_file: Option<PathBuf>,
        /// Database to query.
        pub database: Spanned<String> = "neo4j".to_owned().into(),
        /// Databases to query, each with all queries; the metrics then have the label `database`.
        pub databases: Option<Spanned<Vec<Spanned<String>>>>,
        /// Interval of the collections; queries may have longer ones. Default: `collection_interval`.
        pub interval: Option<Spanned<HumanDuration>> = None,
        /// Connections.
        pub pool: Neo4jPool = Neo4jPool::default(),
        /// Longest wait for a connection, and for the probe that begins a collection; at most four
        /// fifths of the interval.
        pub connect_timeout: Spanned<HumanDuration> = HumanDuration::secs(5).into(),
        /// Longest duration of a query without a `timeout` of its own.
        pub query_timeout: Spanned<HumanDuration> = HumanDuration::secs(10).into(),
        /// Maximum number of rows of one query. Further rows are dropped, and the collection fails with a message.
        pub row_limit: Spanned<u32> = 10_000.into(),
        /// The metrics.
        pub queries: Vec<Neo4jQuery> = Vec::new(),
    }
}

section! {
    /// Connections to Neo4j.
    pub struct Neo4jPool {
        /// Maximum number of connections, and so of concurrent queries.
        pub max_size: Spanned<u32> = 10.into(),
        /// Longest wait for a free connection.
        pub acquire_timeout: HumanDuration = HumanDuration::secs(5),
    }
}

section! {
    /// A metric of Neo4j: your own Cypher in `query`, or a metric of the catalogue.
    #[constraints = [Constraint::AtMostOne(&["query", "source"])]]
    pub struct Neo4jQuery {
        /// Name of the metric.
        pub name: Spanned<String>,
        /// If true, this entry replaces the one of its name of an earlier file, as `include` describes.
        pub r#override: Override,
        /// Type; default: that of the catalogue, or `gauge` for your own Cypher.
        pub r#type: Option<Neo4jType>,
        /// Help text.
        pub help: Option<String>,
        /// Label names. Each is a column of the result, each row then one series; a null is a label
        /// without a value. A row whose value is null is no data. A row that does not fit (a value
        /// that is not a number, labels of an earlier row) is skipped and counted in
        /// `bellwether_neo4j_rows_skipped_total`.
        pub labels: Option<Vec<Spanned<String>>>,
        /// Cypher; it runs in a read-only transaction. `$database` holds the database's name.
        pub query: Option<Spanned<Literal>>,
        /// Name in the catalogue, if it is not `name`.
        pub source: Option<Spanned<String>>,
        /// Column of the value; default: `value` if there is one, else the only column that is no label.
        pub value: Option<Spanned<String>>,
        /// Interval; default: the collection interval.
        pub interval: Option<Spanned<HumanDuration>>,
        /// Longest duration; default: `query_timeout`.
        pub timeout: Option<Spanned<HumanDuration>>,
        /// Database to query; default: that of the section.
        pub database: Option<Spanned<String>>,
        /// `auto`: leave the metric out on a server that does not support it, without a failure.
        pub enabled: Enabled = Enabled::Yes,
    }
}

string_enum! {
    /// Types that a query can have.
    pub enum Neo4jType {
        /// Goes up and down.
        Gauge = "gauge",
        /// A total that only grows.
        Counter = "counter",
    }
}

string_enum! {
    /// Use of a metric.
    pub enum Enabled {
        /// Collected; a server that does not support it is a failure.
        Yes = "true",
        /// Not collected.
        No = "false",
        /// Collected if the server supports it.
        Auto = "auto",
    }
}

impl From<Neo4jType> for Kind {
    fn from(kind: Neo4jType) -> Self {
        match kind {
            Neo4jType::Gauge => Kind::Gauge,
            Neo4jType::Counter => Kind::Counter,
        }
    }
}

/// Supported schemes of `uri`.
const SCHEMES: [&str; 6] = [
    "bolt",
    "bolt+s",
    "bolt+ssc",
    "neo4j",
    "neo4j+s",
    "neo4j+ssc",
];

/// Label of the database's name, if `databases` is set.
pub(super) const DATABASE_LABEL: &str = "database";

impl Neo4jMetrics {
    /// Checks the section, except for the names of metrics, which are checked with those of all other
    /// sections.
    pub fn check(&self, problems: &mut Diagnostics) {
        self.check_uri(problems);
        if let (Some(_), Some(file)) = (&self.password, &self.password_file) {
            problems
                .error(&file.at, "both password and password_file")
                .hint("keep one of them");
        }
        self.check_databases(problems);
        for span in [&self.connect_timeout, &self.query_timeout] {
            check_positive(span, problems);
        }
        if *self.row_limit == 0 {
            problems.error(&self.row_limit.at, "expected at least 1, found 0");
        }
        if !(1..=1000).contains(&*self.pool.max_size) {
            let size = self.pool.max_size.value;
            problems.error(
                &self.pool.max_size.at,
                format!("expected 1 to 1000, found {size}"),
            );
        }
        for query in &self.queries {
            query.check(self.databases.is_some(), problems);
        }
    }

    fn check_uri(&self, problems: &mut Diagnostics) {
        let example = "for example bolt://localhost:7687";
        let (scheme, rest) = match self.uri.split_once("://") {
            Some((scheme, rest)) => (scheme, rest),
            None => ("bolt", self.uri.as_str()),
        };
        if !SCHEMES.contains(&scheme) {
            problems
                .error(&self.uri.at, format!("unknown scheme {scheme:?}"))
                .hint(format!("one of {}", SCHEMES.join(", ")));
        } else if rest.contains('@') {
            // The text is not repeated here, since it may have a password.
            problems
                .error(&self.uri.at, "the address holds a user")
                .hint("use user and password");
        } else {
            let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
            if let Err(reason) = check_place(place) {
                problems.error(&self.uri.at, reason).hint(example);
            }
        }
    }

    fn check_databases(&self, problems: &mut Diagnostics) {
        if self.database.is_empty() {
            problems.error(&self.database.at, "empty database name");
        }
        let Some(databases) = &self.databases else {
            return;
        };
        if databases.is_empty() {
            problems
                .error(&databases.at, "no database")
                .hint("name one, or leave the key out");
        }
        for (index, database) in databases.iter().enumerate() {
            if database.is_empty() {
                problems.error(&database.at, "empty database name");
            } else if databases[..index].contains(database) {
                problems.error(&database.at, format!("database {:?} twice", database.value));
            }
        }
    }
}

/// Checks that `place` is a host, or a host and a port.
fn check_place(place: &str) -> Result<(), String> {
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (place, None),
    };
    if let Some(port) = port.filter(|port| port.parse::<u16>().is_err()) {
        return Err(format!("not a port: {port:?}"));
    }
    let v6 = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let is_host = v6.map_or_else(
        || host.parse::<Ipv4Addr>().is_ok() || is_host_name(host),
        |v6| v6.parse::<Ipv6Addr>().is_ok(),
    );
    match host {
        "" => Err("no host in the address".into()),
        _ if is_host => Ok(()),
        _ => Err(format!("not a host: {host:?}")),
    }
}

impl Neo4jQuery {
    /// Returns the built-in metric of a query without its own Cypher.
    #[must_use]
    pub fn built_in(&self) -> Option<&'static BuiltIn> {
        match (&self.query, &self.source) {
            (Some(_), _) => None,
            (None, Some(source)) => catalogue::find(source),
            (None, None) => catalogue::find(&self.name),
        }
    }

    fn check(&self, labelled: bool, problems: &mut Diagnostics) {
        let labels = self.labels.as_deref().unwrap_or_default();
        check_label_names(labels, problems);
        if labelled && let Some(label) = labels.iter().find(|l| l.value == DATABASE_LABEL) {
            problems
                .error(
                    &label.at,
                    "the label database is there already, from databases",
                )
                .hint("leave it out of the labels");
        }
        for span in [&self.interval, &self.timeout].into_iter().flatten() {
            check_positive(span, problems);
        }
        if let Some(database) = self.database.as_ref().filter(|name| name.is_empty()) {
            problems.error(&database.at, "empty database name");
        }
        match (&self.query, self.built_in()) {
            (Some(query), _) => self.check_own(query, labels, problems),
            (None, Some(built_in)) => self.check_built_in(built_in, labels, problems),
            (None, None) => self.unknown(problems),
        }
    }

    fn check_own(
        &self,
        query: &Spanned<Literal>,
        labels: &[Spanned<String>],
        problems: &mut Diagnostics,
    ) {
        if query.trim().is_empty() {
            problems.error(&query.at, "empty query");
        }
        if *self.name == UP {
            let message = format!("{UP} is always there and takes no query");
            problems
                .error(&self.name.at, message)
                .hint("give the metric another name");
        }
        if let Some(source) = &self.source {
            problems
                .error(&source.at, "both query and source")
                .hint("keep one of them");
        }
        if let Some(value) = self.value.as_ref().filter(|value| labels.contains(value)) {
            problems
                .error(
                    &value.at,
                    format!("column {:?} is both label and value", value.value),
                )
                .hint("give the value a column of its own");
        }
    }

    fn check_built_in(
        &self,
        built_in: &BuiltIn,
        labels: &[Spanned<String>],
        problems: &mut Diagnostics,
    ) {
        let same = labels
            .iter()
            .map(|label| label.as_str())
            .eq(built_in.labels.iter().copied());
        if self.labels.is_some() && !same {
            let location = labels.first().map_or(&self.name.at, |label| &label.at);
            problems
                .error(
                    location,
                    format!("the labels of {} are fixed", built_in.name),
                )
                .hint(format!("labels: [{}]", built_in.labels.join(", ")));
        }
        if let Some(value) = &self.value {
            problems
                .error(
                    &value.at,
                    format!("{} has no column to choose", built_in.name),
                )
                .hint("give a query, or leave value out");
        }
        if let Some(database) = self.database.as_ref()
            && (!built_in.source.is_per_database() || built_in.source == Source::Up)
        {
            problems
                .error(
                    &database.at,
                    format!("{} is not asked of a database", built_in.name),
                )
                .hint("leave database out");
        }
    }

    fn unknown(&self, problems: &mut Diagnostics) {
        let name = self.source.as_ref().unwrap_or(&self.name);
        let names = CATALOGUE.iter().map(|built_in| built_in.name);
        let hint = did_you_mean(name, names)
            .unwrap_or_else(|| "give it a query, or a source from the catalogue".into());
        problems
            .error(
                &name.at,
                format!("no query, and no built-in {:?}", name.value),
            )
            .hint(hint);
    }
}

fn check_positive(span: &Spanned<HumanDuration>, problems: &mut Diagnostics) {
    if span.is_zero() {
        problems.error(&span.at, "expected a duration above zero");
    }
}

#[cfg(test)]
mod tests {
    use bellwether_schema::{Decode, DecodeContext, parse};

    use super::*;

    fn check(text: &str) -> Result<Neo4jMetrics, Vec<String>> {
        let mut problems = Diagnostics::default();
        let node = parse(text).unwrap();
        let settings =
            Neo4jMetrics::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None));
        if let Some(settings) = &settings {
            settings.check(&mut problems);
        }
        match settings {
            Some(settings) if problems.is_empty() => Ok(settings),
            _ => Err(problems
                .into_sorted()
                .iter()
                .map(ToString::to_string)
                .collect()),
        }
    }

    #[test]
    fn the_shape_of_the_core_document_loads() {
        let settings = check(
            r#"
uri: "${NEO4J_URI:-bolt://localhost:7687}"
user: "${NEO4J_USER:-neo4j}"
password: "${NEO4J_PASSWORD:-password}"
database: "neo4j"
queries:
  - name: "neo4j_query_duration_p95"
    type: "gauge"
    query: "CALL dbms.queryJmx(...)"
    enabled: true
"#,
        )
        .unwrap();
        let query = &settings.queries[0];
        assert_eq!(
            &*query.query.as_ref().unwrap().value,
            "CALL dbms.queryJmx(...)"
        );
        assert!(
            query.built_in().is_none(),
            "its own query wins over the catalogue"
        );
        assert_eq!(settings.password.unwrap().expose(), "password");
        assert_eq!(*settings.pool.max_size, 10);
    }

    #[test]
    fn built_ins_need_no_query() {
        let settings = check(
            "queries:\n  - {name: neo4j_node_count}\n  - {name: labels, source: neo4j_label_count, \
             labels: [label], enabled: auto}\n  - {name: neo4j_up, type: gauge}\n",
        )
        .unwrap();
        let names: Vec<_> = settings
            .queries
            .iter()
            .map(|query| query.built_in().unwrap().name)
            .collect();
        assert_eq!(names, ["neo4j_node_count", "neo4j_label_count", "neo4j_up"]);
        assert_eq!(settings.queries[1].enabled, Enabled::Auto);
    }

    #[test]
    fn addresses() {
        for uri in [
            "localhost",
            "localhost:7687",
            "bolt://h",
            "neo4j+s://db.example.org:7687",
            "bolt://[::1]:7687/",
            "bolt://[::1]",
        ] {
            check(&format!("uri: '{uri}'")).unwrap();
        }
        for (uri, expect) in [
            ("http://h:7474", "unknown scheme \"http\""),
            ("bolt://u:pass@h", "the address holds a user"),
            ("bolt://", "no host"),
            ("bolt://:7687", "no host"),
            ("bolt://h:x", "not a port: \"x\""),
            ("bolt://h:70000", "not a port: \"70000\""),
        ] {
            let problems = check(&format!("uri: '{uri}'")).unwrap_err();
            assert!(
                problems[0].contains(expect) && !problems[0].contains("pass@"),
                "{problems:?}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_reported_with_its_place() {
        let problems = check(
            r"password: a
password_file: /b
databases: [a, a, '']
pool: {max_size: 0}
query_timeout: 0
row_limit: 0
queries:
  - {name: neo4j_node_cout}
  - {name: a, query: ' '}
  - {name: a, query: 'RETURN 1', source: neo4j_node_count}
  - {name: 'b-c', query: 'RETURN 1', labels: [x, x, database], value: x}
  - {name: neo4j_label_count, labels: [type], value: v}
  - {name: neo4j_query_duration_p95, database: x}
  - {name: d, query: 'RETURN 1', interval: 0s, database: ''}
  - {name: neo4j_up, query: 'RETURN 1'}
",
        )
        .unwrap_err();
        let expect = [
            "2:16: password_file: both password and password_file\n  hint: keep one of them",
            "3:16: databases[1]: database \"a\" twice",
            "3:19: databases[2]: empty database name",
            "4:18: pool.max_size: expected 1 to 1000, found 0",
            "5:16: query_timeout: expected a duration above zero",
            "6:12: row_limit: expected at least 1, found 0",
            "8:12: queries[0].name: no query, and no built-in \"neo4j_node_cout\"\n  hint: did you mean \"neo4j_node_count\"?",
            "9:22: queries[1].query: empty query",
            "10:42: queries[2].source: both query and source\n  hint: keep one of them",
            "11:50: queries[3].labels[1]: label \"x\" is declared twice",
            "11:53: queries[3].labels[2]: the label database is there already, from databases\n  hint: leave it out of the labels",
            "11:71: queries[3].value: column \"x\" is both label and value\n  hint: give the value a column of its own",
            "12:40: queries[4].labels[0]: the labels of neo4j_label_count are fixed\n  hint: labels: [label]",
            "12:54: queries[4].value: neo4j_label_count has no column to choose\n  hint: give a query, or leave value out",
            "13:48: queries[5].database: neo4j_query_duration_p95 is not asked of a database\n  hint: leave database out",
            "14:44: queries[6].interval: expected a duration above zero",
            "14:58: queries[6].database: empty database name",
            "15:12: queries[7].name: neo4j_up is always there and takes no query\n  hint: give the metric another name",
        ];
        assert_eq!(problems, expect);
    }
}

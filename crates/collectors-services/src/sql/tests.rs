//! Settings, and queries of files of SQLite. Servers are in `tests/peers/sql.rs`.

use bellwether_collector::testing::resolve_type;

use super::Sql;

const QUERY: &str = "queries: [{name: a, query: SELECT 1 AS a, values: [{name: a}]}]";

/// Returns the errors of an entry.
fn errors(settings: &str) -> Vec<String> {
    let yaml = format!("{{{settings}}}");
    resolve_type::<Sql>(&yaml).err().unwrap_or_default()
}

#[test]
fn mistakes_in_the_settings_are_reported_with_hints() {
    let dsn = "dsn: 'postgres://u@h/d'";
    for (settings, message) in [
        (
            format!("dsn: 'u:s3cret@h', {QUERY}"),
            "scheme of a database",
        ),
        (
            format!("dsn: 'sqlite:///a.db', databases: SELECT 1, {QUERY}"),
            "a collector for each file",
        ),
        (
            format!("dsn: 'postgres://u:s3cret@h/d', password_file: a, {QUERY}"),
            "keep one of them",
        ),
        (
            format!("dsn: 'postgres://u:s3cret@h/d?sslmode=none', {QUERY}"),
            "",
        ),
        (format!("{dsn}, databases: ' ', {QUERY}"), "empty query"),
        (format!("{dsn}, row_limit: 0, {QUERY}"), "at least 1"),
        (format!("{dsn}, max_connections: 0, {QUERY}"), "1 to 100"),
        (format!("{dsn}, queries: []"), "no queries"),
        (
            format!("{dsn}, queries: [{{name: a, query: '', values: [{{name: a}}]}}]"),
            "empty query",
        ),
        (
            format!("{dsn}, queries: [{{name: a, query: x, values: []}}]"),
            "a query without values",
        ),
        (
            format!("{dsn}, queries: [{{name: a, query: x, values: [{{name: 1a}}]}}]"),
            "not a metric name",
        ),
        (
            format!(
                "{dsn}, queries: [{{name: a, query: x, values: [{{name: a, type: histogram}}]}}]"
            ),
            "gauge or counter",
        ),
        (
            format!(
                "{dsn}, queries: [{{name: a, query: x, labels: [a-b], values: [{{name: a}}]}}]"
            ),
            "not a label name",
        ),
        (
            format!(
                "{dsn}, databases: x, queries: [{{name: a, query: x, labels: [database], values: [{{name: a}}]}}]"
            ),
            "leave it out of the labels",
        ),
        (
            format!(
                "{dsn}, queries: [{{name: a, query: x, labels: [b], values: [{{name: a, labels: {{b: c}}}}]}}]"
            ),
            "is a column of the query, too",
        ),
        (
            format!("{dsn}, queries: [{{name: a, query: x, interval: 1s, values: [{{name: a}}]}}]"),
            "shorter than the interval of the collector",
        ),
        (
            format!("{dsn}, queries: [{{name: a, query: x, timeout: 1m, values: [{{name: a}}]}}]"),
            "at most the timeout of the collector",
        ),
    ] {
        let errors = errors(&settings);
        let is_good = errors.len() == 1 && errors[0].contains(message);
        assert!(is_good, "{settings}: {errors:?}");
        assert!(!errors[0].contains("s3cret"), "{errors:?}");
    }
    let two = QUERY.replace(
        "queries: [",
        "queries: [{name: a, query: x, values: [{name: b}]}, ",
    );
    assert_eq!(errors(&format!("{dsn}, {two}")).len(), 1, "a twice");
}

#[test]
#[cfg(not(feature = "sql"))]
fn only_an_enabled_collector_needs_a_build_with_sql() {
    let dsn = "dsn: 'postgres://u@h/d'";
    let errors = errors(&format!("{dsn}, {QUERY}"));
    assert!(
        errors[0].contains("build with `--features sql`"),
        "{errors:?}"
    );
    let yaml = format!("{{enabled: false, {dsn}, {QUERY}}}");
    assert_eq!(
        resolve_type::<Sql>(&yaml).err(),
        Some(Vec::new()),
        "disabled, and no error"
    );
}

#[cfg(feature = "sql")]
mod sqlite {
    use std::path::Path;
    use std::time::Duration;

    use bellwether_core::{MonoMillis, Now};
    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{ConnectOptions, SqliteConnection};

    use super::*;
    use bellwether_collector::Memory;
    use bellwether_collector::testing::{Collected, collect};

    async fn create(path: &Path, sql: &'static str) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(path);
        let options = options
            .create_if_missing(true)
            .busy_timeout(Duration::from_secs(60));
        let mut connection = options.connect().await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection
    }

    const SHOP: &str = "CREATE TABLE orders (state TEXT, euros NUMERIC, paid BOOLEAN, at DATETIME, blob BLOB);
        INSERT INTO orders VALUES ('open', 12.5, 1, '2026-01-02 00:00:03', x'00'), (NULL, NULL, 0, NULL, NULL),
                                  ('done', '3', NULL, '2026-01-02', x'01');";

    fn entry(path: &Path, settings: &str) -> String {
        let path = path.display();
        format!("{{dsn: 'sqlite://{path}', {settings}}}")
    }

    async fn once(path: &Path, settings: &str) -> Collected {
        let mut collector =
            resolve_type::<Sql>(&entry(path, settings)).unwrap()(&Memory::default());
        collect(&mut *collector, Now::default()).await
    }

    /// Returns the lines without the series about the queries.
    fn values(collected: &Collected) -> Vec<&str> {
        let lines = collected.lines.iter().map(String::as_str);
        lines
            .filter(|line| !line.starts_with("sql_query_"))
            .collect()
    }

    #[tokio::test]
    async fn rows_have_labels_and_several_values() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a shop.db");
        create(&path, SHOP).await;
        let collected = once(
            &path,
            "queries: [{name: orders, query: 'SELECT * FROM orders', labels: [state], values: [{name: euros},\
             {name: order_paid, column: paid}, {name: order_timestamp_seconds, column: at}]}]",
        )
        .await;
        assert_eq!(collected.failure, None);
        assert_eq!(
            values(&collected),
            [
                "euros{state=\"open\"} 12.5",
                "euros{state=\"done\"} 3",
                "order_paid{state=\"open\"} 1",
                "order_paid 0",
                "order_timestamp_seconds{state=\"open\"} 1767312003",
                "order_timestamp_seconds{state=\"done\"} 1767312000",
            ]
        );
        let of_query = "{collector=\"x\", query=\"orders\"}";
        assert_eq!(
            collected.value(&format!("sql_query_success{of_query}")),
            Some(1.0)
        );
        assert_eq!(
            collected.value(&format!("sql_query_rows{of_query}")),
            Some(3.0)
        );
        assert!(
            collected
                .value(&format!("sql_query_duration_seconds{of_query}"))
                .is_some()
        );
    }

    #[tokio::test]
    async fn a_query_that_fails_costs_itself_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        create(&path, SHOP).await;
        let collected = once(
            &path,
            "row_limit: 2, queries: [{name: typo, query: SELECT x FROM order, values: [{name: x}]},\
             {name: blob, query: 'SELECT blob, paid FROM orders', values: [{name: blob}, {name: paid}]},\
             {name: write, query: DELETE FROM orders, values: [{name: x}]},\
             {name: good, query: SELECT count(*) AS orders FROM orders, values: [{name: orders}]}]",
        )
        .await;
        assert_eq!(values(&collected), ["paid 1", "paid 0", "orders 3"]);
        let (reason, detail) = collected.failure.clone().unwrap();
        assert_eq!(reason, "query");
        for part in [
            "query typo: near \"order\": syntax error",
            "query blob: column blob: a value of type BLOB; hint: cast it",
            "rows over row_limit 2 dropped",
            "query write: attempt to write a readonly database",
        ] {
            assert!(detail.contains(part), "{part}: {detail}");
        }
        let success = |query| {
            let series = format!("sql_query_success{{collector=\"x\", query=\"{query}\"}}");
            collected.value(&series)
        };
        assert_eq!((success("typo"), success("good")), (Some(0.0), Some(1.0)));
    }

    #[tokio::test]
    async fn a_query_without_end_is_ended_and_delays_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        let mut connection = create(&path, SHOP).await;
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) AS a FROM n, orders";
        let collected = once(
            &path,
            &format!(
                "timeout: 5s, queries: [{{name: endless, timeout: 200ms, query: '{endless}', values: [{{name: a}}]}},\
                 {{name: good, query: SELECT 1 AS b, values: [{{name: b}}]}}]"
            ),
        )
        .await;
        assert_eq!(values(&collected), ["b 1"]);
        let expected = ("timeout", "query endless: not done within 200ms".to_owned());
        assert_eq!(collected.failure, Some(expected));
        // A query that ran on would keep its lock on the file.
        let write = sqlx::raw_sql("DELETE FROM orders").execute(&mut connection);
        write.await.unwrap();
    }

    #[tokio::test]
    async fn a_query_with_its_own_interval_keeps_its_series() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        let mut connection = create(&path, SHOP).await;
        let yaml = entry(
            &path,
            "interval: 1s, queries: [{name: rare, interval: 10s, query: SELECT count(*) AS rare FROM orders, values: [{name: rare}]},\
             {name: usual, query: SELECT count(*) AS usual FROM orders, values: [{name: usual}]}]",
        );
        let mut collector = resolve_type::<Sql>(&yaml).unwrap()(&Memory::default());
        let mut at = async |seconds: u64| {
            let now = Now {
                mono: MonoMillis(seconds * 1000),
                ..Now::default()
            };
            let collected = collect(&mut *collector, now).await;
            (collected.value("rare"), collected.value("usual"))
        };
        assert_eq!(at(0).await, (Some(3.0), Some(3.0)));
        let delete = sqlx::raw_sql("DELETE FROM orders WHERE paid").execute(&mut connection);
        delete.await.unwrap();
        assert_eq!(at(1).await, (Some(3.0), Some(2.0)));
        assert_eq!(at(10).await, (Some(2.0), Some(2.0)));
    }

    #[tokio::test]
    async fn a_missing_file_is_a_failure_and_is_not_created() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        let collected = once(&path, QUERY).await;
        let (reason, detail) = collected.failure.unwrap();
        assert_eq!(reason, "connect");
        assert!(
            detail.contains("shop.db: unable to open database file"),
            "{detail}"
        );
        assert!(!path.exists());
        create(&path, SHOP).await;
        assert_eq!(values(&once(&path, QUERY).await), ["a 1"]);
    }

    #[tokio::test]
    async fn a_large_answer_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        create(&path, SHOP).await;
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT hex(zeroblob(1000)) AS label, i AS a FROM n";
        let settings = format!(
            "limits: {{bytes: 100KB}}, queries: [{{name: many, query: '{sql}', values: [{{name: a}}]}}]"
        );
        let collected = once(&path, &settings).await;
        let rows = values(&collected).len();
        assert!((20..50).contains(&rows), "{rows}");
        let (_, detail) = collected.failure.unwrap();
        assert_eq!(detail, "query many: rows over limits.bytes 100KB dropped");
    }

    #[tokio::test]
    async fn a_query_that_hung_comes_last_the_next_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        create(&path, SHOP).await;
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) AS a FROM n";
        let yaml = entry(
            &path,
            &format!(
                "timeout: 1s, max_connections: 1, queries: [{{name: endless, query: '{endless}', values: [{{name: a}}]}},\
                 {{name: good, query: SELECT 1 AS b, values: [{{name: b}}]}}]"
            ),
        );
        let mut collector = resolve_type::<Sql>(&yaml).unwrap()(&Memory::default());
        let collected = collect(&mut *collector, Now::default()).await;
        assert_eq!(collected.value("b"), None);
        let (reason, detail) = collected.failure.unwrap();
        assert_eq!(reason, "timeout");
        assert!(
            detail.contains("no free connection in time; hint: raise max_connections"),
            "{detail}"
        );
        let collected = collect(&mut *collector, Now::default()).await;
        assert_eq!(collected.value("b"), Some(1.0));
    }
}

#[cfg(feature = "sql")]
mod strangers {
    use bellwether_core::Now;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;
    use bellwether_collector::Memory;
    use bellwether_collector::testing::collect;

    /// Sends the same bytes to each client and keeps the connection open. Returns its port.
    async fn serve(tasks: &mut JoinSet<()>, bytes: &'static [u8]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tasks.spawn(async move {
            let mut clients = Vec::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let _ = client.write_all(bytes).await;
                clients.push(client);
            }
        });
        port
    }

    #[tokio::test]
    async fn what_is_no_server_is_a_failure() {
        for scheme in ["postgres", "mysql"] {
            for bytes in [
                &b""[..],
                b"HTTP/1.1 400 Bad Request\r\n\r\n",
                b"NHTTP/1.1 400 Bad Request\r\n\r\n",
                b"NR\0\0\0\x08\xff\xff\xff\xff",
                b"\x05\0\0\0\x0a5.5\0",
                &[0xff; 300],
                &[0; 300],
            ] {
                let mut tasks = JoinSet::new();
                let port = serve(&mut tasks, bytes).await;
                let yaml = format!(
                    "{{timeout: 400ms, dsn: '{scheme}://u:s3cret-pw@127.0.0.1:{port}/d', {QUERY}}}"
                );
                let mut collector = resolve_type::<Sql>(&yaml).unwrap()(&Memory::default());
                let collected = collect(&mut *collector, Now::default()).await;
                let (reason, detail) = collected.failure.unwrap();
                // The driver panics at a greeting that is too short, which costs the query alone.
                let is_failure = matches!(reason, "connect" | "timeout")
                    || detail == "query a: ended without a result";
                let is_good = is_failure && !detail.contains("s3cret-pw");
                assert!(is_good, "{scheme} {bytes:?}: {reason}: {detail}");
                assert_eq!(collected.lines.len(), 3, "{:?}", collected.lines);
            }
        }
    }
}

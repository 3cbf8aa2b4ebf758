//! Collectors of type `sql` against a real PostgreSQL and a real MariaDB.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::agent::Agent;
use crate::support::certificates::Certificates;
use crate::support::databases::{DatabaseServer, PASSWORD, Product};
use crate::support::poll;
use crate::support::presets::{has_dashboard, missing_on_the_dashboard, preset};

const SOON: Duration = Duration::from_secs(60);
const BOTH: [Product; 2] = [Product::Postgres, Product::MariaDb];

/// Starts an agent with the collector `shop`.
fn start(folder: &Path, settings: &str) -> Agent {
    Agent::start(folder, &configuration(settings))
}

fn configuration(settings: &str) -> String {
    format!(
        "performance_monitor:\n  enabled_collectors: []\n  collectors:\n    - {{name: shop, type: sql, {settings}}}\n"
    )
}

/// Waits until an error of the collector has a text. Returns the health of all collectors.
fn wait_for_error(agent: &Agent, text: &str) -> String {
    poll(text, SOON, || {
        let (_, health) = agent.get("/api/v1/health");
        health.contains(text).then_some(health)
    })
}

fn wait_for_success(agent: &Agent) {
    agent.wait_for_value("bellwether_collector_success{collector=\"shop\"}", |up| {
        up == 1.0
    });
}

const TYPES: [(&str, &str); 2] = [
    (
        "SELECT 'é' AS label, NULL::text AS none, 7::smallint AS small, -8::bigint AS big, 1.5::real AS single, 0.1::float8 AS double, \
         12345678901234567890.25::numeric AS decimal, true AS yes, '2026-01-02 00:00:03.5+00'::timestamptz AS at, \
         '2026-01-02'::date AS day, interval '1 day 2 seconds' AS span, ' 42 '::text AS text, NULL::int AS nothing",
        "'x'::bytea",
    ),
    (
        "SELECT 'é' AS label, NULL AS none, CAST(7 AS SIGNED) AS small, -8 AS big, CAST(1.5 AS FLOAT) AS single, 0.1e0 AS `double`, \
         12345678901234567890.25 AS `decimal`, true AS yes, CAST('2026-01-02 00:00:03.5' AS DATETIME(1)) AS at, \
         DATE '2026-01-02' AS day, TIME '24:00:02' AS span, ' 42 ' AS text, NULL AS nothing",
        "UNHEX('FF')",
    ),
];

#[test]
fn values_of_all_types_are_series() {
    for (product, (sql, bytes)) in BOTH.into_iter().zip(TYPES) {
        let server = DatabaseServer::start(product);
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "small", "big", "single", "double", "decimal", "yes", "at", "day", "span", "text",
            "nothing",
        ];
        let values = names
            .map(|name| format!("{{name: v_{name}, column: {name}}}"))
            .join(", ");
        let agent = start(
            folder.path(),
            &format!(
                "interval: 2s, dsn: '{}', queries: [{{name: types, query: \"{sql}\", labels: [label, none], values: [{values}]}}, \
                 {{name: bytes, query: \"SELECT {bytes} AS v_bytes, 1 AS v_good\", values: [{{name: v_bytes}}, {{name: v_good}}]}}]",
                server.dsn_with_password("shop")
            ),
        );
        agent.wait_for_value("v_good", |value| value == 1.0);
        agent.wait_for_value("v_text", |value| value == 42.0);
        let labels = "{label=\"é\"}";
        for (name, expected) in [
            ("small", 7.0),
            ("big", -8.0),
            ("single", 1.5),
            ("double", 0.1),
            ("decimal", 12_345_678_901_234_567_890.25),
            ("yes", 1.0),
            ("at", 1_767_312_003.5),
            ("day", 1_767_312_000.0),
            ("span", 86_402.0),
            ("text", 42.0),
        ] {
            let series = format!("v_{name}{labels}");
            assert_eq!(
                agent.value(&series),
                Some(expected),
                "{product:?}: {series}"
            );
        }
        assert_eq!(agent.value("v_nothing"), None, "a null is no sample");
        let health = wait_for_error(&agent, "query bytes: column v_bytes: a value of type ");
        assert!(!health.contains("query types"), "{health}");
        assert_eq!(agent.value("v_bytes"), None);
    }
}

#[test]
fn nothing_can_be_written() {
    for product in BOTH {
        let server = DatabaseServer::start(product);
        server.sql("shop", "CREATE TABLE orders (id INT)");
        server.sql("shop", "INSERT INTO orders VALUES (1)");
        let folder = tempfile::tempdir().unwrap();
        let statements = [
            "DELETE FROM orders",
            "DROP TABLE orders",
            "CREATE TABLE other (id INT)",
            "ALTER TABLE orders ADD other INT",
            "TRUNCATE TABLE orders",
            "SELECT 1 AS a; DELETE FROM orders",
            "COMMIT; DELETE FROM orders",
        ];
        let queries = statements.iter().enumerate().map(|(index, sql)| {
            format!("{{name: q{index}, query: '{sql}', values: [{{name: a}}]}}")
        });
        let queries: Vec<String> = queries.collect();
        let agent = start(
            folder.path(),
            &format!(
                "interval: 2s, dsn: '{}', queries: [{}, {{name: count, query: 'SELECT count(*) AS orders FROM orders', values: [{{name: orders}}]}}]",
                server.dsn_with_password("shop"),
                queries.join(", ")
            ),
        );
        agent.wait_for_value("orders", |count| count == 1.0);
        let series = |index| format!("sql_query_success{{collector=\"shop\",query=\"q{index}\"}}");
        agent.wait_for_value(&series(0), |success| success == 0.0);
        let (_, health) = agent.get("/api/v1/health");
        for index in 0..statements.len() {
            assert_eq!(
                agent.value(&series(index)),
                Some(0.0),
                "{product:?} {index}: {health}"
            );
        }
        assert_eq!(server.sql("shop", "SELECT count(*) FROM orders"), "1");
        assert!(
            health.contains("read"),
            "says that it is read-only: {health}"
        );
    }
}

/// Counts the statements of `monitor` that sleep.
fn sleeping(server: &DatabaseServer, product: Product) -> String {
    server.sql(
        "",
        match product {
            Product::Postgres => {
                "SELECT count(*) FROM pg_stat_activity WHERE usename = 'monitor' AND state = 'active'"
            }
            Product::MariaDb => {
                "SELECT count(*) FROM information_schema.processlist WHERE user = 'monitor' AND info LIKE '%SLEEP%'"
            }
        },
    )
}

fn sleep(product: Product) -> &'static str {
    match product {
        Product::Postgres => "SELECT 1 AS slow FROM pg_sleep(50)",
        Product::MariaDb => "SELECT SLEEP(50) AS slow",
    }
}

#[test]
fn a_slow_query_ends_at_its_timeout_and_delays_no_other() {
    for product in BOTH {
        let server = DatabaseServer::start(product);
        let folder = tempfile::tempdir().unwrap();
        let agent = start(
            folder.path(),
            &format!(
                "interval: 5s, dsn: '{}', queries: [{{name: slow, query: '{}', timeout: 500ms, values: [{{name: slow}}]}}, \
                 {{name: good, query: SELECT 1 AS good, values: [{{name: good}}]}}]",
                server.dsn_with_password("shop"),
                sleep(product)
            ),
        );
        agent.wait_for_value("good", |value| value == 1.0);
        // With the server's own words: it ended the statement itself.
        let health = wait_for_error(&agent, "query slow: not done within 500ms: ");
        assert!(health.contains("\"timeout\""), "{product:?}: {health}");
        assert_eq!(agent.value("slow"), None);
    }
}

#[test]
fn the_server_ends_a_slow_query_whose_agent_is_gone() {
    for product in BOTH {
        let server = DatabaseServer::start(product);
        let folder = tempfile::tempdir().unwrap();
        let agent = start(
            folder.path(),
            &format!(
                "interval: 20s, timeout: 20s, dsn: '{}', queries: [{{name: slow, query: '{}', timeout: 5s, values: [{{name: slow}}]}}]",
                server.dsn_with_password("shop"),
                sleep(product)
            ),
        );
        poll("the statement runs", SOON, || {
            (sleeping(&server, product) == "1").then_some(())
        });
        agent.kill();
        poll("the statement is gone", Duration::from_secs(30), || {
            (sleeping(&server, product) == "0").then_some(())
        });
    }
}

#[test]
fn a_server_that_was_killed_is_asked_again() {
    for product in BOTH {
        let mut server = DatabaseServer::start(product);
        let folder = tempfile::tempdir().unwrap();
        let agent = start(
            folder.path(),
            &format!(
                "interval: 300ms, dsn: '{}', queries: [{{name: one, query: SELECT 1 AS one, values: [{{name: one}}]}}]",
                server.dsn_with_password("shop")
            ),
        );
        wait_for_success(&agent);
        server.kill();
        let health = wait_for_error(&agent, "\"connect\"");
        assert!(health.contains("://127.0.0.1:"), "{health}");
        poll("the series has ended", SOON, || {
            agent.value("one ").is_none().then_some(())
        });
        server.restart();
        wait_for_success(&agent);
        assert_eq!(agent.value("one "), Some(1.0), "{product:?}");
    }
}

#[test]
fn a_wrong_password_is_tried_once_and_never_shown() {
    for product in BOTH {
        let server = DatabaseServer::start(product);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        fs::write(&file, "wr0ng-s3cret\n").unwrap();
        let settings = format!(
            "interval: 300ms, dsn: '{}', password_file: '{}', queries: [{{name: one, query: SELECT 1 AS one, values: [{{name: one}}]}}]",
            server.dsn("shop"),
            file.display()
        );
        let agent = start(folder.path(), &settings);
        let health = wait_for_error(&agent, "\"auth\"");
        let (_, configuration) = agent.get("/api/v1/config");
        let texts = [health, configuration, agent.log().join("\n")];
        for text in &texts {
            assert!(!text.contains("wr0ng-s3cret"), "{product:?}: {text}");
        }
        assert!(texts[0].contains("monitor"), "names the user: {}", texts[0]);
        let runs = "bellwether_collector_runs_total{collector=\"shop\"}";
        agent.wait_for_value(runs, |runs| runs >= 5.0);
        assert_eq!(server.rejected_logins(), 1, "{product:?}");
        // The right one is tried at once, without the wait after a wrong one.
        fs::write(&file, PASSWORD).unwrap();
        wait_for_success(&agent);
        assert_eq!(agent.value("one "), Some(1.0));
    }
}

#[test]
fn tls_is_used_and_certificates_are_checked() {
    for (product, mode, ca, is_encrypted) in [
        (
            Product::Postgres,
            "sslmode=verify-full",
            "sslrootcert",
            "SELECT ssl::int AS encrypted FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
        ),
        (
            Product::MariaDb,
            "ssl-mode=VERIFY_IDENTITY",
            "ssl-ca",
            "SELECT variable_value <> '' AS encrypted FROM information_schema.session_status WHERE variable_name = 'Ssl_cipher'",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let files = Certificates::write(folder.path(), "tls");
        let pem = |file: &str| fs::read_to_string(file).unwrap();
        let (certificate, key) = (pem(&files.certificate), pem(&files.key));
        let server = DatabaseServer::start_with_tls(product, &certificate, &key);
        let dsn = server.dsn_with_password("shop");
        let queries = format!(
            "queries: [{{name: tls, query: \"{is_encrypted}\", values: [{{name: encrypted}}]}}]"
        );
        let trusting = format!(
            "interval: 1s, dsn: '{dsn}?{mode}&{ca}={}', {queries}",
            files.authority
        );
        let agent = start(folder.path(), &trusting);
        agent.wait_for_value("encrypted ", |value| value == 1.0);
        // Without the authority, the certificate is not trusted.
        agent.write_config(&configuration(&format!(
            "interval: 1s, dsn: '{dsn}?{mode}', {queries}"
        )));
        agent.signal("HUP");
        let health = wait_for_error(&agent, "\"connect\"");
        assert!(health.contains("certificate"), "{product:?}: {health}");
    }
}

#[test]
fn a_huge_answer_is_cut_and_costs_no_memory() {
    for (product, rows) in BOTH.into_iter().zip([
        "SELECT repeat(CAST(n AS text), 100) AS label, n AS huge FROM (SELECT generate_series(1, 20000000) AS n) s",
        "SELECT REPEAT(seq, 100) AS label, seq AS huge FROM seq_1_to_20000000",
    ]) {
        let server = DatabaseServer::start(product);
        let folder = tempfile::tempdir().unwrap();
        let agent = start(
            folder.path(),
            &format!(
                "interval: 3s, row_limit: 50, dsn: '{}', queries: [{{name: huge, query: '{rows}', labels: [label], values: [{{name: huge}}]}}, \
                 {{name: good, query: SELECT 1 AS good, values: [{{name: good}}]}}]",
                server.dsn_with_password("shop"),
            ),
        );
        agent.wait_for_value("good", |value| value == 1.0);
        wait_for_error(&agent, "query huge: rows over row_limit 50 dropped");
        let rows = "sql_query_rows{collector=\"shop\",query=\"huge\"}";
        assert_eq!(agent.value(rows), Some(50.0), "{product:?}");
        let most = agent.memory("VmHWM");
        assert!(most < 200_000, "{product:?}: {most} kB");
    }
}

#[test]
fn databases_come_and_go() {
    for product in BOTH {
        let server = DatabaseServer::start(product);
        for database in ["a_1", "a_2"] {
            server.sql("", &format!("CREATE DATABASE {database}"));
        }
        if product == Product::MariaDb {
            server.sql("", "GRANT SELECT ON `a\\_%`.* TO monitor@'%'");
        }
        let (names, current) = match product {
            Product::Postgres => (
                "SELECT datname FROM pg_database WHERE datname LIKE 'a%'",
                "current_database()",
            ),
            Product::MariaDb => (
                "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'a%'",
                "DATABASE()",
            ),
        };
        let folder = tempfile::tempdir().unwrap();
        let agent = start(
            folder.path(),
            &format!(
                "interval: 300ms, max_connections: 2, dsn: '{}', databases: \"{names}\", \
                 queries: [{{name: here, query: \"SELECT {current} AS own, 1 AS here\", labels: [own], values: [{{name: here}}]}}]",
                server.dsn_with_password("shop"),
            ),
        );
        let series = |name: &str| format!("here{{database=\"{name}\",own=\"{name}\"}}");
        agent.wait_for_value(&series("a_1"), |value| value == 1.0);
        agent.wait_for_value(&series("a_2"), |value| value == 1.0);
        server.sql("", "CREATE DATABASE a_3");
        agent.wait_for_value(&series("a_3"), |value| value == 1.0);
        // No connection is kept to it.
        poll("a_1 is dropped", SOON, || {
            server.try_sql("DROP DATABASE a_1")
        });
        poll("a_1 is gone", SOON, || {
            agent.value(&series("a_1")).is_none().then_some(())
        });
        wait_for_success(&agent);
        assert_eq!(agent.value("here{database=\"shop\""), None);
    }
}

/// Starts an agent with a shipped preset, and waits until its collector succeeds.
fn start_preset(folder: &Path, name: &str, variable: &str, dsn: &str) -> Agent {
    let yaml = format!(
        "include: ['{}']\nperformance_monitor: {{collection_interval: 1s, enabled_collectors: []}}\n",
        preset(name).display()
    );
    let agent = Agent::start_as_service(folder, &yaml, &[], &[(variable, dsn)]);
    let success = format!("bellwether_collector_success{{collector=\"{name}\"}}");
    poll("the preset succeeds", SOON, || {
        let (_, health) = agent.get("/api/v1/health");
        let is_up = agent.value(&success)? == 1.0;
        assert!(is_up, "{health}");
        Some(())
    });
    agent
}

#[test]
fn the_preset_of_postgresql_has_its_figures() {
    let server = DatabaseServer::start(Product::Postgres);
    let dsn = server.dsn_with_password("shop");
    let folder = tempfile::tempdir().unwrap();
    let agent = start_preset(folder.path(), "postgresql", "POSTGRESQL_DSN", &dsn);
    let missing = missing_on_the_dashboard("postgresql", "pg_", &agent.get("/metrics").1);
    // Nobody else has a lock.
    assert_eq!(missing, BTreeSet::from(["pg_locks_count".to_owned()]));
    let limit = server.sql("", "SHOW max_connections").parse().unwrap();
    for (series, expected) in [
        ("pg_up", 1.0),
        ("pg_replication_is_replica", 0.0),
        ("pg_replication_lag_seconds", 0.0),
        ("pg_settings_max_connections", limit),
    ] {
        assert_eq!(agent.value(series), Some(expected), "{series}");
    }
    let activity = "pg_stat_activity_count{datname=\"shop\",state=\"idle\"}";
    assert!(agent.value(activity).is_some());
    let id = server.sql("", "SELECT oid FROM pg_database WHERE datname = 'shop'");
    for series in [
        format!("pg_stat_database_xact_commit{{datid=\"{id}\",datname=\"shop\"}}"),
        "pg_database_size_bytes{datname=\"shop\"}".to_owned(),
        "pg_postmaster_start_time_seconds".to_owned(),
    ] {
        assert!(
            agent.value(&series).is_some_and(|value| value > 0.0),
            "{series}"
        );
    }
}

#[test]
fn the_preset_of_mysql_has_its_figures() {
    let server = DatabaseServer::start(Product::MariaDb);
    server.sql("shop", "CREATE TABLE orders (id INT) ENGINE=InnoDB");
    // As the preset says: the user of the process, over the socket, without a password.
    let user = String::from_utf8(
        std::process::Command::new("id")
            .arg("-un")
            .output()
            .unwrap()
            .stdout,
    )
    .unwrap();
    let user = user.trim();
    server.sql("", &format!("CREATE USER IF NOT EXISTS {user}@localhost"));
    server.sql(
        "",
        &format!("ALTER USER {user}@localhost IDENTIFIED VIA unix_socket"),
    );
    server.sql(
        "",
        &format!(
            "GRANT PROCESS, REPLICA MONITOR, SHOW DATABASES, SELECT ON *.* TO {user}@localhost"
        ),
    );
    let dsn = format!(
        "mysql://{user}@localhost/?socket={}",
        server.socket().display()
    );
    let folder = tempfile::tempdir().unwrap();
    let agent = start_preset(folder.path(), "mysql", "MYSQL_DSN", &dsn);
    has_dashboard(&agent, "mysql", "mysql_");
    for (series, expected) in [
        ("mysql_up", 1.0),
        ("mysql_global_variables_max_connections", 151.0),
        ("mysql_global_variables_read_only", 0.0),
        ("mysql_innodb_transactions", 0.0),
    ] {
        assert_eq!(agent.value(series), Some(expected), "{series}");
    }
    for series in [
        "mysql_global_status_threads_connected",
        "mysql_global_status_commands_total{command=\"select\"}",
        "mysql_global_status_buffer_pool_pages{state=\"free\"}",
        "mysql_global_status_innodb_buffer_pool_read_requests",
        "mysql_database_size_bytes{database_name=\"shop\"}",
    ] {
        assert!(
            agent.value(series).is_some_and(|value| value > 0.0),
            "{series}"
        );
    }
}

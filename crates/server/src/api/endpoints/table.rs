//! Table of endpoints.

use hyper::Method;

use super::Handler::{Analysis, History, Job, Respond, View};
use super::{Endpoint, answers, change, get, openapi, query, read, view};
use crate::api::alerts::{
    self, acknowledge, backtest, channels, dead_letters, explain, history, resolve, route,
    rule_tests, rules, silences,
};
use crate::api::analysis::{bottlenecks, correlations, forecast, recommend, trends};
use crate::api::configuration;
use crate::api::dashboards;
use crate::api::live;
use crate::api::metrics::{self, exposition, metadata, push, receive, record};
use crate::api::process::{health, lifecycle, page, session, status};
use crate::api::query::{expression, labels, promql, tsdb};
use crate::api::simple;
use crate::auth::role::Role::{Admin, Operator};

const POST: &[Method] = &[Method::POST];
const PUT: &[Method] = &[Method::PUT];
const POST_PUT: &[Method] = &[Method::POST, Method::PUT];
const DELETE: &[Method] = &[Method::DELETE];

/// Returns the handler that awaits an async function.
macro_rules! respond {
    ($function:path) => {
        Respond(|request| Box::pin($function(request)))
    };
}

/// The list of endpoints and the message for an unknown path have the paths in this order.
#[rustfmt::skip] // a row is a line
pub(crate) static ENDPOINTS: &[Endpoint] = &[
    get("/", "page", "the page; this list for clients that are no browsers", respond!(page::root)).open(),
    view("/dashboards", "dashboards", respond!(page::view)),
    view("/dashboards/<name>", "a dashboard", respond!(page::view)).takes(page::DASHBOARD),
    view("/explore", "explore", respond!(page::view)),
    view("/alerts", "alerts", respond!(page::view)),
    view("/alerts/<fingerprint>", "an alert", respond!(page::view)).takes(page::ALERT),
    view("/rules", "rules", respond!(page::view)),
    view("/rules/<name>", "a rule", respond!(page::view)).takes(page::RULE),
    view("/notifications", "notifications", respond!(page::view)),
    view("/silences", "silences", respond!(page::view)),
    view("/metrics-list", "metrics", respond!(page::view)),
    view("/collectors", "collectors", respond!(page::view)),
    view("/config", "configuration", respond!(page::view)),
    get("/assets/<file>", "assets", "files of the page", respond!(page::asset)).takes(page::ASSET).open(),
    get("/metrics", "metrics", "all series, for Prometheus", respond!(exposition::respond)).scrape(),
    change(POST_PUT, "/metrics/job<group>", "push", "pushes the metrics of a group, as to a Pushgateway", respond!(push::push)).takes(push::GROUP),
    change(DELETE, "/metrics/job<group>", "push", "deletes the pushed metrics of a group", respond!(push::delete)).takes(push::GROUP),
    change(POST, "/v1/metrics", "otlp", "receives metrics in OTLP", respond!(receive::otlp)).protocol(),
    get("/-/healthy", "healthy", "liveness: the process answers", respond!(lifecycle::healthy)).open(),
    get("/-/ready", "ready", "readiness: every collector has run", respond!(lifecycle::ready)).open(),
    change(POST_PUT, "/-/reload", "reload", "reloads the configuration", respond!(lifecycle::reload)).role(Admin),
    get("/api/v1/session", "api_session", "user and role of the client", respond!(session::show)).open().answers(&answers::SESSION),
    change(POST, "/api/v1/login", "api_login", "logs a user in", respond!(session::login)).open().takes(session::LOGIN).answers(&answers::SESSION),
    change(POST, "/api/v1/logout", "api_logout", "logs the user out", respond!(session::logout)).open().answers(&answers::SESSION),
    change(POST, "/api/v1/record", "record", "records values of applications, a JSON array", respond!(record::respond)).takes(record::PARAMETERS).answers(&answers::RECORDED).also_answers(422),
    change(POST, "/api/v1/otlp/v1/metrics", "otlp", "receives metrics in OTLP, under the path of Prometheus", respond!(receive::otlp)).protocol(),
    change(POST, "/api/v1/write", "remote_write", "receives samples of remote write", respond!(receive::remote_write)).protocol(),
    change(POST, "/write", "influx_write", "receives points of InfluxDB 1.x", respond!(receive::influx)).protocol(),
    change(POST, "/api/v2/write", "influx_write_v2", "receives points of InfluxDB 2.x", respond!(receive::influx)).protocol(),
    change(POST, "/query", "influx_query", "answers clients of InfluxDB 1.x that create their database", respond!(receive::influx)).protocol(),
    get("/ping", "influx_ping", "answers clients of InfluxDB", respond!(receive::influx)).protocol().open(),
    get("/api/v1/metrics", "api_metrics", "configured metrics and their values", View(metrics::view)).takes(metrics::PARAMETERS).answers(&answers::METRICS),

    get("/api/v1/alerts", "api_alerts", "pending and firing alerts", View(alerts::view)).answers(&answers::ALERTS),
    get("/api/v1/alerts/history", "api_alerts_history", "transitions of alerts and outcomes of notifications", Job(history::view)).takes(history::PARAMETERS).answers(&answers::ALERT_HISTORY),
    change(POST, "/api/v1/alerts/<fingerprint>/acknowledge", "api_acknowledge", "acknowledges an alert", respond!(acknowledge::acknowledge)).takes(acknowledge::ACKNOWLEDGE).answers(&answers::ID),
    change(DELETE, "/api/v1/alerts/<fingerprint>/acknowledge", "api_acknowledge", "ends an acknowledgement", respond!(acknowledge::release)).takes(acknowledge::RELEASE).answers(&answers::ID),
    change(POST, "/api/v1/alerts/<fingerprint>/resolve", "api_resolve", "resolves an alert by hand", respond!(resolve::resolve)).takes(resolve::RESOLVE).answers(&answers::ID),
    get("/api/v1/silences", "api_silences", "silences", View(silences::view)).answers(&answers::SILENCES),
    change(POST, "/api/v1/silences", "api_silences", "creates or edits a silence", respond!(silences::create)).takes(silences::CREATE).answers(&answers::ID),
    change(DELETE, "/api/v1/silences/<id>", "api_silences", "ends a silence", respond!(silences::expire)).takes(silences::EXPIRE).answers(&answers::ID),
    get("/api/v1/dead-letters", "api_dead_letters", "notifications that channels rejected", respond!(dead_letters::list)).takes(dead_letters::LIST).answers(&answers::DEAD_LETTERS),
    change(POST, "/api/v1/dead-letters", "api_dead_letters", "resends dead letters", respond!(dead_letters::resend)).takes(dead_letters::CHANGE).answers(&answers::DEAD_LETTERS),
    change(DELETE, "/api/v1/dead-letters", "api_dead_letters", "discards dead letters", respond!(dead_letters::discard)).takes(dead_letters::CHANGE).answers(&answers::DEAD_LETTERS),
    get("/api/v1/explain", "api_explain", "why a rule's alerts fire or not, and who is notified", View(explain::view)).takes(explain::PARAMETERS).answers(&answers::EXPLANATION),
    read(POST, "/api/v1/route", "api_route", "where an alert with these labels would go, and why", respond!(route::respond)).takes(route::ROUTE).answers(&answers::ROUTES),
    read(POST, "/api/v1/backtest", "api_backtest", "alerts that a rule would have had over history", respond!(backtest::respond)).role(Operator).takes(backtest::BACKTEST).answers(&answers::BACKTEST),
    read(POST, "/api/v1/rules/test", "api_rule_tests", "unit tests of rules", respond!(rule_tests::respond)).role(Operator).takes(rule_tests::RULE_TESTS).answers(&answers::RULE_TESTS),
    change(POST, "/api/v1/channels/<name>/test", "api_channel_test", "sends a test notification", respond!(channels::test)).takes(channels::TEST).answers(&answers::TEST_RESULTS),
    get("/api/v1/rules", "api_rules", "rules and their state", View(rules::view)).takes(rules::PARAMETERS).answers(&answers::RULES),

    get("/api/v1/health", "api_health", "status of collectors, channels and storage", View(health::view)).answers(&answers::HEALTH),
    get("/api/v1/summary", "api_summary", "summary of status, alerts and counts", View(health::view_summary)).answers(&answers::SUMMARY),

    get("/api/v1/live", "api_live", "live updates over a WebSocket", respond!(live::respond)).web_socket(),
    get("/ws", "ws", "the same as `/api/v1/live`", respond!(live::respond)).web_socket(),

    query("/api/metrics", "simple_metrics", "samples of a metric, or one aggregated value of each series", History(simple::metrics)).takes(simple::METRICS).answers(&answers::SIMPLE_METRICS),
    get("/api/health", "simple_health", "state of the process in four numbers", View(simple::health)).answers(&answers::SIMPLE_HEALTH),
    get("/api/alerts", "simple_alerts", "firing alerts", View(simple::alerts)).answers(&answers::SIMPLE_ALERTS),

    query("/api/v1/query", "api_query", "a PromQL expression at one time", History(promql::instant)).takes(promql::INSTANT).answers(&answers::QUERY_RESULT),
    query("/api/v1/query_range", "api_query_range", "a PromQL expression over time", History(promql::range)).takes(promql::RANGE).answers(&answers::QUERY_RESULT),
    query("/api/v1/series", "api_series", "series in history", History(labels::series)).takes(labels::SERIES).answers(&answers::SERIES),
    query("/api/v1/labels", "api_labels", "names of labels in history", History(labels::names)).takes(labels::NAMES).answers(&answers::NAMES),
    query("/api/v1/label/<name>/values", "api_label_values", "values of a label in history", History(labels::values)).takes(labels::VALUES).answers(&answers::NAMES),
    get("/api/v1/metadata", "api_metadata", "type and help of each metric", View(metadata::view)).takes(metadata::PARAMETERS).answers(&answers::METADATA),
    query("/api/v1/query_exemplars", "api_query_exemplars", "always empty: no exemplars are kept", View(metadata::view_exemplars)).answers(&answers::EMPTY_LIST),
    get("/api/v1/status/buildinfo", "api_buildinfo", "which Prometheus this API is compatible with", View(status::view_build_info)).answers(&answers::BUILD_INFO),
    query("/api/v1/format_query", "api_format_query", "a PromQL expression as it is usually written", View(expression::view_formatted)).takes(expression::PARAMETERS).answers(&answers::TEXT),
    query("/api/v1/parse_query", "api_parse_query", "a PromQL expression as a tree", View(expression::view_tree)).takes(expression::PARAMETERS).answers(&answers::TREE),

    get("/api/v1/openapi.json", "api_openapi", "this API as an OpenAPI 3.1 document", respond!(openapi::respond)).document(),

    get("/api/v1/targets", "api_targets", "collectors, as Prometheus shows targets", View(status::view_targets)).takes(status::TARGETS).answers(&answers::TARGETS),
    get("/api/v1/scrape_pools", "api_scrape_pools", "names of collectors", View(status::view_scrape_pools)).answers(&answers::SCRAPE_POOLS),
    get("/api/v1/alertmanagers", "api_alertmanagers", "Alertmanagers that are notified", View(status::view_alertmanagers)).answers(&answers::ALERTMANAGERS),
    get("/api/v1/status/config", "api_config", "the active config, without its secrets", View(status::view_config)).answers(&answers::CONFIG),
    get("/api/v1/config/files", "api_config_files", "files of the configuration, without their secrets", respond!(configuration::files)).role(Admin).answers(&answers::CONFIG_FILES),
    read(POST, "/api/v1/config/check", "api_config_check", "problems of a changed configuration, and what it changes", respond!(configuration::check)).role(Admin).takes(configuration::CHECK).answers(&answers::CONFIG_REPORT),
    change(POST, "/api/v1/config/apply", "api_config_apply", "changes files of the configuration and reloads", respond!(configuration::apply)).role(Admin).takes(configuration::APPLY).answers(&answers::CONFIG_APPLIED),
    get("/api/v1/config/schema", "api_config_schema", "the JSON Schema of the configuration", View(status::view_config_schema)).answers(&answers::CONFIG_SCHEMA),
    get("/api/v1/status/flags", "api_flags", "settings under the names of Prometheus's flags", View(status::view_flags)).answers(&answers::FLAGS),
    get("/api/v1/status/runtimeinfo", "api_runtimeinfo", "the process: start time, retention of history", View(status::view_runtime_info)).answers(&answers::RUNTIME_INFO),
    get("/api/v1/status/tsdb", "api_tsdb", "series in history by metric and label", History(tsdb::view)).takes(tsdb::PARAMETERS).answers(&answers::TSDB),
    get("/api/v1/status/walreplay", "api_walreplay", "always done: history is read before anything is answered", View(status::view_wal_replay)).answers(&answers::WAL_REPLAY),

    get("/api/v1/dashboards", "api_dashboards", "dashboards of the web page", respond!(dashboards::list)).answers(&answers::DASHBOARDS),
    change(PUT, "/api/v1/dashboards/<name>/layout", "api_dashboard_layout", "saves the layout of a dashboard", respond!(dashboards::save)).takes(dashboards::SAVE).answers(&answers::ID),
    change(DELETE, "/api/v1/dashboards/<name>/layout", "api_dashboard_layout", "resets a dashboard to the configuration", respond!(dashboards::reset)).takes(dashboards::NAMED).answers(&answers::ID),
    get("/api/v1/dashboards/<name>/history", "api_dashboard_history", "versions of the layout of a dashboard", respond!(dashboards::history)).takes(dashboards::NAMED).answers(&answers::DASHBOARD_HISTORY),
    get("/api/v1/dashboards/<name>/export", "api_dashboard_export", "a dashboard as YAML of the configuration or as Grafana's JSON", respond!(dashboards::export)).takes(dashboards::EXPORT).answers(&answers::DASHBOARD_EXPORT),
    // Behind its parts: a placeholder at the end takes slashes too.
    get("/api/v1/dashboards/<name>", "api_dashboard", "a dashboard: its widgets, with the layout that was saved last", respond!(dashboards::read)).takes(dashboards::NAMED).answers(&answers::DASHBOARD),

    query("/api/v1/trends", "api_trends", "trend of a metric", Analysis(trends::trends)).takes(trends::TRENDS).answers(&answers::TRENDS),
    query("/api/v1/baseline", "api_baseline", "baseline of a metric by hour and weekday", Analysis(trends::baseline)).takes(trends::BASELINE).answers(&answers::BASELINE),
    query("/api/v1/anomalies", "api_anomalies", "anomalies of a metric", Analysis(trends::anomalies)).takes(trends::ANOMALIES).answers(&answers::ANOMALIES),
    query("/api/v1/forecast", "api_forecast", "forecast of a metric", Analysis(forecast::forecast)).takes(forecast::PARAMETERS).answers(&answers::FORECAST),
    query("/api/v1/correlations", "api_correlations", "series that correlate with a metric or an alert", Analysis(correlations::correlations)).takes(correlations::PARAMETERS).answers(&answers::CORRELATIONS),
    query("/api/v1/bottlenecks", "api_bottlenecks", "bottlenecks, and how to fix them", Analysis(bottlenecks::bottlenecks)).takes(bottlenecks::PARAMETERS).answers(&answers::BOTTLENECKS),
    query("/api/v1/score", "api_score", "the health score", Analysis(bottlenecks::score)).answers(&answers::SCORE),
    query("/api/v1/advise", "api_advise", "recommended threshold from history", Analysis(recommend::recommend_threshold)).takes(recommend::PARAMETERS).answers(&answers::RECOMMENDATION),
];

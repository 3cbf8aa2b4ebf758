//! Shapes of the answers of all endpoints.

#![cfg_attr(rustfmt, rustfmt::skip)] // a key is a line

use super::answer::Shape::{Any, Boolean, List, Map, Nullable, Number, Object, Text, Time};
use super::answer::{Field, Shape, key, optional};

const LABELS: Shape = Map(&Text);
const MAYBE_TEXT: Shape = Nullable(&Text);
const MAYBE_NUMBER: Shape = Nullable(&Number);
const MAYBE_TIME: Shape = Nullable(&Time);

pub(crate) const EMPTY_LIST: Shape = List(&Any);
pub(crate) const NAMES: Shape = List(&Text);
pub(crate) const TEXT: Shape = Text;
/// Syntax tree of Prometheus, whose nodes differ.
pub(crate) const TREE: Shape = Any;

// Metrics and process

pub(crate) const SESSION: Shape = Object(&[
    key("user", MAYBE_TEXT),
    key("role", MAYBE_TEXT),
    key("may_change", Boolean),
    key("login", Boolean),
]);

pub(crate) const RECORDED: Shape = Object(&[
    key("accepted", Number),
    key("rejectedTotal", Number),
    key("rejected", List(&Object(&[key("index", Number), key("reason", Text), key("error", Text)]))),
]);

pub(crate) const METRICS: Shape = Object(&[
    key("metrics", List(&Object(&[
        key("name", Text),
        key("exportedName", Text),
        key("type", Text),
        key("help", Text),
        key("labels", List(&Text)),
        key("collector", Text),
        key("intervalSeconds", Number),
        key("series", Number),
        // Values differ by type.
        key("values", List(&Any)),
    ]))),
    key("series", Number),
    key("truncated", Boolean),
]);

pub(crate) const METADATA: Shape = Map(&List(&Object(&[
    key("type", Text),
    key("help", Text),
    key("unit", Text),
])));

const STORE: &[Field] = &[
    key("directory", MAYBE_TEXT),
    key("series", Number),
    key("bytes", Number),
    key("oldest", MAYBE_TIME),
    key("damaged", Number),
    key("error", MAYBE_TEXT),
];
const ALERT_STORE: &[Field] = &[
    key("directory", MAYBE_TEXT),
    key("bytes", Number),
    key("oldest", MAYBE_TIME),
    key("damaged", Number),
    key("error", MAYBE_TEXT),
];

pub(crate) const HEALTH: Shape = Object(&[
    key("status", Text),
    key("ready", Boolean),
    key("version", Text),
    key("startedAt", Time),
    key("uptimeSeconds", Number),
    key("collectors", Map(&Object(&[
        key("success", Nullable(&Boolean)),
        key("lastDurationSeconds", Number),
        key("lastSuccess", MAYBE_TIME),
        key("ageSeconds", MAYBE_NUMBER),
        key("reason", MAYBE_TEXT),
        key("error", MAYBE_TEXT),
        key("notes", List(&Text)),
    ]))),
    key("channels", List(&Object(&[
        key("name", Text),
        key("type", Text),
        key("queued", Number),
        key("deadLetters", Number),
        key("sent", Number),
        key("failed", Number),
        key("rejected", Number),
        key("dropped", Number),
        key("lastError", MAYBE_TEXT),
    ]))),
    key("reports", List(&Object(&[
        key("name", Text),
        key("schedule", Text),
        key("next", MAYBE_TIME),
        key("channels", List(&Text)),
        key("queued", Number),
        key("lastSent", MAYBE_TIME),
        key("lastError", MAYBE_TEXT),
    ]))),
    key("remoteWrite", List(&Object(&[
        key("name", Text),
        key("sent", Number),
        key("lost", Number),
        key("pendingBytes", Number),
        key("newestSent", MAYBE_TIME),
        key("lastError", MAYBE_TEXT),
    ]))),
    key("history", Nullable(&Object(STORE))),
    key("alertHistory", Nullable(&Object(ALERT_STORE))),
    key("state", Object(&[key("directory", MAYBE_TEXT), key("error", MAYBE_TEXT)])),
    key("lastReload", Nullable(&Object(&[
        key("at", Time),
        key("success", Boolean),
        key("error", MAYBE_TEXT),
    ]))),
    key("configuration", Object(&[
        key("source", Text),
        key("includedFiles", Number),
        key("checksum", Text),
        key("loadedAt", Time),
    ])),
]);

pub(crate) const SUMMARY: Shape = Object(&[
    key("status", Text),
    key("version", Text),
    key("uptimeSeconds", Number),
    key("metrics", Number),
    key("series", Number),
    key("rules", Number),
    key("alerts", Object(&[
        key("firing", Number),
        key("pending", Number),
        key("firingBySeverity", Map(&Number)),
        key("active", List(&ALERT)),
    ])),
    key("collectors", Object(&[key("enabled", Number), key("failing", List(&Text))])),
    key("notifications", Object(&[
        key("channels", Number),
        key("queued", Number),
        key("sent", Number),
        key("failed", Number),
        key("dropped", Number),
    ])),
    key("health", HEALTH),
    key("http", Object(&[key("connections", Number), key("requests", Number)])),
]);

// Alerts

const ALERT: Shape = Object(&[
    key("labels", LABELS),
    key("annotations", LABELS),
    key("state", Text),
    key("activeAt", Time),
    // As in Prometheus a text: `9.1e+01`.
    key("value", Text),
    key("fingerprint", Text),
    key("rule", Text),
    key("severity", Text),
    key("message", Text),
    key("threshold", MAYBE_NUMBER),
    key("firedAt", MAYBE_TIME),
    key("firedValue", MAYBE_NUMBER),
    key("peak", MAYBE_NUMBER),
    optional("silencedBy", Text),
    optional("inhibitedBy", Text),
    optional("acknowledgedBy", Text),
]);

pub(crate) const ALERTS: Shape = Object(&[key("alerts", List(&ALERT))]);

pub(crate) const ALERT_HISTORY: Shape = Object(&[
    key("records", List(&Object(&[
        key("at", Time),
        key("kind", Text),
        key("event", Text),
        key("alertname", Text),
        optional("rule", Text),
        key("severity", Text),
        key("fingerprint", Text),
        key("labels", LABELS),
        key("state", Text),
        key("reason", Text),
        optional("value", Number),
        optional("threshold", Number),
        optional("message", Text),
        optional("firedValue", Number),
        optional("peak", Number),
        optional("firedForSeconds", Number),
        optional("channel", Text),
        optional("receiver", Text),
        optional("cause", Text),
        optional("muteReason", Text),
        optional("dropReason", Text),
        optional("error", Text),
        optional("attempt", Number),
        optional("retryInSeconds", Number),
    ]))),
    key("nextCursor", MAYBE_TEXT),
    key("damaged", Number),
]);

/// Of commands: the silence, or the acknowledged alert.
pub(crate) const ID: Shape = Object(&[key("id", Text)]);

pub(crate) const SILENCES: Shape = Object(&[key("silences", List(&Object(&[
    key("id", Text),
    key("state", Text),
    key("inForce", Boolean),
    key("matchers", Text),
    key("startsAt", Time),
    key("endsAt", MAYBE_TIME),
    key("createdBy", Text),
    key("comment", Text),
    key("updatedAt", Time),
    key("configured", Boolean),
    key("source", MAYBE_TEXT),
    // Of silences that recur, as in the request that creates one.
    optional("times", Any),
    optional("intervals", Any),
    optional("location", Any),
])))]);

pub(crate) const DEAD_LETTERS: Shape = Object(&[key("deadLetters", List(&Object(&[
    key("id", Text),
    key("channel", Text),
    key("at", Time),
    key("reason", Text),
    key("error", Text),
    key("notification", Object(&[
        key("id", Text),
        key("status", Text),
        key("cause", Text),
        key("reason", Text),
        key("at", Time),
        key("receiver", Text),
    ])),
    key("alertname", Text),
    key("fingerprint", Text),
    key("severity", Text),
    key("labels", LABELS),
    key("message", Text),
    key("value", MAYBE_NUMBER),
    key("startsAt", Time),
    key("endsAt", MAYBE_TIME),
    // Of those that were to be resent.
    optional("sent", Boolean),
    optional("skippedReason", MAYBE_TEXT),
])))]);

pub(crate) const ROUTES: Shape = Object(&[key("routes", List(&Object(&[
    key("route", Text),
    key("matchers", Any),
    key("receiver", Any),
    key("channels", List(&Text)),
    key("fallback", Any),
    key("group", Any),
    key("groupWait", Text),
    key("groupInterval", Text),
    key("repeatInterval", MAYBE_TEXT),
    key("mutedBy", Any),
    key("escalation", List(&Object(&[key("after", Text), key("receiver", Text)]))),
])))]);

const OUTCOME: Shape = Object(&[
    key("configuration", Text),
    key("from", Time),
    key("to", Time),
    key("series", Number),
    key("samples", Number),
    key("evaluations", Number),
    key("warnings", List(&Text)),
    key("rules", List(&Object(&[
        key("name", Text),
        key("condition", Text),
        key("fired", Number),
        key("perWeek", Number),
        key("averted", Number),
        key("notifications", Map(&Number)),
        key("error", MAYBE_TEXT),
        key("episodes", List(&EPISODE)),
    ]))),
]);

const EPISODE: Shape = Object(&[
    key("labels", LABELS),
    key("severity", Text),
    key("activeAt", Time),
    key("firedAt", Time),
    key("resolvedAt", MAYBE_TIME),
    key("value", MAYBE_NUMBER),
    key("reason", Text),
    key("notifications", List(&Object(&[key("channel", Text), key("status", Text), key("at", Time)]))),
]);

pub(crate) const BACKTEST: Shape = Object(&[
    // Of the rule that is in force, if there is one of the name.
    key("before", Nullable(&OUTCOME)),
    key("after", OUTCOME),
    key("changes", Nullable(&Map(&List(&Object(&[optional("before", EPISODE), optional("after", EPISODE)]))))),
]);

const FINDINGS: Shape = List(&Object(&[
    key("title", Text),
    key("line", Number),
    key("column", Number),
    // `expected`, `got` or `note`.
    key("lines", List(&Object(&[key("kind", Text), key("text", Text)]))),
]));

pub(crate) const RULE_TESTS: Shape = Object(&[
    key("passed", Number),
    key("failed", Number),
    key("warnings", List(&Text)),
    key("tests", List(&Object(&[
        key("name", Text),
        key("line", Number),
        key("passed", Boolean),
        key("failures", FINDINGS),
        key("warnings", FINDINGS),
    ]))),
]);

pub(crate) const TEST_RESULTS: Shape = Object(&[key("results", List(&Object(&[
    key("status", Text),
    key("delivered", Boolean),
    key("error", MAYBE_TEXT),
    key("retryable", Nullable(&Boolean)),
    key("tookSeconds", Number),
])))]);

pub(crate) const EXPLANATION: Shape = Object(&[key("rules", List(&Object(&[
    key("rule", Text),
    key("condition", Text),
    key("state", Text),
    key("duration", Text),
    key("keepFiringFor", Text),
    key("onNoData", Text),
    key("lastEvaluation", MAYBE_TIME),
    key("lastError", MAYBE_TEXT),
    key("note", MAYBE_TEXT),
    key("alerts", List(&Object(&[
        key("fingerprint", Text),
        key("labels", LABELS),
        key("severity", Text),
        key("state", Text),
        key("value", MAYBE_NUMBER),
        key("threshold", MAYBE_NUMBER),
        key("activeAt", Time),
        key("firedAt", MAYBE_TIME),
        key("missingFor", MAYBE_TEXT),
        key("pendingFor", MAYBE_TEXT),
        key("reason", MAYBE_TEXT),
        key("flapping", Boolean),
        key("acknowledged", Nullable(&Object(&[
            key("by", Text),
            key("comment", Text),
            key("at", Time),
            key("until", MAYBE_TIME),
        ]))),
        key("groups", List(&Object(&[
            key("route", Text),
            key("matchers", Any),
            key("receiver", Any),
            key("channels", List(&Text)),
            key("fallback", Any),
            key("group", Any),
            key("groupWait", Text),
            key("groupInterval", Text),
            key("repeatInterval", MAYBE_TEXT),
            key("mutedBy", Any),
            key("escalation", List(&Object(&[key("after", Text), key("receiver", Text)]))),
            key("notifiedSeverity", MAYBE_TEXT),
            key("firstNotified", MAYBE_TIME),
            key("muteReason", Nullable(&Object(&[key("name", Text), key("detail", Text)]))),
            key("lastMessage", MAYBE_TIME),
            key("nextFlush", MAYBE_TIME),
            key("nextRepeat", MAYBE_TIME),
            key("escalatedTo", Any),
            key("fallbackNotified", Any),
        ]))),
    ]))),
])))]);

pub(crate) const RULES: Shape = Object(&[
    key("groups", List(&Object(&[
        key("name", Text),
        key("file", Text),
        key("rules", List(&Object(&[
            key("type", Text),
            key("name", Text),
            key("query", Text),
            key("labels", LABELS),
            key("health", Text),
            key("lastError", Text),
            key("evaluationTime", Number),
            key("lastEvaluation", Time),
            // Of alerting rules.
            optional("condition", Text),
            optional("state", Text),
            optional("duration", Number),
            optional("keepFiringFor", Number),
            optional("annotations", LABELS),
            optional("alerts", List(&ALERT)),
            optional("note", MAYBE_TEXT),
        ]))),
        key("interval", Number),
        key("limit", Number),
        key("evaluationTime", Number),
        key("lastEvaluation", Time),
    ]))),
    optional("groupNextToken", Text),
]);

// Simple forms

pub(crate) const SIMPLE_METRICS: Shape = Object(&[
    key("metric_name", Text),
    key("data_points", List(&Object(&[
        key("value", Number),
        key("timestamp", Number),
        key("tags", LABELS),
        key("unit", Text),
    ]))),
]);

pub(crate) const SIMPLE_HEALTH: Shape = Object(&[
    key("running", Boolean),
    key("collectors_count", Number),
    key("active_alerts", Number),
    key("uptime", Number),
]);

pub(crate) const SIMPLE_ALERTS: Shape = Object(&[key("alerts", List(&Object(&[
    key("alert_id", Text),
    key("rule_name", Text),
    key("severity", Text),
    key("current_value", MAYBE_NUMBER),
    key("threshold", MAYBE_NUMBER),
    key("timestamp", Number),
    key("message", Text),
    key("tags", LABELS),
])))]);

// PromQL

/// `result` differs by `resultType`, as in Prometheus.
pub(crate) const QUERY_RESULT: Shape = Object(&[
    key("resultType", Text),
    key("result", Any),
    optional("stats", Object(&[
        key("timings", Map(&Number)),
        key("samples", Object(&[
            key("totalQueryableSamples", Number),
            key("peakSamples", Number),
            key("steps", Number),
        ])),
    ])),
]);

pub(crate) const SERIES: Shape = List(&LABELS);

const COUNTS: Shape = List(&Object(&[key("name", Text), key("value", Number)]));

pub(crate) const TSDB: Shape = Object(&[
    key("headStats", Object(&[
        key("numSeries", Number),
        key("numLabelPairs", Number),
        key("chunkCount", Number),
        key("minTime", Number),
        key("maxTime", Number),
    ])),
    key("seriesCountByMetricName", COUNTS),
    key("labelValueCountByLabelName", COUNTS),
    key("memoryInBytesByLabelName", COUNTS),
    key("seriesCountByLabelValuePair", COUNTS),
]);

// For clients of Prometheus

pub(crate) const BUILD_INFO: Shape = Object(&[
    key("version", Text),
    key("revision", Text),
    key("branch", Text),
    key("buildUser", Text),
    key("buildDate", Text),
    key("goVersion", Text),
    key("application", Text),
    key("applicationVersion", Text),
]);

pub(crate) const TARGETS: Shape = Object(&[
    key("activeTargets", List(&Object(&[
        key("discoveredLabels", LABELS),
        key("labels", LABELS),
        key("scrapePool", Text),
        key("scrapeUrl", Text),
        key("globalUrl", Text),
        key("lastError", Text),
        key("lastScrape", Time),
        key("lastScrapeDuration", Number),
        key("health", Text),
        key("scrapeInterval", Text),
        key("scrapeTimeout", Text),
    ]))),
    key("droppedTargets", EMPTY_LIST),
    key("droppedTargetCounts", Map(&Number)),
]);

pub(crate) const SCRAPE_POOLS: Shape = Object(&[key("scrapePools", NAMES)]);

pub(crate) const ALERTMANAGERS: Shape = Object(&[
    key("activeAlertmanagers", List(&Object(&[key("url", Text)]))),
    key("droppedAlertmanagers", EMPTY_LIST),
]);

/// A JSON Schema.
pub(crate) const CONFIG_SCHEMA: Shape = Any;

pub(crate) const CONFIG: Shape = Object(&[key("yaml", Text)]);

pub(crate) const CONFIG_FILES: Shape = Object(&[
    key("files", List(&Object(&[
        key("path", Text),
        key("kind", Text),
        key("text", MAYBE_TEXT),
        // Reason for a missing text.
        key("error", MAYBE_TEXT),
        key("checksum", Text),
    ]))),
    key("mayEdit", Boolean),
]);

const PROBLEMS: Shape = List(&Object(&[
    key("file", Text),
    key("line", Number),
    key("column", Number),
    key("path", Text),
    key("message", Text),
    key("hint", MAYBE_TEXT),
]));

const DIFFERENCE: Shape = Object(&[
    key("added", List(&Text)),
    key("removed", List(&Text)),
    key("altered", List(&Text)),
]);

const CHANGES: Shape = Nullable(&Object(&[
    key("metrics", DIFFERENCE),
    key("rules", DIFFERENCE),
    key("channels", DIFFERENCE),
]));

pub(crate) const CONFIG_REPORT: Shape = Object(&[
    key("problems", PROBLEMS),
    key("warnings", PROBLEMS),
    key("changes", CHANGES),
]);

pub(crate) const CONFIG_APPLIED: Shape = Object(&[
    key("summary", Text),
    key("changes", CHANGES),
    key("backups", List(&Text)),
]);

pub(crate) const FLAGS: Shape = Map(&Text);

pub(crate) const RUNTIME_INFO: Shape = Object(&[
    key("startTime", Time),
    key("CWD", Text),
    key("hostname", Text),
    key("serverTime", Time),
    key("reloadConfigSuccess", Boolean),
    key("lastConfigTime", Time),
    key("corruptionCount", Number),
    key("goroutineCount", Number),
    key("GOMAXPROCS", Number),
    key("GOMEMLIMIT", Number),
    key("GOGC", Text),
    key("GODEBUG", Text),
    key("storageRetention", Text),
]);

pub(crate) const WAL_REPLAY: Shape = Object(&[
    key("min", Number),
    key("max", Number),
    key("current", Number),
    key("state", Text),
]);

// Analysis

pub(crate) const TRENDS: Shape = Object(&[
    key("metric", Text),
    key("measure", Text),
    key("windows", List(&Object(&[
        key("window", Text),
        key("series", List(&Object(&[
            key("labels", LABELS),
            key("latest", MAYBE_NUMBER),
            // Without a trend: why.
            optional("reason", Text),
            optional("verdict", Any),
            optional("movement", Text),
            optional("slight", Boolean),
            optional("from", Time),
            optional("to", Time),
            optional("count", Number),
            optional("mean", Number),
            optional("min", Number),
            optional("max", Number),
            optional("stddev", Number),
            optional("quantiles", Map(&Number)),
            optional("slopePerSecond", Number),
            optional("slopeError", Number),
            optional("change", Number),
            optional("pValue", Number),
            optional("volatility", Number),
        ]))),
    ]))),
]);

pub(crate) const BASELINE: Shape = Object(&[
    key("metric", Text),
    key("measure", Text),
    key("window", Text),
    key("timeZone", Text),
    key("series", List(&Any)),
]);

pub(crate) const ANOMALIES: Shape = Object(&[
    key("metric", Text),
    key("measure", Text),
    key("window", Text),
    key("algorithm", Text),
    key("sensitivity", Number),
    key("minSamples", Number),
    key("series", List(&Object(&[
        key("labels", LABELS),
        key("evaluated", Number),
        key("warming", Number),
        key("anomalies", List(&Object(&[
            key("from", Time),
            key("to", Time),
            key("samples", Number),
            key("worstAt", Time),
            key("value", Number),
            key("score", Number),
            key("expected", Nullable(&List(&Number))),
            key("reported", Boolean),
        ]))),
    ]))),
]);

pub(crate) const FORECAST: Shape = Object(&[
    key("metric", Text),
    key("measure", Text),
    key("window", Text),
    key("time", Time),
    key("reaches", MAYBE_NUMBER),
    key("series", List(&Object(&[
        key("labels", LABELS),
        key("latest", MAYBE_NUMBER),
        key("seasonal", Object(&[
            optional("reason", Text),
            optional("hours", List(&Object(&[
                key("time", Time),
                key("value", Number),
                key("low", Number),
                key("high", Number),
            ]))),
            optional("error", Number),
            optional("errorOfLastDay", Number),
        ])),
        optional("linear", Object(&[
            optional("reason", Text),
            optional("reachesAt", Time),
            optional("earliest", Time),
            optional("latest", MAYBE_TIME),
            optional("seconds", Number),
            optional("text", Text),
            optional("within", Nullable(&Boolean)),
            optional("slopePerSecond", Number),
            optional("level", Number),
            optional("confidence", Number),
            optional("since", Time),
            optional("fires", Boolean),
            optional("suppressedReason", MAYBE_TEXT),
        ])),
    ]))),
]);

pub(crate) const CORRELATIONS: Shape = Object(&[
    key("metric", Text),
    key("measure", Text),
    key("alert", MAYBE_TEXT),
    key("from", Time),
    key("to", Time),
    key("stepSeconds", Number),
    key("compared", Number),
    key("skipped", Number),
    key("related", List(&Object(&[
        key("series", Text),
        key("metric", Text),
        key("labels", LABELS),
        key("coefficient", Number),
        key("lagSeconds", Number),
        key("kind", Text),
        key("pValue", Number),
        key("significant", Boolean),
    ]))),
]);

const BOTTLENECK: Shape = Object(&[
    key("name", Text),
    key("resource", Text),
    key("component", Any),
    key("labels", LABELS),
    key("impact", Number),
    key("value", Number),
    key("unit", Text),
    key("warning", Number),
    key("critical", Number),
    key("promql", Text),
    key("advice", Text),
]);

pub(crate) const BOTTLENECKS: Shape = Object(&[
    key("time", Time),
    key("bottlenecks", List(&BOTTLENECK)),
    key("clear", List(&BOTTLENECK)),
    key("withoutData", List(&Text)),
    key("failed", List(&Object(&[key("name", Text), key("error", Text)]))),
]);

pub(crate) const SCORE: Shape = Object(&[
    key("score", Number),
    key("rating", Text),
    key("parts", List(&Object(&[
        key("cause", Text),
        key("name", Text),
        key("points", Number),
        key("reason", Text),
    ]))),
]);

pub(crate) const RECOMMENDATION: Shape = Object(&[
    key("metric", Text),
    key("measure", Text),
    key("condition", Text),
    key("threshold", Number),
    key("duration", Text),
    key("alertsPerWeek", Number),
    key("alertsPerWeekAtMost", Number),
    key("alerts", Number),
    key("historySeconds", Number),
    key("series", Number),
    key("samples", Number),
    key("range", Object(&[key("min", Number), key("median", Number), key("max", Number)])),
    key("tried", List(&Object(&[
        key("threshold", Number),
        key("duration", Text),
        key("alertsPerWeek", Number),
        key("alertsPerWeekAtMost", Number),
    ]))),
    key("rule", Any),
]);

// Dashboards

pub(crate) const DASHBOARDS: Shape = Object(&[key("dashboards", List(&Object(&[
    key("name", Text),
    key("title", Text),
    key("changed", Boolean),
])))]);

const QUERY: Shape = Object(&[key("query", Text), key("legend", MAYBE_TEXT)]);

pub(crate) const DASHBOARD: Shape = Object(&[
    key("name", Text),
    key("title", Text),
    key("columns", Number),
    // Whether the layout is another than that of the configuration.
    key("changed", Boolean),
    key("changedAt", MAYBE_TIME),
    key("changedBy", MAYBE_TEXT),
    key("removed", List(&Text)),
    key("items", List(&Object(&[
        key("id", Text),
        key("title", Text),
        // Whether the layout added or changed it.
        key("custom", Boolean),
        key("place", Object(&[key("x", Number), key("y", Number), key("w", Number), key("h", Number)])),
        // Absent in the title of a row.
        optional("widget", Object(&[
            key("type", Text),
            key("description", MAYBE_TEXT),
            key("queries", List(&QUERY)),
            key("unit", Text),
            key("min", MAYBE_NUMBER),
            key("max", MAYBE_NUMBER),
            key("thresholds", List(&Object(&[
                key("value", Number),
                key("above", Boolean),
                key("severity", Text),
                key("rule", MAYBE_TEXT),
            ]))),
            key("ownThresholds", Nullable(&List(&Any))),
            key("words", Map(&Text)),
            key("overlays", List(&Text)),
            key("text", MAYBE_TEXT),
        ])),
    ]))),
]);

pub(crate) const DASHBOARD_HISTORY: Shape = Object(&[key("versions", List(&Object(&[
    key("at", Time),
    key("by", MAYBE_TEXT),
    // As in the request that saves it; null after a reset.
    key("layout", Nullable(&Any)),
])))]);

pub(crate) const DASHBOARD_EXPORT: Shape = Object(&[key("text", Text)]);

//! Targets of Prometheus: exporters and whatever else has metrics over HTTP.

mod discovery;
mod protocol;
mod report;
mod target;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_collector::{Build, Collecting, Collector, EntryContext, EntryType, Relabeling};
use bellwether_collectors_services::dns::RecordType;
use bellwether_core::{
    Batch, Failure, LabelSet, Labels, METRIC_NAME, Now, SeriesBatch, UnixMillis, is_label_name,
};
use bellwether_exposition::{Format, ParsedSeries, SeriesParser};
use bellwether_http::{Access, Authorization, Client, Connection, Fetched, fetch, parse_url};
use bellwether_relabel::{Relabel, RelabelConfig};
use bellwether_schema::{HumanDuration, Secret, Spanned, format_duration, section, string_enum};
use globset::Glob;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, timeout_at};

use crate::types::scrape::discovery::{Discovery, FilePattern, Lookup};
use crate::types::scrape::protocol::ScrapeProtocol;
use crate::types::scrape::report::{Outcome, left_out, push_reports, result};
use crate::types::scrape::target::{Group, Target, TargetRules, merged};

/// Targets that are scraped at the same time.
const PARALLEL: usize = if cfg!(test) { 4 } else { 256 };

/// Age from which a sample is stale in Prometheus, by its own timestamp.
const LOOKBACK: Duration = Duration::from_secs(300);
/// Longest time that a timestamp may be ahead, as in Prometheus.
const MAX_AHEAD: Duration = Duration::from_secs(600);

string_enum! {
    /// Schemes of targets.
    pub enum Scheme {
        /// Without TLS.
        Http = "http",
        /// With TLS.
        Https = "https",
    }
}

section! {
    /// Collector of type `scrape`: series of Prometheus targets, as a scrape configuration of Prometheus
    /// describes them. A target that is down, too slow or invalid costs its own series, and its `up` is 0.
    pub struct Scrape {
        /// Value of the label `job`. Default: the name of the collector.
        pub job_name: Option<Spanned<String>> = None,
        /// Scheme of the targets.
        pub scheme: Scheme = Scheme::Http,
        /// Path of the targets.
        pub metrics_path: Spanned<String> = Spanned::nowhere("/metrics".into()),
        /// Parameters of the request: a list of values for each name.
        pub params: BTreeMap<String, Vec<String>> = BTreeMap::new(),
        /// If true, a label that the series has itself takes precedence over that of its target. If false, it is
        /// renamed to `exported_NAME`.
        pub honor_labels: bool = false,
        /// If true, a sample with a timestamp that is more than 5 minutes old, or 10 minutes ahead, is left out. If
        /// false, timestamps are ignored. Samples have the time of the collection either way.
        pub honor_timestamps: bool = true,
        /// Formats in the order of preference. `PrometheusProto` brings native histograms, as classic ones.
        pub scrape_protocols: Spanned<Vec<ScrapeProtocol>> =
            Spanned::nowhere(vec![ScrapeProtocol::OpenMetrics100, ScrapeProtocol::Text004]),
        /// Maximum number of samples of a target after `metric_relabel_configs`; with more the scrape fails. 0: no
        /// limit but that of the collector, `limits.series`.
        pub sample_limit: usize = 0,
        #[serde(flatten)]
        pub authorization: Authorization,
        #[serde(flatten)]
        pub connection: Connection = Connection::default(),
        /// Targets.
        pub static_configs: Vec<StaticConfig> = Vec::new(),
        /// Targets in files, which are read again when they change.
        pub file_sd_configs: Vec<FileSdConfig> = Vec::new(),
        /// Targets that an HTTP server lists.
        pub http_sd_configs: Vec<Spanned<HttpSdConfig>> = Vec::new(),
        /// Targets in DNS.
        pub dns_sd_configs: Vec<Spanned<DnsSdConfig>> = Vec::new(),
        /// Relabeling steps on each target. They see `__address__`, `__scheme__`, `__metrics_path__`,
        /// `__param_NAME` and `__meta_...`, as in Prometheus.
        pub relabel_configs: Vec<Spanned<RelabelConfig>> = Vec::new(),
    }
}

section! {
    /// Targets with the labels that they share.
    pub struct StaticConfig {
        /// Addresses: `HOST:PORT`.
        pub targets: Vec<Spanned<String>>,
        /// Labels of their series.
        pub labels: Spanned<Labels> = Spanned::nowhere(Labels::new()),
    }
}

section! {
    /// Files with targets, as for Prometheus: a list of `targets` with `labels` in JSON or YAML. A file that is
    /// invalid keeps the targets that it had.
    pub struct FileSdConfig {
        /// Paths that end with `.json`, `.yml` or `.yaml`. The names of files may have `*`, `?` and `[...]`.
        pub files: Vec<Spanned<PathBuf>>,
    }
}

section! {
    /// An HTTP server that lists targets, as for Prometheus. While it fails, its last targets stay.
    pub struct HttpSdConfig {
        /// URL: `http://` or `https://`. Never shown.
        pub url: Spanned<Secret>,
        /// Time after which it is asked again.
        pub refresh_interval: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::secs(60)),
        #[serde(flatten)]
        pub authorization: Authorization,
        #[serde(flatten)]
        pub connection: Connection = Connection::default(),
    }
}

section! {
    /// Names in DNS whose records are targets. While no server answers, the last targets stay.
    pub struct DnsSdConfig {
        /// Full names.
        pub names: Vec<Spanned<String>>,
        /// Type of the records: SRV, A or AAAA.
        pub r#type: Spanned<RecordType> = Spanned::nowhere(RecordType::Srv),
        /// Port of the targets. SRV records have their own.
        pub port: Option<u16> = None,
        /// Time after which the names are looked up again.
        pub refresh_interval: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::secs(30)),
        /// DNS servers: `ADDRESS` or `ADDRESS:PORT`. Default: those of the system.
        pub servers: Vec<Spanned<String>> = Vec::new(),
    }
}

impl EntryType for Scrape {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        self.check(context);
        let steps = self.relabel_configs.iter();
        let rules = TargetRules {
            job: match &self.job_name {
                Some(name) => name.value.clone(),
                None => context.origin.as_str().to_owned(),
            },
            scheme: self.scheme.as_str().to_owned(),
            metrics_path: self.metrics_path.value.clone(),
            params: self.params.clone(),
            // An invalid step is reported already.
            relabel: Relabel::new(steps.map(|step| &step.value)).unwrap_or_default(),
        };
        let groups = self.static_groups(&rules, context);
        let patterns = self.file_patterns(context);
        let limit = context.limits.bytes.0;
        let timeout = context.request_timeout();
        let lookups = self.lookups(limit, context);
        let plan = Arc::new(Plan {
            rules,
            access: Access {
                authorization: self.authorization.clone(),
                // The deadline of the collection is shorter.
                client: self.connection.with_timeout(context.timeout()),
            },
            scheme: self.scheme,
            accept: protocol::accept(&self.scrape_protocols)?,
            honor_labels: self.honor_labels,
            honor_timestamps: self.honor_timestamps,
            sample_limit: self.sample_limit,
            limit,
            timeout,
            relabeling: context.take_relabeling(),
        });
        context.build(move |_| ScrapeCollector {
            discovery: Discovery::new(groups.clone(), patterns.clone(), &lookups, limit),
            plan: plan.clone(),
            client: None,
            states: HashMap::new(),
            targets: 0,
            left_out: Vec::new(),
        })
    }
}

impl Scrape {
    fn check(&self, context: &mut EntryContext<'_>) {
        let has_error = [
            "static_configs",
            "file_sd_configs",
            "http_sd_configs",
            "dns_sd_configs",
        ]
        .iter()
        .any(|setting| context.has_error(setting));
        let EntryContext { at, problems, .. } = context;
        if self.static_configs.is_empty()
            && self.file_sd_configs.is_empty()
            && self.http_sd_configs.is_empty()
            && self.dns_sd_configs.is_empty()
            && !has_error
        {
            problems
                .error(at, "no targets")
                .hint("set `static_configs: [{targets: [localhost:9100]}]`, for example");
        }
        if let Some(name) = self.job_name.as_ref().filter(|name| name.is_empty()) {
            problems
                .error(&name.at, "an empty `job_name`")
                .hint("leave it out to use the name of the collector");
        }
        if !self.metrics_path.starts_with('/') {
            let message = format!("not a path: {:?}", self.metrics_path.value);
            problems
                .error(&self.metrics_path.at, message)
                .hint("begin it with /");
        }
        protocol::check(&self.scrape_protocols, problems);
        self.authorization.check(at, problems);
        self.connection.check(problems);
        for step in &self.relabel_configs {
            step.check(&step.at, problems);
        }
    }

    /// Returns the targets of the configuration, and reports invalid ones.
    fn static_groups(&self, rules: &TargetRules, context: &mut EntryContext<'_>) -> Vec<Group> {
        let groups = self.static_configs.iter().map(|config| {
            let labels = &config.labels;
            // Names such as `__scheme__` are settings of the target.
            let invalid = labels.keys().filter(|label| {
                let name = label.strip_prefix("__").unwrap_or(label);
                !is_label_name(name) || *label == METRIC_NAME
            });
            for label in invalid {
                context
                    .problems
                    .error(
                        &labels.at.key(label),
                        format!("not a label name: {label:?}"),
                    )
                    .hint("letters, digits and underscores, not starting with a digit");
            }
            for target in &config.targets {
                if let Err(error) = rules.target(target, labels) {
                    let (message, hint) = error.split_once("; hint: ").unwrap_or((&error, ""));
                    context.problems.error(&target.at, message).hint(hint);
                }
            }
            let targets = config.targets.iter();
            Group {
                targets: targets.map(|target| target.value.clone()).collect(),
                labels: labels.value.clone(),
            }
        });
        groups.collect()
    }

    fn file_patterns(&self, context: &mut EntryContext<'_>) -> Vec<FilePattern> {
        let files = self.file_sd_configs.iter().flat_map(|config| &config.files);
        let patterns = files.filter_map(|file| {
            let invalid = |message: &str, hint: &str, context: &mut EntryContext<'_>| {
                let message = format!("{message}: {}", file.value.display());
                context.problems.error(&file.at, message).hint(hint);
            };
            let directory = file.parent().unwrap_or(&file.value);
            if !file.is_absolute() {
                invalid("not an absolute path", "begin it with /", context);
            } else if directory.to_string_lossy().contains(['*', '?', '[']) {
                let hint = "use * in the name of the file only";
                invalid("a pattern in the name of a directory", hint, context);
            }
            let extension = file.extension().unwrap_or_default().to_string_lossy();
            if !matches!(&*extension, "json" | "yml" | "yaml") {
                let hint = "end it with .json, .yml or .yaml";
                invalid("not the name of a file of targets", hint, context);
            }
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            match Glob::new(&name) {
                Ok(glob) => Some(FilePattern {
                    directory: directory.to_owned(),
                    name: glob.compile_matcher(),
                }),
                Err(error) => {
                    invalid("invalid glob", &error.kind().to_string(), context);
                    None
                }
            }
        });
        patterns.collect()
    }

    fn lookups(&self, limit: u64, context: &mut EntryContext<'_>) -> Vec<(Arc<Lookup>, Duration)> {
        let mut lookups = Vec::new();
        for config in &self.http_sd_configs {
            config.authorization.check(&config.at, context.problems);
            config.connection.check(context.problems);
            let interval = refresh(&config.refresh_interval, context);
            match parse_url(&config.url) {
                Ok(url) => {
                    let access = Box::new(Access {
                        authorization: config.authorization.clone(),
                        client: config.connection.with_timeout(Duration::from_secs(10)),
                    });
                    lookups.push((Arc::new(Lookup::Http { access, url, limit }), interval));
                }
                Err(error) => context
                    .problems
                    .error(&config.url.at, error)
                    .hint("such as http://inventory:8080/targets"),
            }
        }
        for config in &self.dns_sd_configs {
            let interval = refresh(&config.refresh_interval, context);
            let kind = config.r#type.value;
            match (kind, config.port) {
                (RecordType::Srv, _) | (RecordType::A | RecordType::Aaaa, Some(_)) => {}
                (RecordType::A | RecordType::Aaaa, None) => context
                    .problems
                    .error(&config.at, "no `port`")
                    .hint("set it: addresses in DNS have none"),
                _ => context
                    .problems
                    .error(&config.r#type.at, format!("no targets: {}", kind.as_str()))
                    .hint("SRV, A or AAAA"),
            }
            if config.names.is_empty() {
                context
                    .problems
                    .error(&config.at, "no names")
                    .hint("set `names: [_metrics._tcp.example.org]`, for example");
            }
            let servers = config
                .servers
                .iter()
                .filter_map(|server| dns_server(server, context));
            let lookup = Lookup::Dns {
                servers: servers.collect(),
                names: config.names.iter().map(|name| name.value.clone()).collect(),
                kind,
                port: config.port,
            };
            lookups.push((Arc::new(lookup), interval));
        }
        lookups
    }
}

fn refresh(interval: &Spanned<HumanDuration>, context: &mut EntryContext<'_>) -> Duration {
    if interval.value.0 < Duration::from_secs(1) {
        context
            .problems
            .error(&interval.at, format!("too short: {}", interval.value))
            .hint("1s at the least");
    }
    interval.value.0
}

fn dns_server(server: &Spanned<String>, context: &mut EntryContext<'_>) -> Option<SocketAddr> {
    let address = server
        .parse::<SocketAddr>()
        .or_else(|_| server.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)));
    if address.is_err() {
        context
            .problems
            .error(&server.at, format!("not an address: {:?}", server.value))
            .hint("such as 127.0.0.1 or 127.0.0.1:8600");
    }
    address.ok()
}

/// Settings of a collector, checked.
struct Plan {
    rules: TargetRules,
    access: Access,
    scheme: Scheme,
    accept: HeaderValue,
    honor_labels: bool,
    honor_timestamps: bool,
    sample_limit: usize,
    limit: u64,
    timeout: Duration,
    relabeling: Arc<Relabeling>,
}

struct ScrapeCollector {
    plan: Arc<Plan>,
    discovery: Discovery,
    /// `None` before the first collection, and while its files cannot be read.
    client: Option<Arc<Client>>,
    states: HashMap<Target, State>,
    /// Number of targets of the last collection.
    targets: usize,
    /// Notes about samples of the last collection that are left out.
    left_out: Vec<String>,
}

/// State of a target between two scrapes.
struct State {
    parser: SeriesParser,
    series: SeriesBatch,
    /// Set if the last scrape had no answer in time.
    hangs: bool,
}

impl Collector for ScrapeCollector {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, now: Now) -> Collecting<'a> {
        Box::pin(async move {
            let deadline = Instant::now() + self.plan.timeout;
            let (groups, mut errors) = self.discovery.update(now.mono).await;
            let targets = self.targets(&groups, &mut errors);
            self.targets = targets.len();
            let client = self.client().await?;
            let outcomes = self.scrape_all(&targets, &client, now.wall, deadline).await;
            self.left_out = left_out(&targets, &outcomes);
            // Before the others, so that `limits.series` does not cut them.
            push_reports(
                &targets,
                &outcomes,
                &self.plan.relabeling,
                &mut batch.series,
            );
            for (target, outcome) in targets.iter().zip(&outcomes) {
                if let Some(state) = self.states.get(target)
                    && outcome.error.is_none()
                {
                    batch.series.append(&state.series);
                }
            }
            result(&targets, &outcomes, &errors)
        })
    }

    fn notes(&self) -> Vec<String> {
        match self.targets {
            0 => vec!["no targets".into()],
            _ => self.left_out.clone(),
        }
    }
}

impl ScrapeCollector {
    /// Returns the targets of `groups`, each once, and forgets the state of others.
    fn targets(&mut self, groups: &[Group], errors: &mut Vec<String>) -> Vec<Target> {
        let mut targets = Vec::new();
        let mut seen = HashSet::new();
        for group in groups {
            for address in &group.targets {
                match self.plan.rules.target(address, &group.labels) {
                    Ok(Some(target)) if seen.insert(target.clone()) => targets.push(target),
                    Ok(_) => {}
                    Err(error) => errors.push(error),
                }
            }
        }
        self.states.retain(|target, _| seen.contains(target));
        targets
    }

    async fn client(&mut self) -> Result<Arc<Client>, Failure> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let plan = self.plan.clone();
        let opened = spawn_blocking(move || {
            let any = format!("{}://localhost", plan.scheme.as_str());
            let url = Url::parse(&any).map_err(|error| error.to_string())?;
            Client::open(plan.access.clone(), &url).map_err(|error| error.to_string())
        });
        let opened = opened.await.unwrap_or_else(|error| Err(error.to_string()));
        let client = Arc::new(opened.map_err(|error| Failure::new("settings", error))?);
        self.client = Some(client.clone());
        Ok(client)
    }

    /// Scrapes all targets, [`PARALLEL`] at a time.
    async fn scrape_all(
        &mut self,
        targets: &[Target],
        client: &Arc<Client>,
        now: UnixMillis,
        deadline: Instant,
    ) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = targets.iter().map(|_| None).collect();
        let states = targets.iter().map(|target| {
            let state = self.states.remove(target);
            state.unwrap_or_else(|| self.plan.state(&target.labels))
        });
        let mut waiting: Vec<(usize, State)> = states.enumerate().collect();
        // Those that hang come last, so that they do not take the time of the others.
        waiting.sort_by_key(|(_, state)| state.hangs);
        let mut waiting = waiting.into_iter();
        let mut running = JoinSet::new();
        loop {
            while running.len() < PARALLEL
                && let Some((index, mut state)) = waiting.next()
            {
                if self.plan.honor_timestamps {
                    let times = now.before(LOOKBACK).0..=now.after(MAX_AHEAD).0;
                    state.parser.accept_times(times);
                }
                let (plan, client) = (self.plan.clone(), client.clone());
                let url = targets[index].url.clone();
                running.spawn(async move {
                    let (state, outcome) = plan.scrape(state, url, &client, deadline).await;
                    (index, state, outcome)
                });
            }
            let Some(ended) = running.join_next().await else {
                break;
            };
            if let Ok((index, Some(state), outcome)) = ended {
                self.states.insert(targets[index].clone(), state);
                outcomes[index] = Some(outcome);
            }
        }
        let outcomes = outcomes.into_iter();
        outcomes
            .map(|outcome| outcome.unwrap_or_else(|| Outcome::failed("aborted", Duration::ZERO)))
            .collect()
    }
}

impl Plan {
    /// Returns the state of a target that was not scraped yet.
    fn state(&self, target: &LabelSet) -> State {
        let (target, honor, relabeling) =
            (target.clone(), self.honor_labels, self.relabeling.clone());
        State {
            parser: SeriesParser::with_rewrite(move |exposed| {
                relabeling.apply(&merged(&exposed, &target, honor))
            }),
            series: SeriesBatch::default(),
            hangs: false,
        }
    }

    /// Scrapes one target. The state is lost only in a panic.
    async fn scrape(
        self: Arc<Self>,
        state: State,
        url: String,
        client: &Client,
        deadline: Instant,
    ) -> (Option<State>, Outcome) {
        let started = Instant::now();
        let fetched = timeout_at(deadline, self.fetch(&url, client)).await;
        let hangs = fetched.is_err() && started < deadline;
        let fetched = fetched.unwrap_or_else(|_| {
            Err(match hangs {
                true => {
                    let waited = format_duration(deadline - started);
                    format!("no answer within {waited}")
                }
                false => "not scraped: other targets hang".into(),
            })
        });
        let read = spawn_blocking(move || {
            let mut state = state;
            state.hangs = hangs;
            let parsed = fetched.and_then(|fetched| state.read(fetched, self.sample_limit));
            (state, parsed)
        });
        let duration = || started.elapsed();
        match read.await {
            Ok((state, Ok(parsed))) => {
                let outcome = Outcome {
                    duration: duration(),
                    parsed,
                    kept: state.series.len(),
                    error: None,
                };
                (Some(state), outcome)
            }
            Ok((state, Err(error))) => (Some(state), Outcome::failed(error, duration())),
            Err(error) => (None, Outcome::failed(error.to_string(), duration())),
        }
    }

    async fn fetch(&self, url: &str, client: &Client) -> Result<Fetched, String> {
        let url = Url::parse(url).map_err(|error| error.to_string())?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, self.accept.clone());
        let seconds = self.timeout.as_secs_f64().to_string();
        if let Ok(seconds) = HeaderValue::from_str(&seconds) {
            headers.insert("x-prometheus-scrape-timeout-seconds", seconds);
        }
        fetch(client, Method::GET, url, headers, String::new(), self.limit).await
    }
}

impl State {
    /// Reads the series of a response.
    fn read(&mut self, fetched: Fetched, sample_limit: usize) -> Result<ParsedSeries, String> {
        self.series.clear();
        let parsed = match Format::from_content_type(&fetched.content_type) {
            Some(format) => {
                let text = fetched.into_text()?;
                let parsed = self.parser.parse(&text, format, &mut self.series);
                parsed.map_err(|error| error.to_string())?
            }
            None => {
                let body = fetched.into_bytes()?;
                let parsed = self.parser.parse_protobuf(&body, &mut self.series);
                parsed.map_err(|error| error.to_string())?
            }
        };
        if sample_limit > 0 && self.series.len() > sample_limit {
            let samples = self.series.len();
            return Err(format!(
                "{samples} samples; hint: sample_limit is {sample_limit}"
            ));
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests;

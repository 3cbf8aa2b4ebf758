//! Probes of services from the outside: HTTP, TCP, TLS, DNS, ICMP and gRPC, as blackbox_exporter has them.

mod certificate;
mod connect;
mod credentials;
mod dns;
mod grpc;
mod http;
mod icmp;
mod report;
mod tcp;
mod totals;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_collector::{
    Build, Collecting, Collector, DEFAULT_BUCKETS, EntryContext, EntryType, check_buckets,
};
use bellwether_core::{Batch, Failure, Kind, Now};
use bellwether_schema::{Spanned, format_duration, section, string_enum};
use reqwest::Url;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use self::connect::Tls;
use self::dns::{DnsPlan, DnsProbe};
use self::grpc::{GrpcPlan, GrpcProbe};
use self::http::{HttpPlan, HttpProbe};
use self::report::{DURATION, Report, SUCCESS};
use self::tcp::{TcpPlan, TcpProbe};
use self::totals::Totals;
use crate::dns::host_and_port;

/// Targets that are probed at the same time.
const PARALLEL: usize = 64;

string_enum! {
    /// Protocols of probes.
    pub enum Prober {
        /// HTTP and HTTPS. Targets are URLs.
        Http = "http",
        /// TCP, with or without TLS. Targets are `HOST:PORT`.
        Tcp = "tcp",
        /// Queries to a DNS server. Targets are `ADDRESS` or `ADDRESS:PORT`.
        Dns = "dns",
        /// ICMP echo, as `ping` sends it. Targets are hosts.
        Icmp = "icmp",
        /// Health checks of gRPC. Targets are `HOST:PORT`.
        Grpc = "grpc",
    }
}

section! {
    /// Collector of type `probe`: availability of services as this host sees it, under the names of
    /// blackbox_exporter. All targets are probed in the same way, several at a time. Their series have the labels
    /// `job`, the name of the collector, and `instance`, the target.
    pub struct Probe {
        /// Protocol.
        pub prober: Prober,
        /// Targets.
        pub targets: Vec<Spanned<String>>,
        /// PEM file with the only certificate authorities that are trusted. By default those of the system.
        pub ca_file: Option<PathBuf> = None,
        /// Upper bounds of the buckets of `probe_all_duration_seconds`, in seconds, ascending. Default: 5 ms to 10 s.
        pub buckets: Option<Spanned<Vec<f64>>> = None,
        /// Request and expected response of `http`.
        pub http: HttpProbe,
        /// Steps of `tcp`.
        pub tcp: TcpProbe,
        /// Query and expected answer of `dns`.
        pub dns: Spanned<Option<DnsProbe>> = Spanned::nowhere(None),
        /// Health check of `grpc`.
        pub grpc: GrpcProbe,
    }
}

/// A probe, checked.
enum ProbePlan {
    Http(HttpPlan),
    Tcp(TcpPlan),
    Dns(DnsPlan),
    Icmp,
    Grpc(GrpcPlan),
}

impl EntryType for Probe {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        if self.targets.is_empty() {
            context
                .problems
                .error(context.at, "no targets")
                .hint("set `targets: [https://example.org]`, for example");
        }
        for target in &self.targets {
            if let Some(hint) = self.hint_for(target) {
                context
                    .problems
                    .error(
                        &target.at,
                        format!(
                            "not a target of {}: {:?}",
                            self.prober.as_str(),
                            target.value
                        ),
                    )
                    .hint(hint);
            }
        }
        check_buckets(Kind::Histogram, self.buckets.as_ref(), context.problems);
        let plan = match self.prober {
            Prober::Http => ProbePlan::Http(self.http.plan(context)?),
            Prober::Tcp => ProbePlan::Tcp(self.tcp.plan(context)?),
            Prober::Icmp => ProbePlan::Icmp,
            Prober::Grpc => ProbePlan::Grpc(self.grpc.plan(context)?),
            Prober::Dns => match &self.dns.value {
                Some(dns) => ProbePlan::Dns(dns.plan(context)?),
                None => {
                    context
                        .problems
                        .error(context.at, "no query")
                        .hint("set `dns: {query_name: example.org}`, for example");
                    return None;
                }
            },
        };
        let shared = Arc::new(Shared {
            job: context.origin.as_str(),
            targets: self.targets.iter().map(|it| it.value.clone()).collect(),
            plan,
            tls: Tls::new(self.ca_file.clone()),
            limit: context.limits.bytes.0,
            timeout: context.request_timeout(),
            bounds: match &self.buckets {
                Some(buckets) => buckets.value.as_slice().into(),
                None => Arc::from(DEFAULT_BUCKETS),
            },
        });
        let origin = context.origin;
        context.build(move |memory| {
            let totals = memory.get::<Totals>(origin);
            totals.keep(&shared.targets);
            ProbeCollector {
                shared: shared.clone(),
                totals,
                failed: Vec::new(),
                hanging: BTreeSet::new(),
            }
        })
    }
}

impl Probe {
    /// Returns how a target is written, if it is invalid.
    fn hint_for(&self, target: &str) -> Option<&'static str> {
        let (valid, hint) = match self.prober {
            Prober::Http => {
                let url = Url::parse(target).ok();
                let valid = url.is_some_and(|url| {
                    matches!(url.scheme(), "http" | "https")
                        && url.username().is_empty()
                        && url.password().is_none()
                });
                (
                    valid,
                    "a URL without user and password, such as https://example.org/",
                )
            }
            Prober::Tcp | Prober::Grpc => (host_and_port(target).is_some(), "HOST:PORT"),
            Prober::Dns => (
                dns::server(target).is_some(),
                "such as 127.0.0.1, 127.0.0.1:53 or dns.example.org:53",
            ),
            Prober::Icmp => {
                let is_address = target.parse::<IpAddr>().is_ok();
                let valid = is_address || bellwether_schema::is_host_name(target);
                (valid, "the name or the address of a host")
            }
        };
        (!valid).then_some(hint)
    }
}

/// Settings of a collector.
struct Shared {
    job: &'static str,
    targets: Vec<String>,
    plan: ProbePlan,
    tls: Tls,
    limit: u64,
    timeout: Duration,
    /// Upper bounds of the buckets.
    bounds: Arc<[f64]>,
}

struct ProbeCollector {
    shared: Arc<Shared>,
    totals: Arc<Totals>,
    /// Targets whose last probe failed, with the reason.
    failed: Vec<(String, String)>,
    /// Indexes of those that had no answer in time.
    hanging: BTreeSet<usize>,
}

/// Result of the probe of a target.
struct Outcome {
    report: Report,
    /// `None`: there was no time for a probe.
    took: Option<Duration>,
    /// Reason of a failure.
    error: Option<String>,
    /// Set if there was no answer in time.
    hangs: bool,
}

impl Collector for ProbeCollector {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, _: Now) -> Collecting<'a> {
        Box::pin(async move {
            let deadline = Instant::now() + self.shared.timeout;
            let count = self.shared.targets.len();
            let mut order: Vec<usize> = (0..count).collect();
            // Those that hang come last, so that they do not take the time of the others.
            order.sort_by_key(|index| self.hanging.contains(index));
            let mut waiting = order.into_iter();
            let mut running = JoinSet::new();
            let mut outcomes: Vec<Option<Outcome>> = (0..count).map(|_| None).collect();
            loop {
                while running.len() < PARALLEL
                    && let Some(index) = waiting.next()
                {
                    let shared = self.shared.clone();
                    running.spawn(async move { (index, shared.probe(index, deadline).await) });
                }
                match running.join_next().await {
                    Some(Ok((index, outcome))) => outcomes[index] = Some(outcome),
                    Some(Err(_)) => {}
                    None => break,
                }
            }
            self.failed.clear();
            self.hanging.clear();
            for (index, (target, outcome)) in self.shared.targets.iter().zip(outcomes).enumerate() {
                let outcome = outcome.ok_or_else(|| Failure::new("panic", target))?;
                let labels = [("instance", target.as_str()), ("job", self.shared.job)];
                outcome.report.push(&labels, &mut batch.series);
                if let Some(took) = outcome.took {
                    let success = outcome.error.is_none();
                    self.totals
                        .observe(target, &self.shared.bounds, took, success);
                }
                if let Some(error) = outcome.error {
                    self.failed.push((target.clone(), error));
                }
                if outcome.hangs {
                    self.hanging.insert(index);
                }
            }
            let Shared { targets, job, .. } = &*self.shared;
            self.totals.fill(targets, job, &mut batch.series);
            // A service that is down is what a probe is for, and no failure of it.
            Ok(())
        })
    }

    fn notes(&self) -> Vec<String> {
        const SHOWN: usize = 5;
        let failed = self.failed.iter().take(SHOWN);
        failed
            .map(|(target, error)| match error.starts_with(&**target) {
                // The error of a connection begins with its address.
                true => error.clone(),
                false => format!("{target}: {error}"),
            })
            .collect()
    }
}

impl Shared {
    /// Probes one target.
    async fn probe(&self, index: usize, deadline: Instant) -> Outcome {
        let target = &self.targets[index];
        let mut report = Report::default();
        // First in the order, whatever follows.
        report.set(&SUCCESS, 0.0);
        report.set(&DURATION, 0.0);
        let started = Instant::now();
        let run = async {
            match &self.plan {
                ProbePlan::Http(plan) => plan.run(target, &self.tls, self.limit, &mut report).await,
                ProbePlan::Tcp(plan) => plan.run(target, &self.tls, self.limit, &mut report).await,
                ProbePlan::Dns(plan) => plan.run(target, &mut report).await,
                ProbePlan::Icmp => icmp::run(target, &mut report).await,
                ProbePlan::Grpc(plan) => plan.run(target, &self.tls, &mut report).await,
            }
        };
        let result = timeout_at(deadline, run).await;
        let took = started.elapsed();
        let had_time = started < deadline;
        let hangs = result.is_err() && had_time;
        let result = result.unwrap_or_else(|_| {
            Err(match hangs {
                true => format!("no answer within {}", format_duration(took)),
                false => "not probed: other targets hang".into(),
            })
        });
        report.set(&SUCCESS, f64::from(u8::from(result.is_ok())));
        report.set(&DURATION, took.as_secs_f64());
        Outcome {
            report,
            took: had_time.then_some(took),
            error: result.err(),
            hangs,
        }
    }
}

#[cfg(test)]
mod tests;

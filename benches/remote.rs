//! Remote write: how fast a backlog leaves, and how many bytes a sample takes on the wire.
//!
//! `cargo bench --bench remote`. A million samples wait in a history on disk, as after an outage;
//! the receiver is a VictoriaMetrics where there is one, and one of our own that only answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_remote_write::{Families, RemoteWrite, Setup, Writers};
use bellwether_schema::{Decode, DecodeContext, Diagnostics, Spanned};
use bellwether_tsdb::history::{History, Options};
use support::sink::{Reply, Sink};
use support::storage::Storage;

const SERIES: u32 = 1000;
const COLLECTIONS: u32 = 1000;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let now = 1_760_000_000_000;
    let options = Options {
        folder: Some(folder.path().join("history")),
        ..Options::default()
    };
    let (history, recovery) = History::open(options, UnixMillis(now));
    assert_eq!(recovery.error, None);
    let history = Arc::new(history);
    let start = history.wal_end();
    // As a destination does: else what is in a block leaves the log.
    history.hold("bench", start);
    fill(&history, now);
    assert!(history.sync());
    let count = |_: &support::sink::Request| {
        let headers = vec![(
            "X-Prometheus-Remote-Write-Samples-Written",
            "2000".to_owned(),
        )];
        Some(Reply {
            status: 204,
            headers,
            ..Reply::default()
        })
    };
    let sink = Sink::start(count);
    let url = format!("http://{}/", sink.address());
    for protocol in ["1.0", "2.0"] {
        report(
            &format!("{protocol}, own receiver"),
            &history,
            start,
            &url,
            protocol,
        );
    }
    if support::servers::there("victoria-metrics") {
        let victoria = Storage::victoria_metrics(&folder.path().join("victoria"));
        report(
            "1.0, VictoriaMetrics",
            &history,
            start,
            &victoria.write_url(),
            "1.0",
        );
    }
}

/// Counters and gauges with two decimals, every 15 s.
fn fill(history: &History, now: i64) {
    let series: Vec<_> = (0..SERIES)
        .map(|number| {
            let (name, number) = (format!("metric_{}", number % 50), number.to_string());
            let labels = [
                ("__name__", &*name),
                ("instance", "host.example"),
                ("device", &*number),
            ];
            history.series_id(&LabelSet::new(labels)).unwrap()
        })
        .collect();
    for step in 0..COLLECTIONS {
        let samples = series.iter().enumerate().map(|(number, series)| {
            let mixed = (step + number as u32 * 31).wrapping_mul(2_654_435_761) >> 20;
            let gauge = f64::from(mixed) / 100.0;
            let counter = f64::from(step) * (number as f64 + 1.0);
            (*series, if number % 2 == 0 { gauge } else { counter })
        });
        let at = now - i64::from(COLLECTIONS - step) * 15_000;
        history.append(UnixMillis(at), &samples.collect::<Vec<_>>());
    }
}

fn report(
    what: &str,
    history: &Arc<History>,
    start: bellwether_tsdb::history::Cursor,
    url: &str,
    protocol: &str,
) {
    let state = tempfile::tempdir().unwrap();
    let cursors = state.path().join("remote_write");
    std::fs::create_dir(&cursors).unwrap();
    let progress = serde_json::json!({ "acked": start, "sending": null });
    std::fs::write(cursors.join("bench.cursor"), progress.to_string()).unwrap();
    let setup = Setup {
        state: Some(state.path().to_owned()),
        clock: Arc::new(|| UnixMillis(0)),
        random: || 0.5,
    };
    let text = format!("[{{url: '{url}', name: bench, protocol: '{protocol}'}}]");
    let mut problems = Diagnostics::default();
    let node = bellwether_schema::parse(&text).unwrap();
    let settings: Vec<Spanned<RemoteWrite>> =
        Decode::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None)).unwrap();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let writers = Writers::new(setup);
        let begin = Instant::now();
        let prepared = writers.prepare(&settings).unwrap();
        writers
            .replace(prepared, Arc::new(Arc::clone(history)), Families::default())
            .await;
        let wanted = u64::from(SERIES) * u64::from(COLLECTIONS);
        let figures = loop {
            let figures = writers.stats()["bench"].clone();
            assert_eq!((&figures.last_error, figures.dropped[1].1), (&None, 0));
            if figures.sent >= wanted {
                break figures;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        let seconds = begin.elapsed().as_secs_f64();
        println!(
            "{what}: {:.0} samples/s, {:.2} bytes per sample",
            figures.sent as f64 / seconds,
            figures.bytes as f64 / figures.sent as f64
        );
        writers.stop().await;
        history.hold("bench", start);
    });
}

//! Lines for the journal of systemd: each with its priority and without a time, which the journal adds.

use std::env;
use std::fmt;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::fstat;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::audit;

/// Returns whether standard error is a stream of the journal.
pub(super) fn is_stderr() -> bool {
    env::var("JOURNAL_STREAM").is_ok_and(|stream| is_stream(&stream, io::stderr()))
}

/// Returns whether `file` is the stream that `JOURNAL_STREAM` names by device and inode. The variable is inherited,
/// also by a process whose output goes elsewhere.
fn is_stream(stream: &str, file: impl AsFd) -> bool {
    fstat(file).is_ok_and(|stat| format!("{}:{}", stat.st_dev, stat.st_ino) == stream)
}

/// Writes `<PRIORITY>` before each line of an event, as sd-daemon(3) describes. The journal makes an entry of each
/// line, so a line without one would have another priority.
pub(super) struct WithPriority<F>(pub(super) F);

impl<S, N, F> FormatEvent<S, N> for WithPriority<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        self.0
            .format_event(context, Writer::new(&mut text), event)?;
        let priority = priority(event.metadata());
        let lines = text
            .trim_start()
            .lines()
            .filter(|line| !line.trim().is_empty());
        lines
            .into_iter()
            .try_for_each(|line| writeln!(writer, "<{priority}>{line}"))
    }
}

/// Returns the priority of syslog: 3 is an error, 4 a warning, 5 a notice, 6 informational, 7 for debugging.
fn priority(metadata: &Metadata<'_>) -> u8 {
    match *metadata.level() {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO if metadata.target() == audit::TARGET => 5,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::audit::tests::Lines;

    fn logged(event: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_target(false)
            .without_time()
            .map_event_format(WithPriority)
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), event);
        lines.text()
    }

    #[test]
    fn every_line_has_the_priority_of_its_event_and_no_time() {
        let text = logged(|| {
            tracing::error!("reload failed: a.yaml:1:1: x\n\n  hint: y");
            tracing::warn!(channel = "pager", "cannot deliver");
            tracing::info!("started");
            tracing::info!(target: "bellwether::audit", "audit: reload");
            tracing::debug!("detail");
        });
        assert_eq!(
            text,
            "<3>ERROR reload failed: a.yaml:1:1: x\n<3>  hint: y\n\
             <4>WARN cannot deliver channel=\"pager\"\n<6>INFO started\n<5>INFO audit: reload\n<7>DEBUG detail\n"
        );
    }

    #[test]
    fn only_the_named_stream_is_the_journal() {
        let file = tempfile::tempfile().unwrap();
        let metadata = file.metadata().unwrap();
        let stream = format!("{}:{}", metadata.dev(), metadata.ino());
        assert!(is_stream(&stream, &file));
        let other = tempfile::tempfile().unwrap();
        assert!(!is_stream(&stream, &other));
        assert!(!is_stream("", &file));
    }
}

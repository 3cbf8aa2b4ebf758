//! Time ranges on the command line.

use std::time::Duration;

use anyhow::bail;
use bellwether_core::UnixMillis;
use bellwether_schema::parse_duration;
use clap::Args;

use super::when::When;

/// Flags of a time range.
#[derive(Args)]
pub(super) struct Range {
    /// Start of the time range: now, -1h, 2026-11-21, 2026-11-21T10:00:00Z or Unix seconds.
    #[arg(
        long,
        alias = "start",
        value_name = "TIME",
        allow_hyphen_values = true,
        conflicts_with = "window"
    )]
    from: Option<When>,
    /// End of the time range, written like --from. Default: now.
    #[arg(long, alias = "end", value_name = "TIME", allow_hyphen_values = true)]
    to: Option<When>,
    /// Length of the time range up to --to, such as 6h; instead of --from.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    window: Option<Duration>,
}

impl Range {
    /// Returns whether one of the flags is given.
    pub(super) fn is_given(&self) -> bool {
        self.from.is_some() || self.to.is_some() || self.window.is_some()
    }

    /// Returns the end of the range, if one is given.
    pub(super) fn end(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.to.map(|to| to.at(now))
    }

    /// Returns the start of the range, if one is given.
    pub(super) fn start(&self, now: UnixMillis) -> Option<UnixMillis> {
        let end = self.end(now).unwrap_or(now);
        match self.window {
            Some(window) => Some(end.before(window)),
            None => self.from.map(|from| from.at(now)),
        }
    }

    /// Returns start and end; `default` is the start if none is given, for the end of the range.
    ///
    /// # Errors
    /// The start is after the end.
    pub(super) fn times(
        &self,
        now: UnixMillis,
        default: impl FnOnce(UnixMillis) -> UnixMillis,
    ) -> anyhow::Result<(UnixMillis, UnixMillis)> {
        let end = self.end(now).unwrap_or(now);
        let start = self.start(now).unwrap_or_else(|| default(end));
        if start > end {
            bail!("--from is after --to");
        }
        Ok((start, end))
    }
}

/// Parses a duration that is not zero.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text).filter(|duration| duration.as_millis() > 0);
    duration.ok_or_else(|| "no duration; hint: 30s, 5m, 1h30m or 7d".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        range: Range,
    }

    fn times(arguments: &str) -> Result<(i64, i64), String> {
        let line = std::iter::once("x").chain(arguments.split_whitespace());
        let line = Line::try_parse_from(line).map_err(|error| error.to_string())?;
        let now = UnixMillis(1_000_000_000);
        let times = line.range.times(now, |end| UnixMillis(end.0 - 1));
        times
            .map(|(start, end)| (start.0, end.0))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_range_is_given_by_its_ends_or_its_length() {
        assert_eq!(times("").unwrap(), (999_999_999, 1_000_000_000));
        assert_eq!(times("--to 500").unwrap(), (499_999, 500_000));
        assert_eq!(times("--from 500").unwrap(), (500_000, 1_000_000_000));
        assert_eq!(times("--start 500 --end 600").unwrap(), (500_000, 600_000));
        assert_eq!(times("--window 10s --to 500").unwrap(), (490_000, 500_000));
        assert_eq!(
            times("--from -1h --to -30m").unwrap(),
            (996_400_000, 998_200_000)
        );
        for (arguments, message) in [
            ("--from 600 --to 500", "--from is after --to"),
            ("--from 1 --window 1h", "cannot be used with"),
            ("--window 0", "no duration"),
            ("--from yesterday", "not a valid time"),
        ] {
            let error = times(arguments).unwrap_err();
            assert!(error.contains(message), "{arguments}: {error}");
        }
    }
}

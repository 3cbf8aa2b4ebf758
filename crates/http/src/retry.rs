//! Delay before a retry: full jitter over a span that doubles, unless the server sets a delay.

use std::time::Duration;

use bellwether_core::UnixMillis;

/// Longest `Retry-After` that is followed; a longer one is taken for a mistake.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// The wait after the `failures`-th failure in a row (from 1). `random` is uniform from 0 to 1.
/// Full jitter, so that many clients of one receiver spread out when it comes back. What the
/// receiver asks for is the least: one that asks for nothing is not hammered either.
#[must_use]
pub fn next_delay(
    initial: Duration,
    max: Duration,
    failures: u32,
    retry_after: Option<Duration>,
    random: f64,
) -> Duration {
    let doublings = failures.saturating_sub(1).min(30);
    let span = initial.saturating_mul(1 << doublings).min(max);
    // Not below a tenth: a wait of nothing would hammer a receiver that is down.
    let jitter = span.mul_f64(random.clamp(0.0, 1.0).max(0.1));
    retry_after.map_or(jitter, |wait| wait.min(LONGEST_RETRY_AFTER).max(jitter))
}

/// Reads `Retry-After`: seconds, or an HTTP date (RFC 9110) that is compared with the answer's own
/// `Date` where there is one, so that clocks that differ do no harm.
#[must_use]
pub fn parse_retry_after(value: &str, date: Option<&str>, now: UnixMillis) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let from = date.and_then(http_date).unwrap_or(now);
    http_date(value).map(|until| until.since(from))
}

fn http_date(text: &str) -> Option<UnixMillis> {
    let zoned = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
    Some(UnixMillis(zoned.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_span_doubles_up_to_its_limit() {
        let delay = |failures, random| next_delay(SECOND, SECOND * 60, failures, None, random);
        assert_eq!(delay(1, 1.0), SECOND);
        assert_eq!(delay(2, 1.0), SECOND * 2);
        assert_eq!(delay(3, 0.5), SECOND * 2);
        assert_eq!(delay(50, 1.0), SECOND * 60);
        assert_eq!(delay(u32::MAX, 0.0), SECOND * 6);
    }

    #[test]
    fn the_receiver_decides_where_it_says_so() {
        let wait = Some(Duration::from_secs(7));
        assert_eq!(
            next_delay(SECOND, SECOND * 2, 1, wait, 0.0),
            Duration::from_secs(7)
        );
        let mistake = Some(Duration::from_secs(86_400_000));
        assert_eq!(
            next_delay(SECOND, SECOND, 1, mistake, 0.0),
            LONGEST_RETRY_AFTER
        );
        assert_eq!(
            next_delay(SECOND, SECOND, 1, Some(Duration::ZERO), 1.0),
            SECOND
        );
    }

    #[test]
    fn retry_after_in_both_forms() {
        let now = UnixMillis(784_111_770_000);
        assert_eq!(
            parse_retry_after("120", None, now),
            Some(Duration::from_secs(120))
        );
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(
            parse_retry_after(date, None, now),
            Some(Duration::from_secs(7))
        );
        let answered = Some("Sun, 06 Nov 1994 08:49:30 GMT");
        assert_eq!(
            parse_retry_after(date, answered, UnixMillis(0)),
            Some(Duration::from_secs(7))
        );
        assert_eq!(
            parse_retry_after(date, None, UnixMillis(999_999_999_999)),
            Some(Duration::ZERO)
        );
        assert_eq!(parse_retry_after("soon", None, now), None);
    }
}

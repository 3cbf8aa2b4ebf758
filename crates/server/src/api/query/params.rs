//! Parameters of a request, from its URL and its form, as Prometheus reads them
//! (web/api/v1/api.go, `parseTime`, `parseDuration`, `parseLimitParam`).

use std::time::Duration;

use bellwether_core::UnixMillis;
use bellwether_schema::parse_duration;
use hyper::StatusCode;
use jiff::Timestamp;

use crate::api::endpoints::parameter::Parameter;
use crate::api::response::ApiError;

/// Limit of times in milliseconds: exact in a double, and far from any overflow.
const FARTHEST: i64 = 1 << 53;

/// Names and values in their order, those of the form before those of the URL.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Parses the query of a URL, and the form in a body.
    pub(crate) fn new(url: &str, form: &[u8]) -> Self {
        let both = form_urlencoded::parse(form).chain(form_urlencoded::parse(url.as_bytes()));
        Self(
            both.map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    /// Joins parsed fields of a form with the query of a URL.
    pub(crate) fn with_fields(url: &str, mut fields: Vec<(String, String)>) -> Self {
        fields.extend(Self::new(url, b"").0);
        Self(fields)
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the first value of `name`, or an empty text.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Returns the first name that is not in `known`: a misspelt one would change the answer unseen.
    pub(crate) fn unknown(&self, known: &[Parameter]) -> Option<&str> {
        self.names()
            .find(|name| !known.iter().any(|parameter| parameter.name == *name))
    }

    /// Returns every value of `name`.
    pub(crate) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// Parses a time: Unix seconds or RFC 3339. `None` if it is absent.
    ///
    /// # Errors
    /// It is not a time.
    pub(crate) fn time(&self, name: &str) -> Result<Option<UnixMillis>, ApiError> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        // Prometheus says it twice where a time may be left out.
        parse_time(text).map(Some).ok_or_else(|| {
            let why = no_time(text);
            invalid(name, &format!("Invalid time value for '{name}': {why}"))
        })
    }

    /// Parses a required time.
    ///
    /// # Errors
    /// It is absent or not a time.
    pub(crate) fn needed_time(&self, name: &str) -> Result<UnixMillis, ApiError> {
        let text = self.text(name);
        parse_time(text).ok_or_else(|| invalid(name, &no_time(text)))
    }

    /// Parses `start` and `end`; the default is all of time.
    ///
    /// # Errors
    /// One is not a time, or `end` is before `start`.
    pub(crate) fn times(&self) -> Result<(UnixMillis, UnixMillis), ApiError> {
        let start = self.time("start")?.unwrap_or(UnixMillis(-FARTHEST));
        let end = self.time("end")?.unwrap_or(UnixMillis(FARTHEST));
        if end < start {
            return Err(invalid(
                "end",
                "end timestamp must not be before start time",
            ));
        }
        Ok((start, end))
    }

    /// Parses a duration: seconds, or a text such as `1h30m`. A negative one is zero. `None` if it
    /// is absent.
    ///
    /// # Errors
    /// It is not a duration.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<Duration>, ApiError> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        let negative = text.parse::<f64>().is_ok_and(|seconds| seconds < 0.0);
        let span = if negative {
            Some(Duration::ZERO)
        } else {
            parse_duration(text)
        };
        span.map(Some)
            .ok_or_else(|| invalid(name, &format!("cannot parse {text:?} to a valid duration")))
    }

    /// Parses a limit; no limit if it is absent or zero.
    ///
    /// # Errors
    /// It is not a whole number or negative.
    pub(crate) fn limit(&self, name: &str) -> Result<usize, ApiError> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(usize::MAX);
        }
        match text.parse::<i64>() {
            Ok(0) => Ok(usize::MAX),
            Ok(limit) if limit > 0 => Ok(limit as usize),
            Ok(_) => Err(invalid(name, "limit must be non-negative")),
            Err(_) => Err(invalid(
                name,
                &format!("cannot parse {text:?} to a whole number"),
            )),
        }
    }
}

fn parse_time(text: &str) -> Option<UnixMillis> {
    let seconds = text.parse::<f64>().ok();
    let millis = match seconds.filter(|seconds| seconds.is_finite()) {
        Some(seconds) => (seconds * 1000.0).round() as i64,
        None => text.parse::<Timestamp>().ok()?.as_millisecond(),
    };
    Some(UnixMillis(millis.clamp(-FARTHEST, FARTHEST)))
}

fn no_time(text: &str) -> String {
    format!("cannot parse {text:?} to a valid timestamp")
}

/// Returns Prometheus's error for an invalid parameter.
pub(crate) fn invalid(name: &str, why: &str) -> ApiError {
    bad_data(format!("invalid parameter {name:?}: {why}"))
}

/// Returns the error for an invalid request.
pub(crate) fn bad_data(message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, value: &str) -> Parameters {
        Parameters(vec![(name.into(), value.into())])
    }

    #[test]
    fn a_form_goes_before_the_url() {
        let both = Parameters::new("match[]=a&match%5B%5D=b+c&x=1", b"x=2&y=%C3%A9");
        assert_eq!(both.all("match[]").collect::<Vec<_>>(), ["a", "b c"]);
        assert_eq!(
            (both.text("x"), both.text("y"), both.text("z")),
            ("2", "é", "")
        );
        assert_eq!(Parameters::new("", b"\xFF=%FF&&=").text("y"), "");
    }

    #[test]
    fn times() {
        for (text, millis) in [
            ("1435781430.781", 1_435_781_430_781),
            ("-1.5", -1500),
            ("0", 0),
            ("1e3", 1_000_000),
            ("2015-07-01T20:10:30.781Z", 1_435_781_430_781),
            ("2015-07-01T22:10:30+02:00", 1_435_781_430_000),
            ("1e300", FARTHEST),
        ] {
            assert_eq!(
                of("time", text).time("time").unwrap(),
                Some(UnixMillis(millis)),
                "{text}"
            );
        }
        for text in ["now", "NaN", "inf", "2015-07-01", "5m"] {
            let message = of("end", text).needed_time("end").unwrap_err().message;
            let why = format!("cannot parse {text:?} to a valid timestamp");
            assert_eq!(message, format!("invalid parameter \"end\": {why}"));
            let message = of("end", text).time("end").unwrap_err().message;
            assert!(
                message.ends_with(&format!("Invalid time value for 'end': {why}")),
                "{message}"
            );
        }
        assert_eq!(of("time", "").time("time").unwrap(), None);
        assert!(of("end", "").needed_time("end").is_err());
        assert!(Parameters::new("start=2&end=1", b"").times().is_err());
    }

    #[test]
    fn durations_and_limits() {
        for (text, millis) in [
            ("15", 15_000),
            ("0.5", 500),
            ("1h30m", 5_400_000),
            ("-1", 0),
        ] {
            let span = of("step", text).duration("step").unwrap().unwrap();
            assert_eq!(span.as_millis(), millis, "{text}");
        }
        assert!(of("step", "soon").duration("step").is_err());
        assert!(of("step", "1e99").duration("step").is_err());
        assert_eq!(of("limit", "7").limit("limit").unwrap(), 7);
        for text in ["", "0"] {
            assert_eq!(of("limit", text).limit("limit").unwrap(), usize::MAX);
        }
        for text in ["-1", "x", "1.5"] {
            assert!(of("limit", text).limit("limit").is_err(), "{text}");
        }
    }
}

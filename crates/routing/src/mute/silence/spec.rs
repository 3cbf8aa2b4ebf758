//! Silences as YAML or JSON: in files, and in requests to the API.
//!
//! Both have the same keys. The output of Alertmanager, such as `amtool silence query -o json`, and of
//! `bellwether silence list` is read as well: its keys are accepted, and those that only show the
//! state of a silence are ignored.

use std::path::Path;
use std::sync::Arc;

use bellwether_calendar::Location;
use bellwether_core::{Fingerprint, UnixMillis};
use bellwether_schema::{
    Decode, DecodeContext, Diagnostics, HumanDuration, Key, Literal, MapReader, Node, Shape,
    SourceLocation, Spanned, Value, YamlError, from_json, ok_unless, parse, section,
};

use super::maintenance::moment;
use super::recurrence::Recurs;
use super::{NO_END, Silence, SilenceDraft, SilenceError};
use crate::mute::time_interval::{RecurringSettings, TimeIntervals};
use crate::route::matchers::Matchers;

section! {
    /// A silence.
    pub struct SilenceSettings {
        /// Id of the silence to change; only for the API.
        pub id: Option<String>,
        /// Matchers as in routes.
        pub matchers: Matchers,
        /// Start. By default there is none in a file, and it is now for the API.
        pub starts_at: Option<Spanned<String>>,
        /// End. A silence with recurring times needs none.
        pub ends_at: Option<Spanned<String>>,
        /// Duration in place of `ends_at`; only for the API.
        pub duration: Option<Spanned<HumanDuration>>,
        /// Recurring times; the silence is in force within any of them or of `intervals`.
        pub times: Vec<RecurringSettings> = Vec::new(),
        /// Names of time intervals; the silence is in force within any of them or of `times`.
        pub intervals: Vec<Spanned<String>> = Vec::new(),
        /// Time zone of `starts_at`, `ends_at` and those `times` that have no location.
        pub location: Location = Location::default(),
        /// Author.
        pub created_by: Literal,
        /// Comment.
        pub comment: Literal = Literal::default(),
    }
}

/// Keys that show the state of a silence, and are ignored.
const STATE_KEYS: [&str; 9] = [
    "status",
    "state",
    "inForce",
    "configured",
    "holds",
    "declared",
    "source",
    "updatedAt",
    "annotations",
];

/// A silence in YAML or JSON, with its location.
#[derive(Clone, Debug)]
pub struct SilenceSpec {
    settings: SilenceSettings,
    at: SourceLocation,
}

impl Decode for SilenceSpec {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let at = cx.at(node.pos);
        let value = match &node.value {
            Value::Map(entries) => Value::Map(entries.iter().filter_map(normalize_key).collect()),
            other => other.clone(),
        };
        let settings = SilenceSettings::decode(
            &Node {
                value,
                ..node.clone()
            },
            cx,
        )?;
        Some(Self { settings, at })
    }

    fn shape() -> Shape {
        SilenceSettings::shape()
    }
}

/// Returns the entry with our key; `None` for a key that is ignored.
fn normalize_key((key, node): &(Key, Node)) -> Option<(Key, Node)> {
    let text = match key.text.as_str() {
        "startsAt" => "starts_at",
        "endsAt" => "ends_at",
        "createdBy" => "created_by",
        key if STATE_KEYS.contains(&key) => return None,
        other => other,
    };
    Some((
        Key {
            text: text.to_owned(),
            ..key.clone()
        },
        node.clone(),
    ))
}

/// Reads the silences of the file at `path` with the content `text`: a list, or the output of
/// `bellwether silence list -o json`. Errors go to `diagnostics`.
#[must_use]
pub fn read_silences(path: &Path, text: &str, diagnostics: &mut Diagnostics) -> Vec<SilenceSpec> {
    let file: Arc<str> = path.display().to_string().into();
    let node = match parse(text) {
        Ok(node) => node,
        Err(YamlError { at: pos, message }) => {
            diagnostics.error(
                &SourceLocation {
                    pos,
                    file: Some(file),
                    ..SourceLocation::default()
                },
                message,
            );
            return Vec::new();
        }
    };
    let before = diagnostics.len();
    let mut cx = DecodeContext::for_file(diagnostics, file);
    let silences = match &node.value {
        Value::Null => None,
        Value::Map(_) => decode_list_output(&node, &mut cx),
        _ => Vec::decode(&node, &mut cx),
    };
    // Silences that did not decode are not validated as well.
    silences
        .filter(|_| diagnostics.len() == before)
        .unwrap_or_default()
}

/// Decodes the output of `bellwether silence list`.
fn decode_list_output(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Vec<SilenceSpec>> {
    let mut map = MapReader::open(node, cx)?;
    let silences = map.field("silences", None);
    map.finish();
    silences
}

impl SilenceSpec {
    /// Compiles silences of files; errors go to `diagnostics`.
    pub(crate) fn compile(
        all: &[Self],
        intervals: &TimeIntervals,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Silence> {
        let mut compiled: Vec<Silence> = Vec::new();
        for spec in all {
            let silence = spec.compile_one(intervals, diagnostics);
            if let Some(same) = compiled.iter().find(|other| other.id == silence.id) {
                let source = same.source.as_deref().unwrap_or_default();
                diagnostics.error(&spec.at, format!("duplicate of the silence at {source}"));
            }
            compiled.push(silence);
        }
        compiled
    }

    fn compile_one(&self, intervals: &TimeIntervals, diagnostics: &mut Diagnostics) -> Silence {
        let Self { settings, at } = self;
        if let Some(duration) = &settings.duration {
            diagnostics
                .error(&duration.at, "`duration` is not allowed in a file")
                .hint("set the end: ends_at: 2026-12-24T18:00:00Z");
        }
        let draft = self.draft(UnixMillis(0), diagnostics);
        let starts_at = draft.starts_at.unwrap_or(UnixMillis(0));
        if let Err(error) = draft.check(starts_at, UnixMillis(0)) {
            diagnostics.error(at, error.to_string());
        }
        let file = at.file.as_deref().unwrap_or_default();
        Silence {
            id: id_of(&draft),
            rules: None,
            starts_at,
            times: draft.recurs.compile(intervals, diagnostics),
            source: Some(format!("{file}:{}", at.pos.line).into()),
            matchers: draft.matchers,
            ends_at: draft.ends_at,
            created_by: draft.created_by,
            comment: draft.comment,
            updated_at: UnixMillis(0),
            recurs: draft.recurs,
        }
    }

    /// Converts it to a draft at `now`; errors go to `diagnostics`.
    fn draft(&self, now: UnixMillis, diagnostics: &mut Diagnostics) -> SilenceDraft {
        let settings = &self.settings;
        let recurs = Recurs {
            times: settings.times.clone(),
            intervals: settings.intervals.clone(),
            location: settings.location.clone(),
        };
        let mut parse_time = |text: &Option<Spanned<String>>| {
            text.as_ref()
                .and_then(|text| moment(text, &settings.location, diagnostics))
        };
        let (starts_at, ends_at) = (
            parse_time(&settings.starts_at),
            parse_time(&settings.ends_at),
        );
        let from = starts_at.unwrap_or(now).max(now);
        self.check_end(&recurs, diagnostics);
        let length = settings
            .duration
            .as_ref()
            .map(|span| span.as_millis() as i64);
        let after = length.map(|length| UnixMillis(from.0.saturating_add(length)));
        SilenceDraft {
            id: settings.id.clone(),
            matchers: settings.matchers.clone(),
            starts_at,
            ends_at: ends_at.or(after).unwrap_or(NO_END),
            recurs,
            created_by: settings.created_by.0.clone(),
            comment: settings.comment.0.clone(),
        }
    }

    fn check_end(&self, recurs: &Recurs, diagnostics: &mut Diagnostics) {
        let Self { settings, at } = self;
        let (ends_at, duration) = (&settings.ends_at, &settings.duration);
        if let (Some(_), Some(duration)) = (ends_at, duration) {
            diagnostics
                .error(&duration.at, "both ends_at and duration")
                .hint("remove one");
        }
        if duration.as_ref().is_some_and(|duration| duration.is_zero()) {
            diagnostics
                .error(at, "duration: 0")
                .hint("such as 30m, 2h or 1d12h");
        }
        if ends_at.is_none() && duration.is_none() && recurs.is_always() {
            diagnostics.error(at, "no end").hint(
                "set ends_at, or duration for the API; only recurring times or intervals need no end",
            );
        }
    }
}

/// Makes an id of the content.
fn id_of(draft: &SilenceDraft) -> String {
    let SilenceDraft {
        matchers,
        starts_at,
        ends_at,
        recurs,
        created_by,
        comment,
        ..
    } = draft;
    let parts = [
        matchers.to_string(),
        format!("{starts_at:?} {ends_at:?}"),
        // Plain data, which always serializes.
        serde_json::to_string(recurs).unwrap_or_default(),
        created_by.clone(),
        comment.clone(),
    ];
    format!(
        "file-{}",
        Fingerprint::of_parts(parts.iter().map(String::as_str))
    )
}

impl SilenceDraft {
    /// Parses the JSON body of a request at `now`.
    ///
    /// # Errors
    /// Returns [`SilenceError::Invalid`] if the JSON or a setting is invalid.
    pub fn parse(body: &[u8], now: UnixMillis) -> Result<Self, SilenceError> {
        let spec: SilenceSpec = from_json(body).map_err(SilenceError::Invalid)?;
        let mut diagnostics = Diagnostics::default();
        let draft = spec.draft(now, &mut diagnostics);
        ok_unless(draft, diagnostics).map_err(SilenceError::Invalid)
    }
}

//! Silences as they are written down: in a file, and as the API is sent them.
//!
//! Both have the same words. What Alertmanager writes, `amtool silence query -o json` for instance,
//! and what our own list shows reads as well: its names of keys are taken for ours, and what only
//! tells how a silence fares is passed over.

use std::path::Path;
use std::sync::Arc;

use bellwether_core::{Fingerprint, UnixMillis};
use bellwether_schema::{
    Decode, DecodeContext, Diagnostics, HumanDuration, Key, Literal, MapReader, Node, Shape,
    SourceLocation, Spanned, Value, parse, section,
};

use super::maintenance::moment;
use super::recurs::Recurs;
use super::{NO_END, Silence, SilenceDraft, check};
use crate::matchers::Matchers;
use crate::time_interval::{Location, RecurringSettings, TimeIntervals};

section! {
    /// A silence.
    pub struct SilenceSettings {
        /// The silence to change, by API.
        pub id: Option<String>,
        /// Which alerts, as with routes.
        pub matchers: Matchers,
        /// Its first moment. In a file, by default, it always was; by API it is now.
        pub starts_at: Option<Spanned<String>>,
        /// The moment it is over. One that recurs may be without.
        pub ends_at: Option<Spanned<String>>,
        /// In place of `ends_at`, by API.
        pub duration: Option<Spanned<HumanDuration>>,
        /// Recurring times; one of them, or of `intervals`, must hold.
        pub times: Vec<RecurringSettings> = Vec::new(),
        /// Names of time intervals; one of them, or of `times`, must hold.
        pub intervals: Vec<Spanned<String>> = Vec::new(),
        /// Whose clocks count for `starts_at`, `ends_at` and those `times` that have no location.
        pub location: Location = Location::default(),
        /// Who made it.
        pub created_by: Literal,
        /// What for.
        pub comment: Literal = Literal::default(),
    }
}

/// Keys that tell how a silence fares.
const SHOWN: [&str; 7] = [
    "status",
    "state",
    "holds",
    "declared",
    "source",
    "updatedAt",
    "annotations",
];

/// A silence that is written somewhere.
#[derive(Clone, Debug)]
pub struct SilenceSpec {
    settings: SilenceSettings,
    at: SourceLocation,
}

impl Decode for SilenceSpec {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let at = cx.at(node.pos);
        let value = match &node.value {
            Value::Map(entries) => Value::Map(entries.iter().filter_map(ours).collect()),
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

/// An entry under our name for it; `None` for what is only shown.
fn ours((key, node): &(Key, Node)) -> Option<(Key, Node)> {
    let text = match key.text.as_str() {
        "startsAt" => "starts_at",
        "endsAt" => "ends_at",
        "createdBy" => "created_by",
        shown if SHOWN.contains(&shown) => return None,
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

/// Reads the silences of the file at `path`, which holds `text`: a list, or what
/// `bellwether silence list --format json` prints. What is wrong goes to `problems`.
#[must_use]
pub fn read_silences(path: &Path, text: &str, problems: &mut Diagnostics) -> Vec<SilenceSpec> {
    let file: Arc<str> = path.display().to_string().into();
    let node = match parse(text) {
        Ok(node) => node,
        Err((pos, message)) => {
            problems.error(
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
    let before = problems.len();
    let mut cx = DecodeContext::of_file(problems, file);
    let read = match &node.value {
        Value::Null => None,
        Value::Map(_) => listed(&node, &mut cx),
        _ => Vec::decode(&node, &mut cx),
    };
    // What does not read is not judged as well.
    read.filter(|_| problems.len() == before)
        .unwrap_or_default()
}

/// What our own list shows.
fn listed(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Vec<SilenceSpec>> {
    let mut map = MapReader::open(node, cx)?;
    let silences = map.field("silences", None);
    map.finish();
    silences
}

impl SilenceSpec {
    /// Those of files as silences; what is wrong goes to `problems`.
    pub(crate) fn compile(
        all: &[Self],
        intervals: &TimeIntervals,
        problems: &mut Diagnostics,
    ) -> Vec<Silence> {
        let mut compiled: Vec<Silence> = Vec::new();
        for one in all {
            let silence = one.silence(intervals, problems);
            if let Some(same) = compiled.iter().find(|other| other.id == silence.id) {
                let place = same.source.as_deref().unwrap_or_default();
                problems.error(&one.at, format!("the same silence stands at {place}"));
            }
            compiled.push(silence);
        }
        compiled
    }

    fn silence(&self, intervals: &TimeIntervals, problems: &mut Diagnostics) -> Silence {
        let Self { settings, at } = self;
        if let Some(duration) = &settings.duration {
            problems
                .error(&duration.at, "a file does not know from when")
                .hint("say until when: ends_at: 2026-12-24T18:00:00Z");
        }
        let draft = self.draft(UnixMillis(0), problems);
        let starts_at = draft.starts_at.unwrap_or(UnixMillis(0));
        if let Err(error) = check(&draft, starts_at, UnixMillis(0)) {
            problems.error(at, error.to_string());
        }
        let place = at.file.as_deref().unwrap_or_default();
        Silence {
            id: identity(&draft),
            rules: None,
            starts_at,
            times: draft.recurs.compile(intervals, problems),
            source: Some(format!("{place}:{}", at.pos.line).into()),
            matchers: draft.matchers,
            ends_at: draft.ends_at,
            created_by: draft.created_by,
            comment: draft.comment,
            updated_at: UnixMillis(0),
            recurs: draft.recurs,
        }
    }

    /// What is wanted where it is `now`; what is wrong goes to `problems`.
    fn draft(&self, now: UnixMillis, problems: &mut Diagnostics) -> SilenceDraft {
        let Self { settings, at } = self;
        let recurs = Recurs {
            times: settings.times.clone(),
            intervals: settings.intervals.clone(),
            location: settings.location.clone(),
        };
        let mut read = |text: &Option<Spanned<String>>| {
            text.as_ref()
                .and_then(|text| moment(text, &settings.location, problems))
        };
        let (starts_at, ends_at) = (read(&settings.starts_at), read(&settings.ends_at));
        let from = starts_at.unwrap_or(now).max(now);
        if let (Some(_), Some(duration)) = (&settings.ends_at, &settings.duration) {
            problems
                .error(&duration.at, "both ends_at and duration")
                .hint("keep one");
        }
        if settings
            .duration
            .as_ref()
            .is_some_and(|duration| duration.is_zero())
        {
            problems
                .error(at, "duration: 0")
                .hint("30m, 2h or 1d12h, say");
        }
        if settings.ends_at.is_none() && settings.duration.is_none() && recurs.is_always() {
            problems.error(at, "it does not say when it ends").hint(
                "give ends_at, or duration by API; one that recurs, by times or intervals, may go without",
            );
        }
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
}

/// The same as long as it says the same.
fn identity(draft: &SilenceDraft) -> String {
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
        // Plain data: there is nothing in it that could fail to serialize.
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
    /// What a body of JSON asks for, `now`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &[u8], now: UnixMillis) -> Result<Self, String> {
        let written: SilenceSpec = from_json(body)?;
        let mut problems = Diagnostics::default();
        let draft = written.draft(now, &mut problems);
        sound(draft, problems)
    }
}

/// Settings in JSON.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn from_json<T: Decode>(json: &[u8]) -> Result<T, String> {
    let value: serde_json::Value =
        serde_json::from_slice(json).map_err(|error| error.to_string())?;
    // Written anew, as YAML does not have every escape of JSON.
    let node = parse(&value.to_string()).map_err(|(_, message)| message)?;
    let mut problems = Diagnostics::default();
    match T::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None)) {
        Some(settings) => sound(settings, problems),
        None => Err(in_words(problems)),
    }
}

/// It, unless something is wrong.
pub(super) fn sound<T>(value: T, problems: Diagnostics) -> Result<T, String> {
    if problems.is_empty() {
        Ok(value)
    } else {
        Err(in_words(problems))
    }
}

/// Without places, which JSON on one line does not have.
fn in_words(problems: Diagnostics) -> String {
    let one = |problem: &bellwether_schema::Diagnostic| {
        let path = if problem.at.path.is_empty() { "" } else { ": " };
        let hint = problem
            .hint
            .as_ref()
            .map(|hint| format!(" ({hint})"))
            .unwrap_or_default();
        format!("{}{path}{}{hint}", problem.at.path, problem.message)
    };
    problems
        .into_sorted()
        .iter()
        .map(one)
        .collect::<Vec<_>>()
        .join("; ")
}

//! A report as a message for channels.

use bellwether_core::UnixMillis;
use bellwether_notify::{Bulletin, Document};

use super::{Report, ReportSettings, digest, duration, instant, strftime};

/// Returns the message with the report `settings` that was due at `due`. Its text is the digest, its document the
/// report in its format.
///
/// # Errors
/// The report has a number that cannot be expressed.
pub fn bulletin(
    settings: &ReportSettings,
    report: &Report,
    due: UnixMillis,
) -> Result<Bulletin, serde_json::Error> {
    let name = &settings.name.value;
    let time = strftime(due, "%Y-%m-%dT%H%MZ");
    let range = duration(report.seconds());
    let times = format!("{} to {} UTC", instant(report.from), instant(report.to));
    let sentences = digest(report).into_iter();
    let sentences = sentences.map(|verdict| format!("- {}\n", verdict.text));
    Ok(Bulletin {
        id: format!("report/{name}/{time}"),
        topic: format!("report/{name}"),
        at: due,
        title: format!(
            "Report {name} of {}: {range} to {}",
            report.host,
            instant(report.to)
        ),
        text: format!("{times}\n\n{}", sentences.collect::<String>()),
        document: Some(Document {
            name: format!("{name}-{time}.{}", settings.format.ending()),
            content_type: settings.format.content_type().to_owned(),
            content: settings.format.format(report)?,
        }),
    })
}

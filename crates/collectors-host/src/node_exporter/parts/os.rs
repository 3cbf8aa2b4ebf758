//! Operating system, from `/etc/os-release` or `/usr/lib/os-release`.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::super::part::{Part, PartError, ProcFile, Run};
use super::super::settings::Setup;

/// Labels of `node_os_info`, which are the variables in lower case.
const LABELS: [&str; 12] = [
    "build_id",
    "id",
    "id_like",
    "image_id",
    "image_version",
    "name",
    "pretty_name",
    "variant",
    "variant_id",
    "version",
    "version_codename",
    "version_id",
];

struct Os(ProcFile);

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    let files = ["etc/os-release", "usr/lib/os-release"].map(|file| setup.root(file));
    Box::new(Os(ProcFile::first_of(files.into())))
}

impl Part for Os {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let text = self.0.optional()?;
        let variables: Vec<(String, String)> = text.lines().filter_map(variable).collect();
        let value = |label: &str| {
            let found = variables.iter().rfind(|(name, _)| name == label);
            found.map_or("", |(_, value)| value)
        };
        let help = "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, image_version, \
            name, pretty_name, variant, variant_id, version, version_codename, version_id.";
        let labels = LABELS.map(|label| (label, value(label)));
        run.out.gauge("node_os_info", help, &labels, 1.0);
        let version = major_minor(value("version_id"));
        if let Some(version) = version.filter(|version| *version > 0.0) {
            let labels = ["id", "id_like", "name"].map(|label| (label, value(label)));
            let help = "Metric containing the major.minor part of the OS version.";
            run.out.gauge("node_os_version", help, &labels, version);
        }
        if let Some(end) = timestamp(value("support_end")) {
            let help = "Metric containing the end-of-life date timestamp of the OS.";
            run.out
                .gauge("node_os_support_end_timestamp_seconds", help, &[], end);
        }
        Ok(())
    }
}

/// Parses `NAME="Debian GNU/Linux"`: the name in lower case, and the value without its quotes and escapes.
fn variable(line: &str) -> Option<(String, String)> {
    let (name, value) = line.trim().split_once('=')?;
    if name.starts_with('#') {
        return None;
    }
    let quote = value
        .chars()
        .next()
        .filter(|first| matches!(first, '"' | '\''));
    let value = match quote {
        Some(quote) => value.strip_prefix(quote)?.strip_suffix(quote)?,
        None => value,
    };
    let value = match quote {
        Some('\'') => value.to_owned(),
        _ => unescape(value),
    };
    Some((name.to_ascii_lowercase(), value))
}

fn unescape(value: &str) -> String {
    let mut characters = value.chars();
    let mut out = String::with_capacity(value.len());
    while let Some(character) = characters.next() {
        match character {
            '\\' => out.extend(characters.next()),
            character => out.push(character),
        }
    }
    out
}

/// Returns `20.04` of `20.04.1`.
fn major_minor(version: &str) -> Option<f64> {
    let mut dots = 0;
    let end = version.find(|character: char| {
        dots += usize::from(character == '.');
        !(character.is_ascii_digit() || (character == '.' && dots == 1))
    });
    let number = &version[..end.unwrap_or(version.len())];
    number.strip_suffix('.').unwrap_or(number).parse().ok()
}

/// Returns the begin of a day, in seconds since 1970.
fn timestamp(day: &str) -> Option<f64> {
    let day: Date = day.parse().ok()?;
    let begin = day.to_zoned(TimeZone::UTC).ok()?;
    Some(begin.timestamp().as_second() as f64)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};
    use super::*;

    #[test]
    fn variables_are_labels_and_the_version_is_a_number() {
        let release = "PRETTY_NAME=\"Ubuntu 20.04.2 LTS\"\nNAME='Ubuntu'\nVERSION_ID=\"20.04.2\"\nID=ubuntu\n# X=y\nHOME_URL=\"https://x/\"\nSUPPORT_END=2024-05-14\n";
        let host = Host::with(&[("root/usr/lib/os-release", release)]);
        let expected = [
            "node_os_info{id=\"ubuntu\", name=\"Ubuntu\", pretty_name=\"Ubuntu 20.04.2 LTS\", version_id=\"20.04.2\"} 1",
            "node_os_version{id=\"ubuntu\", name=\"Ubuntu\"} 20.04",
            "node_os_support_end_timestamp_seconds 1715644800",
        ];
        assert_eq!(collect(&host, "os", "").unwrap(), expected);
        for (version, number) in [
            ("12", Some(12.0)),
            ("", None),
            ("3.18.4_git", Some(3.18)),
            ("1.", Some(1.0)),
        ] {
            assert_eq!(major_minor(version), number, "{version}");
        }
    }
}

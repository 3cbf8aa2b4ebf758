//! mtail: programs that count what lines of logs say.
//!
//! Source: mtail, `docs/Language.md` and `internal/runtime/compiler/parser`.

mod lex;
mod metrics;
mod parse;
mod pattern;
mod scope;
mod terms;

use bellwether_schema::YamlError;

use self::metrics::Walk;
use super::draft::Draft;
use super::source::Source;
use super::yaml::{Map, Yaml};

/// Path of a log, where that of the flag `-logs` is not known.
const EXAMPLE: &str = "/var/log/syslog";
/// Keywords that declare a metric.
const KINDS: [&str; 6] = ["counter", "gauge", "timer", "text", "histogram", "hidden"];

pub(super) fn is(source: &Source<'_>) -> bool {
    let declares = |line: &str| {
        let mut words = line.split_whitespace();
        words.next().is_some_and(|word| KINDS.contains(&word))
            && words.next().is_some_and(|word| !word.ends_with(':'))
    };
    let mut lines = source.file.text.lines();
    lines.any(|line| declares(line) && !line.contains(": "))
}

pub(super) fn convert(sources: &[Source<'_>], draft: &mut Draft) -> Result<(), YamlError> {
    for source in sources {
        let program = parse::parse(source)?;
        let file = source.file.name.rsplit('/').next().unwrap_or_default();
        let (_, mut collector) = draft.collector(file.trim_end_matches(".mtail"), "log");
        let metrics = Walk::run(&program, &mut collector);
        draft.converted += metrics.len();
        if metrics.is_empty() {
            draft.give_up(collector);
            continue;
        }
        collector.put("enabled", Yaml::word(false));
        collector.complete(source.pos(0), "mtail has the paths of logs in its flag -logs: write them as files, and remove `enabled: false`");
        collector.put("files", Yaml::texts([EXAMPLE]));
        collector.put("labels", Map::of([("prog", file)]).into());
        collector.put("metrics", metrics.into());
        draft.push(collector);
    }
    Ok(())
}

//! Results as JUnit XML, which CI systems read.

use std::fmt::Write;

use super::{Tested, counts, differences};

/// Formats the whole document: one suite per file.
pub(super) fn report(all: &[Tested]) -> String {
    let (passed, failed, broken) = counts(all);
    let tests = passed + failed + broken;
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites name=\"bellwether test\" tests=\"{tests}\" failures=\"{failed}\" errors=\"{broken}\">"
    );
    for tested in all {
        suite(&mut out, tested);
    }
    out += "</testsuites>\n";
    out
}

fn suite(out: &mut String, tested: &Tested) {
    let (passed, failed, broken) = counts(std::slice::from_ref(tested));
    let file = escaped(&tested.file.display().to_string());
    let tests = passed + failed + broken;
    let took: f64 = tested
        .results
        .iter()
        .flatten()
        .map(|(_, took)| took.as_secs_f64())
        .sum();
    let _ = writeln!(
        out,
        "  <testsuite name=\"{file}\" tests=\"{tests}\" failures=\"{failed}\" errors=\"{broken}\" time=\"{took:.3}\">"
    );
    match &tested.results {
        Err(problems) => {
            let first = escaped(problems.lines().next().unwrap_or_default());
            let _ = writeln!(
                out,
                "    <testcase classname=\"{file}\" name=\"file\" time=\"0\">"
            );
            let _ = writeln!(
                out,
                "      <error message=\"{first}\">{}</error>",
                escaped(problems)
            );
            out.push_str("    </testcase>\n");
        }
        Ok(results) => {
            for (result, took) in results {
                let name = escaped(&result.name);
                let (line, took) = (result.at.pos.line, took.as_secs_f64());
                let _ = write!(
                    out,
                    "    <testcase classname=\"{file}\" name=\"{name}\" file=\"{file}\" line=\"{line}\" time=\"{took:.3}\""
                );
                if result.failures.is_empty() {
                    out.push_str("/>\n");
                    continue;
                }
                out.push_str(">\n");
                for failure in &result.failures {
                    let (title, text) =
                        (escaped(&failure.title), differences(&tested.file, failure));
                    let _ = writeln!(
                        out,
                        "      <failure message=\"{title}\">{}</failure>",
                        escaped(&text)
                    );
                }
                out.push_str("    </testcase>\n");
            }
        }
    }
    out.push_str("  </testsuite>\n");
}

/// Escapes text for XML; characters that XML cannot hold are replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

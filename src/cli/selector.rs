//! Selectors on the command line, in the forms of Prometheus and of amtool.

use anyhow::{Context, anyhow};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::parse_selector;
use bellwether_routing::Matchers;

/// Parses a selector, such as `up{job="web"}` or `{severity="critical"}`; matchers may also be without
/// braces and quotes: `severity=critical`. Returns alternatives, of which one has to match.
///
/// # Errors
/// It is neither; the error is that of `flag`.
pub(super) fn parse(flag: &str, text: &str) -> anyhow::Result<Vec<Vec<LabelMatcher>>> {
    match (parse_selector(text), Matchers::parse(text)) {
        (Ok(alternatives), _) => Ok(alternatives),
        (Err(_), Ok(matchers)) if is_bare(text) => Ok(vec![label_matchers(&matchers)]),
        (Err(error), _) => Err(anyhow!("{error}")).with_context(|| format!("{flag} {text}")),
    }
}

/// Parses selectors that are each an alternative.
///
/// # Errors
/// One is invalid.
pub(super) fn parse_all(flag: &str, texts: &[String]) -> anyhow::Result<Vec<Vec<LabelMatcher>>> {
    let mut all = Vec::new();
    for text in texts {
        all.extend(parse(flag, text)?);
    }
    Ok(all)
}

/// Returns the selector in PromQL's form.
///
/// # Errors
/// It is invalid.
pub(super) fn to_promql(flag: &str, text: &str) -> anyhow::Result<String> {
    parse(flag, text)?;
    match (parse_selector(text), Matchers::parse(text)) {
        (Err(_), Ok(matchers)) => Ok(matchers.to_string()),
        _ => Ok(text.to_owned()),
    }
}

fn is_bare(text: &str) -> bool {
    let text = text.trim_start();
    !text.is_empty() && !text.starts_with('{')
}

fn label_matchers(matchers: &Matchers) -> Vec<LabelMatcher> {
    let tests = matchers.iter().map(|(name, test)| LabelMatcher {
        name: name.into(),
        test: test.clone(),
    });
    tests.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_written_as_in_prometheus_or_without_braces() {
        for (text, promql) in [
            ("severity=critical", "{severity=\"critical\"}"),
            ("severity=\"critical\"", "{severity=\"critical\"}"),
            ("mount_point=~/data.*", "{mount_point=~\"/data.*\"}"),
            ("a=b,c!=d", "{a=\"b\",c!=\"d\"}"),
        ] {
            assert_eq!(to_promql("--match", text).unwrap(), promql, "{text}");
            let expected = parse("--match", promql).unwrap();
            assert_eq!(parse("--match", text).unwrap(), expected, "{text}");
        }
        for text in ["up", "up{job=\"web\"}", "{a=\"b\" or c=\"d\"}"] {
            assert_eq!(to_promql("--match", text).unwrap(), text);
            assert!(!parse("--match", text).unwrap().is_empty(), "{text}");
        }
        for bad in ["", "{a=}", "{severity=critical}", "a b", "a=~("] {
            let error = format!("{:#}", parse("--match", bad).unwrap_err());
            assert!(error.starts_with("--match "), "{bad}: {error}");
        }
    }
}

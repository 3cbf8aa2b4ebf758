//! The rule files that a test names.

use std::path::Path;

use bellwether_compat::RuleFile;
use bellwether_schema::{Diagnostics, Spanned};

use bellwether_agent::ruletest::Suite;
use bellwether_config as config;

/// Returns the rule files that `suite` in `file` names, each once.
pub(super) fn of_rules(file: &Path, suite: &Suite, problems: &mut Diagnostics) -> Vec<RuleFile> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut found = Vec::<RuleFile>::new();
    for Spanned { value: pattern, at } in suite.rule_files.iter() {
        let paths = match config::expanded(&folder.join(&pattern.0)) {
            Ok(paths) => paths,
            Err(error) => {
                problems.error(at, format!("not a pattern of names: {error}"));
                continue;
            }
        };
        if paths.is_empty() {
            problems
                .error(at, format!("no file matches {:?}", pattern.0))
                .hint("paths are relative to the file of the test");
        }
        for path in paths {
            if found.iter().any(|known| known.path == path) {
                continue;
            }
            match config::read(&path) {
                Ok(text) => found.push(RuleFile { path, text }),
                Err(error) => {
                    let message = format!("{}: {error}", path.display());
                    problems.error(at, message).hint_if(error.hint);
                }
            }
        }
    }
    found
}

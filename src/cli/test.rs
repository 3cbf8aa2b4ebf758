//! `bellwether test`: unit tests of rules. Exit status: 0 if all pass, 1 if one fails, 2 if one
//! cannot be run.

mod junit;
mod named;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bellwether_core::counted;
use bellwether_files as files;
use bellwether_promql::Guard;
use bellwether_runtime::Clock;
use bellwether_schema::{Diagnostic, Diagnostics};
use clap::Args;
use regex::Regex;

use bellwether_agent::ruletest::{self, Failure, Line, RulesUnderTest, TestResult};
use bellwether_config as config;

#[derive(Args)]
pub(super) struct Options {
    /// Test files, in the format of `promtool test rules` with extensions.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Run only tests whose name matches this regular expression.
    #[arg(long, value_name = "REGEX")]
    run: Option<Regex>,
    /// File to write the results to as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Results of one test file.
struct Tested {
    file: PathBuf,
    /// Tests with their durations, or the error because of which none could be run.
    results: Result<Vec<(TestResult, Duration)>, String>,
    /// Warnings about the rules.
    warnings: Vec<String>,
}

pub(super) fn run(options: &Options) -> ExitCode {
    let mut all = Vec::new();
    for file in &options.files {
        let (results, warnings) = match tested(file, options.run.as_ref()) {
            Ok((results, warnings)) => (Ok(results), warnings),
            Err(problems) => (Err(problems), Vec::new()),
        };
        let tested = Tested {
            file: file.clone(),
            results,
            warnings,
        };
        print(&tested);
        all.push(tested);
    }
    let (passed, failed, broken) = counts(&all);
    let mut unable = broken > 0;
    println!(
        "{passed} passed, {failed} failed{}",
        match broken {
            0 => String::new(),
            count => format!(", {} could not be run", counted(count, "file")),
        }
    );
    if let (Some(regex), 0, false) = (&options.run, passed + failed, unable) {
        eprintln!("bellwether: no test matches --run {regex}");
        unable = true;
    }
    if let Some(path) = &options.junit
        && let Err(error) = write(path, &junit::report(&all))
    {
        eprintln!("bellwether: cannot write {}: {error}", path.display());
        unable = true;
    }
    match (unable, failed) {
        (true, _) => ExitCode::from(2),
        (false, 0) => ExitCode::SUCCESS,
        (false, _) => ExitCode::FAILURE,
    }
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = files::Output::create(path)?;
    file.write_all(text.as_bytes())?;
    file.finish()
}

/// Tests with their durations, and warnings about the rules.
type Ran = (Vec<(TestResult, Duration)>, Vec<String>);

/// Runs the tests of a file and returns them with the warnings about its rules.
fn tested(file: &Path, wanted: Option<&Regex>) -> Result<Ran, String> {
    let text = config::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let suite = ruletest::read(&text).map_err(|problems| listed(file, &problems))?;
    let mut problems = Diagnostics::default();
    let rules = named::of_rules(file, &suite, &mut problems);
    if !problems.is_empty() {
        return Err(listed(file, &problems.into_sorted()));
    }
    let rules_under_test =
        RulesUnderTest::read(&rules, &suite, &config::read_files).map_err(|reports| {
            reports
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        })?;
    let clock = Clock::start();
    let numbers = (0..suite.tests.len()).filter(|number| {
        wanted.is_none_or(|regex| {
            regex.is_match(&ruletest::name(&suite.tests[*number].value, *number))
        })
    });
    let results = numbers
        .filter_map(|number| {
            let start = clock.now().mono;
            let result = ruletest::run(&suite, number, &rules_under_test, &Guard::default())?;
            Some((result, clock.now().mono.since(start)))
        })
        .collect();
    Ok((results, rules_under_test.warnings))
}

/// Formats diagnostics as `file:line:column: path: message`.
fn listed(file: &Path, problems: &[Diagnostic]) -> String {
    problems
        .iter()
        .map(|problem| problem.render(&file.display()))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Counts passed and failed tests, and files that could not be run.
fn counts(all: &[Tested]) -> (usize, usize, usize) {
    let results: Vec<_> = all
        .iter()
        .flat_map(|tested| tested.results.iter().flatten())
        .collect();
    let failed = results
        .iter()
        .filter(|(result, _)| !result.failures.is_empty())
        .count();
    let broken = all.iter().filter(|tested| tested.results.is_err()).count();
    (results.len() - failed, failed, broken)
}

fn print(tested: &Tested) {
    let file = tested.file.display();
    let results = match &tested.results {
        Ok(results) => results,
        Err(problems) => {
            println!("BAD  {file}");
            eprintln!("{problems}");
            return;
        }
    };
    for warning in &tested.warnings {
        println!("warning: {warning}");
    }
    for (result, _) in results {
        let word = if result.failures.is_empty() {
            "ok  "
        } else {
            "FAIL"
        };
        println!("{word} {file}: {}", result.name);
        for warning in &result.warnings {
            println!(
                "  warning: {}",
                differences(&tested.file, warning).trim_start()
            );
        }
        for failure in &result.failures {
            println!("{}", differences(&tested.file, failure));
        }
    }
}

/// Formats a failure: location, title and differences.
fn differences(file: &Path, failure: &Failure) -> String {
    let pos = failure.at.pos;
    let mut text = format!(
        "  {}:{}:{}: {}",
        file.display(),
        pos.line,
        pos.column,
        failure.title
    );
    for line in &failure.lines {
        let (mark, content) = match line {
            Line::Expected(content) => ("- expected", content),
            Line::Got(content) => ("+ got     ", content),
            Line::Note(content) => ("   ", content),
        };
        text += &format!("\n    {mark} {content}");
    }
    text
}

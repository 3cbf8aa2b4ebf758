//! `bellwether test`: unit tests of rules. Exit status: 0 all pass, 1 one fails, 2 one cannot be
//! run.

mod junit;
mod named;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bellwether_files as files;
use bellwether_runtime::Clock;
use bellwether_schema::{Diagnostic, Diagnostics};
use clap::Args;
use regex::Regex;

use crate::config;
use crate::ruletest::{self, Failure, Line, Subject, Verdict};

#[derive(Args)]
pub(super) struct Options {
    /// Files of tests, as `promtool test rules` takes them.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Only tests whose name this matches.
    #[arg(long, value_name = "REGEX")]
    run: Option<Regex>,
    /// Also write the result as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// What became of one file.
struct Tested {
    file: PathBuf,
    /// Its tests, and how long each took; or why none could be run.
    verdicts: Result<Vec<(Verdict, Duration)>, String>,
    /// What is odd about its rules.
    warnings: Vec<String>,
}

pub(super) fn run(options: &Options) -> ExitCode {
    let mut all = Vec::new();
    for file in &options.files {
        let (verdicts, warnings) = match tested(file, options.run.as_ref()) {
            Ok((verdicts, warnings)) => (Ok(verdicts), warnings),
            Err(problems) => (Err(problems), Vec::new()),
        };
        let tested = Tested {
            file: file.clone(),
            verdicts,
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
            1 => ", 1 file could not be run".to_owned(),
            count => format!(", {count} files could not be run"),
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

/// Each test with how long it took, and what is odd about the rules.
type Ran = (Vec<(Verdict, Duration)>, Vec<String>);

/// The tests of a file, and what is odd about its rules; or why none can be run.
fn tested(file: &Path, wanted: Option<&Regex>) -> Result<Ran, String> {
    let text =
        config::read(file).map_err(|(message, _)| format!("{}: {message}", file.display()))?;
    let suite = ruletest::read(&text).map_err(|problems| listed(file, &problems))?;
    let mut problems = Diagnostics::default();
    let rules = named::of_rules(file, &suite, &mut problems);
    if !problems.is_empty() {
        return Err(listed(file, &problems.into_sorted()));
    }
    let subject = Subject::read(&rules, &suite, &config::read_files).map_err(|reports| {
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
    let verdicts = numbers.filter_map(|number| {
        let start = clock.now().mono;
        let verdict = ruletest::run(&suite, number, &subject)?;
        Some((verdict, clock.now().mono.since(start)))
    });
    let verdicts = verdicts.collect();
    Ok((verdicts, subject.warnings))
}

/// Diagnostics as `file:line:column: path: message`.
fn listed(file: &Path, problems: &[Diagnostic]) -> String {
    let line = |problem: &Diagnostic| problem.told(&file.display());
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Passed and failed tests, and files that could not be run.
fn counts(all: &[Tested]) -> (usize, usize, usize) {
    let verdicts = || {
        all.iter()
            .flat_map(|tested| tested.verdicts.iter().flatten())
    };
    let failed = verdicts()
        .filter(|(verdict, _)| !verdict.failures.is_empty())
        .count();
    let broken = all.iter().filter(|tested| tested.verdicts.is_err()).count();
    (verdicts().count() - failed, failed, broken)
}

fn print(tested: &Tested) {
    let file = tested.file.display();
    let verdicts = match &tested.verdicts {
        Ok(verdicts) => verdicts,
        Err(problems) => {
            println!("BAD  {file}");
            eprintln!("{problems}");
            return;
        }
    };
    for warning in &tested.warnings {
        println!("warning: {warning}");
    }
    for (verdict, _) in verdicts {
        let word = if verdict.failures.is_empty() {
            "ok  "
        } else {
            "FAIL"
        };
        println!("{word} {file}: {}", verdict.name);
        for warning in &verdict.warnings {
            println!(
                "  warning: {}",
                differences(&tested.file, warning).trim_start()
            );
        }
        for failure in &verdict.failures {
            println!("{}", differences(&tested.file, failure));
        }
    }
}

/// A failure in lines: where, what, and how it differs.
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
        let (mark, told) = match line {
            Line::Expected(told) => ("- expected", told),
            Line::Got(told) => ("+ got     ", told),
            Line::Note(told) => ("   ", told),
        };
        text += &format!("\n    {mark} {told}");
    }
    text
}

//! Runs the commands of a page in their order and compares what they print.

use std::collections::BTreeSet;
use std::env;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::allowed::{NOT_RUN, PROGRAMS};
use crate::lines;
use crate::pages::{Example, Page, Part};
use crate::placeholders;
use crate::world::{Outcome, World};

/// Time that a command which only reads has to show the expected output: alerts take seconds to fire.
const DEADLINE: Duration = Duration::from_secs(20);

/// Words of commands that change something. They run once; others run again until their output is right.
const CHANGES: [&str; 12] = [
    "add",
    "expire",
    "acknowledge",
    "ack",
    "import",
    "notify-test",
    "resend",
    "discard",
    "POST",
    "DELETE",
    "run",
    "create-blocks-from",
];

/// Findings of the run.
#[derive(Default)]
pub struct Report {
    /// Differences and errors.
    pub failures: Vec<String>,
    mentions: usize,
    ran: usize,
    compared: usize,
    updated: usize,
    not_run: Vec<String>,
    permissions: BTreeSet<&'static str>,
}

impl Report {
    /// Adds a failure at a line of a page.
    pub fn fail(&mut self, page: &str, line: usize, text: String) {
        println!("{page}:{line}: FAILED");
        self.failures.push(format!("{page}:{line}: {text}"));
    }

    /// Adds a failure for each permission not to run that no page needs.
    pub fn unused_permissions(&mut self) {
        for entry in NOT_RUN
            .iter()
            .filter(|entry| !self.permissions.contains(entry.part))
        {
            self.failures.push(format!(
                "tests/docs/allowed.rs: no page has {:?}",
                entry.part
            ));
        }
    }

    /// Prints failures, the lines that were not run, and one line with the numbers.
    pub fn print(&self) {
        for failure in &self.failures {
            println!("\n{failure}");
        }
        println!();
        for line in &self.not_run {
            println!("not run: {line}");
        }
        println!(
            "docs: {} commands run, {} outputs compared, {} updated, {} mentions parsed, {} not run, {} failed",
            self.ran,
            self.compared,
            self.updated,
            self.mentions,
            self.not_run.len(),
            self.failures.len()
        );
    }
}

/// Runs the commands of a page in a world of its own.
pub fn run(mut page: Page, report: &mut Report) {
    let mut world: Option<World> = None;
    let mut shift = Shift::default();
    for part in page.parts() {
        match part {
            Part::Mention(line, text) => {
                report.mentions += 1;
                for words in bellwether_commands(&text) {
                    if let Some(problem) = lines::problem(&words, true) {
                        report.fail(&page.name, line, format!("`{text}`: {problem}"));
                    }
                }
            }
            Part::File(name, text) => world.get_or_insert_with(World::new).write(&name, &text),
            Part::Run(example) => {
                let world = world.get_or_insert_with(World::new);
                run_example(&mut page, &example, world, &mut shift, report);
            }
        }
    }
    if shift.is_changed {
        page.save();
    }
}

/// Lines that updates added to the page so far.
#[derive(Default)]
struct Shift {
    lines: isize,
    is_changed: bool,
}

fn run_example(
    page: &mut Page,
    example: &Example,
    world: &mut World,
    shift: &mut Shift,
    report: &mut Report,
) {
    let Example { line, command, .. } = example;
    for words in bellwether_commands(command) {
        if let Some(problem) = lines::problem(&words, false) {
            report.fail(&page.name, *line, format!("{command}\n{problem}"));
            return;
        }
    }
    let entry = NOT_RUN
        .iter()
        .find(|entry| command.contains(entry.part) && !command.starts_with("sudo bellwether"));
    if let Some(entry) = entry {
        report.permissions.insert(entry.part);
        report
            .not_run
            .push(format!("{}:{line}: {command}: {}", page.name, entry.why));
        return;
    }
    let programs = programs(command);
    if let Some(other) = programs.iter().find(|it| !PROGRAMS.contains(&it.as_str())) {
        let text = format!(
            "{command}\n{other} is not in PROGRAMS of tests/docs/allowed.rs, nor the line in NOT_RUN"
        );
        report.fail(&page.name, *line, text);
        return;
    }
    if let Some(program) = missing_program(programs) {
        report.not_run.push(format!(
            "{}:{line}: {command}: {program} is not installed",
            page.name
        ));
        return;
    }
    println!("{}:{line}: {command}", page.name);
    world.before(&page.name, command);
    report.ran += 1;
    let Some(shown) = &example.output else {
        let outcome = settled(command, world, |outcome| outcome.is_good);
        if !outcome.is_good {
            report.fail(&page.name, *line, format!("{command}\n{}", outcome.text));
        }
        return;
    };
    let start = shown.start.checked_add_signed(shift.lines).unwrap();
    let shown = start..start + shown.len();
    let expected: Vec<String> = page.lines[shown.clone()].to_vec();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    let is_expected = |outcome: &Outcome| {
        placeholders::matches(&expected, &outcome.text.lines().collect::<Vec<_>>())
    };
    let outcome = settled(command, world, is_expected);
    report.compared += 1;
    if is_expected(&outcome) {
        world.learn(&expected.join("\n"), &outcome.text);
    } else if env::var_os("UPDATE_EXPECTED").is_some() {
        let lines: Vec<String> = outcome.text.lines().map(str::to_owned).collect();
        shift.lines += lines.len().cast_signed() - shown.len().cast_signed();
        shift.is_changed = true;
        report.updated += 1;
        page.lines.splice(shown, lines);
    } else {
        let wanted: Vec<String> = expected
            .iter()
            .map(|line| placeholders::replace(line))
            .collect();
        let text: Vec<String> = outcome.text.lines().map(placeholders::replace).collect();
        report.fail(
            &page.name,
            *line,
            format!(
                "{command}\n--- the page has\n{}\n--- the command printed\n{}\n--- before words were put in\n{}",
                wanted.join("\n"),
                text.join("\n"),
                outcome.text
            ),
        );
    }
}

/// Runs a command, again and again until its outcome is right if it only reads.
fn settled(command: &str, world: &mut World, is_right: impl Fn(&Outcome) -> bool) -> Outcome {
    let changes = lines::commands(command)
        .iter()
        .flatten()
        .any(|word| CHANGES.contains(&word.as_str()));
    let start = Instant::now();
    loop {
        let outcome = world.run(command);
        if changes || is_right(&outcome) || start.elapsed() > DEADLINE {
            return outcome;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The commands of Bellwether in a line.
fn bellwether_commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = lines::commands(&line.replace("sudo bellwether", "bellwether"));
    commands.retain(|words| Path::new(&words[0]).ends_with("bellwether"));
    commands
}

/// The programs of a line.
fn programs(line: &str) -> Vec<String> {
    lines::commands(&line.replace("sudo bellwether", "bellwether"))
        .into_iter()
        .map(|mut words| words.swap_remove(0))
        .collect()
}

fn missing_program(programs: Vec<String>) -> Option<String> {
    let is_there = |program: &str| {
        program == "bellwether"
            || program.ends_with("/bellwether")
            || env::split_paths(&env::var_os("PATH").unwrap_or_default())
                .any(|folder| folder.join(program).exists())
    };
    programs.into_iter().find(|program| !is_there(program))
}

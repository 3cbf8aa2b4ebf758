//! Rules beside Prometheus: random rules over random series, here and in promtool, must give the
//! same alerts in the same minutes.
//!
//! `PROMTOOL_SEED=7` draws the cases of that seed again; without it each run has cases of its own.
//! A case that differs is made as small as it goes before it is shown.

use std::fmt::Debug;
use std::hash::{BuildHasher, RandomState};
use std::process::Command;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

mod queries;
mod series;

/// Cases that one run of promtool evaluates.
const BATCH: usize = 50;
/// Runs of promtool.
const BATCHES: usize = 5;
/// Attempts to make a case smaller.
const ATTEMPTS: usize = 200;

/// Results of Bellwether for some cases, as files for promtool.
struct Files {
    rules: String,
    /// Expects what Bellwether saw, in each minute.
    test: String,
    /// Minutes in which alerts fired, over all cases.
    firing: usize,
}

/// Asks promtool about cases from `strategy`. Returns their number if it agrees with `run` in
/// all of them; else fails with the smallest case that differs.
fn agree<S: Strategy>(strategy: &S, run: impl Fn(&[S::Value]) -> Files) -> Result<String, String>
where
    S::Value: Clone + Debug,
{
    let seed = std::env::var("PROMTOOL_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| RandomState::new().hash_one(()));
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut firing = 0;
    for _ in 0..BATCHES {
        let trees: Vec<_> = (0..BATCH)
            .map(|_| strategy.new_tree(&mut runner).expect("a case"))
            .collect();
        let cases: Vec<S::Value> = trees.iter().map(ValueTree::current).collect();
        let files = run(&cases);
        firing += files.firing;
        let Err(difference) = promtool(&files) else {
            continue;
        };
        let fails = |case: &S::Value| promtool(&run(std::slice::from_ref(case))).err();
        let smallest = trees.into_iter().find_map(|tree| smallest(tree, fails));
        return Err(format!(
            "promtool disagrees, PROMTOOL_SEED={seed}\n{smallest:?}\nthe first of the batch:\n{difference}"
        ));
    }
    assert!(
        firing > BATCH,
        "too little fires to compare: {firing} minutes, seed {seed}"
    );
    Ok(format!(
        "{} cases agree, {firing} minutes with alerts, seed {seed}",
        BATCH * BATCHES
    ))
}

/// The smallest case of `tree` that `fails`, with its difference.
fn smallest<T: ValueTree>(
    mut tree: T,
    fails: impl Fn(&T::Value) -> Option<String>,
) -> Option<(T::Value, String)> {
    let mut found = None;
    for _ in 0..ATTEMPTS {
        let case = tree.current();
        let more = match fails(&case) {
            Some(difference) => {
                found = Some((case, difference));
                tree.simplify()
            }
            None => found.is_some() && tree.complicate(),
        };
        if !more {
            break;
        }
    }
    found
}

/// Runs promtool; its output is the error if it does not agree.
fn promtool(files: &Files) -> Result<(), String> {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("rules.yaml"), &files.rules).expect("written");
    std::fs::write(directory.path().join("test.yaml"), &files.test).expect("written");
    let output = Command::new("promtool")
        .args(["test", "rules", "test.yaml"])
        .current_dir(directory.path())
        .output()
        .expect("promtool is installed");
    let difference = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        Ok(())
    } else {
        Err(difference.chars().take(1_500).collect())
    }
}

#[test]
fn rules_over_series_of_the_store() {
    let difference = agree(&series::case(), series::run);
    println!(
        "{}",
        difference.unwrap_or_else(|difference| panic!("{difference}"))
    );
}

#[test]
fn rules_over_answers_of_history() {
    let difference = agree(&queries::case(), queries::run);
    println!(
        "{}",
        difference.unwrap_or_else(|difference| panic!("{difference}"))
    );
}

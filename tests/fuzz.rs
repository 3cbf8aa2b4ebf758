//! The fuzz targets over their corpora, and over inputs made from them by fixed seeds: what libFuzzer found once
//! stays found, without a nightly compiler.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../fuzz/targets.rs"]
mod targets;

use std::path::Path;

use fastrand::Rng;
use targets::{TARGETS, Target};

/// Stack of a worker thread of the agent: depth that passes here passes there.
const STACK: usize = 2 << 20;
/// Longest input that is made of shorter ones.
const LONGEST: usize = 4096;
/// What the grammars are made of.
const WORDS: &[&str] = &[
    "{{",
    "}}",
    "{%",
    "%}",
    "${",
    "$<",
    ":-",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "`",
    "\\",
    "\n",
    "- ",
    ": ",
    "#",
    " # ",
    "|",
    ",",
    "1e999",
    "-1",
    "NaN",
    "+Inf",
    "\u{0}",
    "é",
    "\u{202e}",
    "offset ",
    "[5m:1m]",
    "@ ",
    "by (",
    "rate(",
    "if ",
    "end",
    "range ",
    "# TYPE ",
    "# EOF\n",
    "&a ",
    "*a",
    "<<: ",
    "9999999999999999999",
];

/// Inputs that a target is tried with, beside its corpus: fewer where one is expensive.
fn count(name: &str) -> usize {
    match name {
        "configuration" | "alertmanager" | "rule_file" | "expansion" => 1_500,
        "log" | "block" => 1_000,
        "promql" => 4_000,
        _ => 6_000,
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// An input a few changes away from one of the corpus.
fn mutated(corpus: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
    let mut input = corpus[random.usize(..corpus.len())].clone();
    let longest = input.len().max(LONGEST);
    for _ in 0..random.usize(1..6) {
        let at = random.usize(..=input.len());
        let end = random.usize(at..=input.len());
        match random.u8(..7) {
            0 if at < input.len() => input[at] ^= 1 << random.u8(..8),
            1 => drop(input.drain(at..end)),
            2 => {
                let piece = input[at..end].to_vec();
                let times = random.usize(1..4);
                (0..times).for_each(|_| drop(input.splice(at..at, piece.iter().copied())));
            }
            3 => {
                let word = WORDS[random.usize(..WORDS.len())];
                let word = word.repeat(1 << random.u32(..8));
                input.splice(at..at, word.bytes());
            }
            4 => {
                let other = &corpus[random.usize(..corpus.len())];
                let from = random.usize(..=other.len());
                input.splice(at..end, other[from..].iter().copied());
            }
            5 => input.truncate(end),
            _ => input.insert(at, random.u8(..)),
        }
        input.truncate(longest);
    }
    input
}

fn run(&(name, target): &Target) {
    let corpus = corpus(name);
    corpus.iter().for_each(|input| target(input));
    let mut random = Rng::with_seed(9091);
    for number in 0..count(name) {
        let input = mutated(&corpus, &mut random);
        let survived = std::panic::catch_unwind(|| target(&input));
        assert!(
            survived.is_ok(),
            "{name}, input {number}: {:?}\nput it into fuzz/corpus/{name}/ and fix it",
            String::from_utf8_lossy(&input)
        );
    }
}

#[test]
fn no_input_of_any_target_panics() {
    for target in TARGETS {
        let thread = std::thread::Builder::new().name(target.0.to_owned()).stack_size(STACK);
        let ended = thread.spawn(move || run(target)).unwrap().join();
        assert!(ended.is_ok(), "{}: see above", target.0);
    }
}

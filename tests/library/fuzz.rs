//! The fuzz targets over their corpora, and over inputs made from them by fixed seeds: what libFuzzer found once
//! stays found, without a nightly compiler.

#[path = "../../fuzz/targets.rs"]
mod targets;

use std::path::Path;

use fastrand::Rng;
use targets::{TARGETS, Target};

/// Stack of a worker thread of the agent: depth that passes here passes there.
const STACK: usize = 2 << 20;
/// Longest input that is made of shorter ones.
const LONGEST: usize = 4096;
/// Tokens of the grammars, in the format of libFuzzer: a quoted text per line.
const DICTIONARY: &str = include_str!("../../fuzz/dictionary");

fn words() -> Vec<Vec<u8>> {
    let quoted = DICTIONARY
        .lines()
        .filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    quoted.map(unescaped).collect()
}

/// `\"`, `\\` and `\x0A` as what they stand for.
fn unescaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        let escaped = if byte == b'\\' {
            rest.next()
        } else {
            Some(byte)
        };
        bytes.push(match (byte, escaped.unwrap()) {
            (b'\\', b'x') => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            (_, byte) => byte,
        });
    }
    bytes
}

/// Inputs that a target is tried with, beside its corpus: fewer where one is expensive.
fn count(name: &str) -> usize {
    match name {
        "configuration" | "alertmanager" | "rule_file" | "expansion" => 7_500,
        "log" | "block" => 5_000,
        "convert" => 1_000,
        // Each compiles mappings.
        "statsd_lines" | "graphite" | "mapping_file" => 2_000,
        "promql" => 20_000,
        _ => 30_000,
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect()
}

/// An input a few changes away from one of the corpus.
fn mutated(corpus: &[Vec<u8>], words: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
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
                let word = &words[random.usize(..words.len())];
                // Mostly once: what nests is for depth, and depth is rejected early.
                let times = if random.u8(..8) == 0 {
                    1 << random.u32(..8)
                } else {
                    1
                };
                input.splice(at..at, word.repeat(times));
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
    let (words, mut random) = (words(), Rng::with_seed(9091));
    for number in 0..count(name) {
        let input = mutated(&corpus, &words, &mut random);
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
        let thread = std::thread::Builder::new()
            .name(target.0.to_owned())
            .stack_size(STACK);
        let ended = thread.spawn(move || run(target)).unwrap().join();
        assert!(ended.is_ok(), "{}: see above", target.0);
    }
}

#[test]
fn cargo_fuzz_finds_every_crate_that_the_targets_use() {
    let manifest = include_str!("../../fuzz/Cargo.toml");
    let imported = include_str!("../../fuzz/targets.rs").lines();
    let imported = imported.filter_map(|line| line.strip_prefix("use ")?.split_once("::"));
    let crates: Vec<String> = imported
        .map(|(name, _)| name.replace('_', "-"))
        .filter(|name| name != "std")
        .collect();
    assert!(crates.len() > 10, "{crates:?}");
    for name in crates {
        assert!(
            manifest.contains(&format!("\n{name} = ")),
            "{name} is not in fuzz/Cargo.toml"
        );
    }
}

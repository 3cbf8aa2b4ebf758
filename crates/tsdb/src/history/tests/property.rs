//! Random lives of a history against a simple model of it.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// Collections of some of the series, so many, at this interval.
    Collect {
        series: usize,
        count: usize,
        interval: i64,
    },
    /// Samples of some other series that have times of their own, from an age on, so many, at this interval; sent twice.
    Late {
        series: usize,
        count: usize,
        interval: i64,
        age: i64,
    },
    Jump(i64),
    Restart,
    Kill,
    Read {
        from: i64,
        to: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let interval = prop::sample::select(vec![1, 500, 1000, 15_000, 60_000, 1_800_000]);
    prop_oneof![
        6 => (1usize..6, 1usize..300, interval.clone()).prop_map(|(series, count, interval)| Step::Collect {
            series, count, interval
        }),
        3 => (1usize..3, 1usize..100, interval, 0..30 * HOUR).prop_map(|(series, count, interval, age)| Step::Late {
            series, count, interval, age
        }),
        2 => (-3 * HOUR..3 * HOUR).prop_map(Step::Jump),
        1 => prop::sample::select(vec![-400_000 * HOUR, 100_000 * HOUR]).prop_map(Step::Jump),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
        3 => (-9 * HOUR..9 * HOUR, 0..4 * HOUR).prop_map(|(from, length)| Step::Read {
            from, to: from + length
        }),
    ]
}

fn unlimited(folder: &TempDir) -> Options {
    Options {
        retention: Duration::MAX,
        ..options(folder)
    }
}

/// Number of the series of collections.
const COLLECTED: usize = 6;

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn a_history_answers_as_its_model(steps in prop::collection::vec(step(), 1..25)) {
        let mut folder = TempDir::new().unwrap();
        let (mut history, _) = History::open(unlimited(&folder), UnixMillis(START));
        let (mut model, mut now, mut number) = (Model::new(), START, 0);
        let mut last: BTreeMap<usize, i64> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Collect { series, count, interval } => {
                    let refs = refs(&history, series);
                    for _ in 0..count {
                        now += interval;
                        let mut samples = Vec::new();
                        for (index, series) in refs.iter().enumerate() {
                            number += 1;
                            let value = f64::from(number % 1000) / 100.0;
                            samples.push((*series, value));
                            // A second sample of the time of the last one is rejected.
                            if last.insert(index, now) != Some(now) {
                                let all = model.entry(named(index).to_string()).or_default();
                                all.insert(now, value.to_bits());
                            }
                        }
                        history.append(UnixMillis(now), &samples);
                    }
                }
                Step::Late { series, count, interval, age } => {
                    let mut samples = Vec::new();
                    for (index, series) in refs(&history, COLLECTED + series).into_iter().enumerate().skip(COLLECTED) {
                        let after_last = last.get(&index).map_or(i64::MIN, |last| last + 1);
                        let first = after_last.max(now - age);
                        for at in (0..count as i64).map(|step| first + step * interval) {
                            let value = value(index, at);
                            last.insert(index, at);
                            model.entry(named(index).to_string()).or_default().insert(at, value.to_bits());
                            samples.push(TimedSample { at: UnixMillis(at), series, value });
                        }
                    }
                    samples.reverse();
                    prop_assert_eq!(history.append_late(UnixMillis(now), &mut samples), 0);
                    let repeated = history.append_late(UnixMillis(now), &mut samples);
                    prop_assert_eq!(repeated, (series * (count - 1)) as u64);
                }
                Step::Jump(by) => now += by,
                Step::Restart | Step::Kill => {
                    prop_assert!(history.sync());
                    if matches!(step, Step::Kill) {
                        folder = { let copy = disk::killed(&folder); drop(history); copy };
                    } else {
                        drop(history);
                    }
                    let (opened, recovery) = History::open(unlimited(&folder), UnixMillis(now));
                    prop_assert!(recovery.losses.is_empty() && recovery.error.is_none());
                    prop_assert!(everything(&opened) == model);
                    history = opened;
                    // What was the last sample is forgotten, a repetition then overwrites.
                    now += 1;
                }
                Step::Read { from, to } => {
                    let mut expected = Model::new();
                    for (name, samples) in &model {
                        let part: BTreeMap<i64, u64> =
                            samples.range(now + from..=now + to).map(|(at, bits)| (*at, *bits)).collect();
                        if !part.is_empty() {
                            expected.insert(name.clone(), part);
                        }
                    }
                    prop_assert!(between(&history, now + from, now + to) == expected);
                }
            }
        }
        prop_assert!(everything(&history) == model);
        let (times, stats) = (model.values().flat_map(BTreeMap::keys), history.stats());
        prop_assert_eq!(stats.oldest, times.clone().min().copied().map(UnixMillis));
        prop_assert_eq!(stats.newest, times.max().copied().map(UnixMillis));
    }
}

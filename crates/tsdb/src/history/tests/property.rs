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
        6 => (1usize..6, 1usize..300, interval).prop_map(|(series, count, interval)| Step::Collect {
            series, count, interval
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
    }
}

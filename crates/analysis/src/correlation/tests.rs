use std::time::Duration;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_promql::SampledSeries;
use proptest::prelude::*;

use super::{Correlations, Grid, Kind, NoCorrelation, correlate};

const STEP: i64 = 15_000;
/// Four hours.
const CELLS: i64 = 720;

/// Deterministic uniform noise, -0.5 to 0.5.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    }

    /// A wave of no fixed length: each value hangs together with the next.
    fn wave(&mut self, persistence: f64) -> Vec<f64> {
        let mut value = 0.0;
        (0..CELLS)
            .map(|_| {
                value = value * persistence + self.next();
                value
            })
            .collect()
    }
}

fn series(name: &str, values: Vec<f64>) -> SampledSeries {
    let times = (0..values.len() as i64).map(|index| index * STEP).collect();
    SampledSeries {
        labels: LabelSet::new([("__name__", name)]),
        times,
        values,
    }
}

fn grid() -> Grid {
    Grid::over(
        UnixMillis(0),
        UnixMillis(CELLS * STEP),
        Duration::from_millis(STEP as u64),
    )
}

fn compare(target: &[f64], others: Vec<SampledSeries>) -> Correlations {
    let target = series("target", target.to_vec());
    correlate(&target, &others, grid(), 10, 10).unwrap()
}

#[test]
fn the_one_that_follows_is_found_with_its_lag_and_sign() {
    let mut noise = Noise(1);
    let target = noise.wave(0.9);
    let late = |lag: usize, sign: f64, noise: &mut Noise| {
        (0..target.len())
            .map(|index| target[index.saturating_sub(lag)] * sign * 1e9 + noise.next() * 1e8)
            .collect::<Vec<_>>()
    };
    let mut others: Vec<SampledSeries> = (0..200)
        .map(|index| series(&format!("other{index}"), noise.wave(0.9)))
        .collect();
    others.push(series("late", late(4, 1.0, &mut noise)));
    others.push(series("against", late(0, -1.0, &mut noise)));
    others.push(series("target", target.clone()));
    others.push(series("constant", vec![7.0; 720]));
    others.push(series("gone", vec![f64::NAN; 720]));
    let answer = compare(&target, others);
    let names: Vec<&str> = answer
        .related
        .iter()
        .map(|related| related.labels.name())
        .collect();
    assert_eq!(names[..2].iter().copied().max(), Some("late"), "{names:?}");
    let of = |name: &str| {
        answer
            .related
            .iter()
            .find(|r| r.labels.name() == name)
            .unwrap()
    };
    assert_eq!((of("late").lag, of("against").lag), (4, 0), "{answer:?}");
    assert!(
        of("late").coefficient > 0.8 && of("against").coefficient < -0.8,
        "{answer:?}"
    );
    assert!(
        of("late").significant && of("against").significant,
        "{answer:?}"
    );
    let chance = answer
        .related
        .iter()
        .filter(|related| related.significant)
        .count();
    assert!(chance <= 3, "{answer:?}");
    assert_eq!((answer.compared, answer.left_out), (202, 2));
}

fn trend(slope: f64, noise: &mut Noise) -> Vec<f64> {
    (0..720)
        .map(|index| f64::from(index) * slope + noise.next())
        .collect()
}

#[test]
fn two_trends_and_two_walks_are_no_relation() {
    let mut noise = Noise(2);
    let target = trend(0.1, &mut noise);
    let others = (0..50)
        .map(|i| series(&format!("trend{i}"), trend(0.3, &mut noise)))
        .collect();
    let answer = compare(&target, others);
    assert!(
        answer.related.iter().filter(|r| r.significant).count() <= 1,
        "{answer:?}"
    );
    let walk = noise.wave(1.0);
    let others = (0..200)
        .map(|i| series(&format!("walk{i}"), noise.wave(1.0)))
        .collect();
    let answer = compare(&walk, others);
    assert!(
        answer.related.iter().filter(|r| r.significant).count() <= 3,
        "{answer:?}"
    );
}

fn jump(at: i64, noise: &mut Noise) -> Vec<f64> {
    (0..CELLS)
        .map(|index| if index < at { 10.0 } else { 90.0 } + noise.next())
        .collect()
}

#[test]
fn a_jump_that_many_share_is_seen_and_one_alone_may_be_chance() {
    let mut noise = Noise(3);
    let target = jump(400, &mut noise);
    let mut others: Vec<SampledSeries> = (0..30)
        .map(|i| series(&format!("with{i}"), jump(400, &mut noise)))
        .collect();
    others.extend((0..100).map(|i| series(&format!("quiet{i}"), noise.wave(0.5))));
    let answer = compare(&target, others);
    assert!(
        answer
            .related
            .iter()
            .all(|r| r.labels.name().starts_with("with")),
        "{answer:?}"
    );
    let first = &answer.related[0];
    assert!(
        first.significant && first.kind == Kind::Changes && first.lag == 0,
        "{first:?}"
    );
    let mut others: Vec<SampledSeries> = (0..100)
        .map(|i| series(&format!("quiet{i}"), noise.wave(0.5)))
        .collect();
    others.push(series("near", jump(403, &mut noise)));
    let answer = compare(&target, others);
    let near = answer
        .related
        .iter()
        .find(|r| r.labels.name() == "near")
        .unwrap();
    assert!(!near.significant, "{near:?}");
}

#[test]
fn counters_are_compared_by_their_increase() {
    let mut noise = Noise(4);
    let rate: Vec<f64> = noise.wave(0.9).iter().map(|value| value.abs()).collect();
    let mut total = 0.0;
    let counter = rate.iter().map(|rate| {
        total += rate;
        total
    });
    let answer = compare(&rate, vec![series("counter", counter.collect())]);
    assert!(
        answer.related[0].coefficient > 0.95 && answer.related[0].lag == 0,
        "{answer:?}"
    );
}

fn ask(values: Vec<f64>, grid: Grid) -> NoCorrelation {
    let other = [series("other", Noise(5).wave(0.5))];
    correlate(&series("target", values), &other, grid, 10, 5).unwrap_err()
}

#[test]
fn what_cannot_be_compared_says_why() {
    assert_eq!(ask(vec![], grid()), NoCorrelation::TooFewSamples);
    assert_eq!(ask(vec![1.0; 300], grid()), NoCorrelation::TooFewSamples);
    assert_eq!(ask(vec![1.0; 720], grid()), NoCorrelation::Constant);
    assert_eq!(
        ask((0..720).map(f64::from).collect(), grid()),
        NoCorrelation::Constant
    );
    let short = Grid::over(
        UnixMillis(0),
        UnixMillis(10 * STEP),
        Duration::from_millis(STEP as u64),
    );
    assert_eq!(
        ask(vec![1.0; 9], short),
        NoCorrelation::TooShort { have: 10 }
    );
}

#[test]
fn a_grid_fits_the_samples_and_has_an_end() {
    let day = Grid::over(
        UnixMillis(0),
        UnixMillis(86_400_000),
        Duration::from_secs(15),
    );
    assert_eq!((day.step, day.cells), (120_000, 720));
    let hour = Grid::over(
        UnixMillis(0),
        UnixMillis(3_600_000),
        Duration::from_secs(15),
    );
    assert_eq!((hour.step, hour.cells), (15_000, 240));
    assert_eq!(
        Grid::over(UnixMillis(5), UnixMillis(0), Duration::ZERO).cells,
        0
    );
}

proptest! {
    #[test]
    fn nothing_panics_and_coefficients_are_coefficients(
        target in prop::collection::vec(any::<f64>(), 0..100),
        other in prop::collection::vec(any::<f64>(), 0..100),
    ) {
        let grid = Grid::over(UnixMillis(0), UnixMillis(60 * STEP), Duration::from_millis(STEP as u64));
        let others = [series("other", other)];
        if let Ok(answer) = correlate(&series("target", target), &others, grid, 10, 5) {
            for related in answer.related {
                prop_assert!((-1.0..=1.0).contains(&related.coefficient), "{:?}", related);
                prop_assert!((0.0..=1.0).contains(&related.p_value), "{:?}", related);
            }
        }
    }
}

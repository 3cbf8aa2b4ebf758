//! Quality of the seasonal forecast, beside "as a day before", and cost of forecasts and correlations.
//!
//! `cargo bench --bench forecast`. Quality: sMAPE over 48 hours on the hourly series of the M4
//! competition, in `../shared/data` or `BELLWETHER_TEST_DATA`. The combination and its figures were
//! chosen on hours held back from the known part; the part that came then only scores it. What rules
//! would have shown for disks that are made here and of the recorded series: how often it came within
//! the band. How far ahead rules warn of disks that fill on a daily wave, beside `predict_linear`.

// The macros of criterion make undocumented functions.
#![allow(missing_docs, clippy::print_stdout)]

#[path = "../tests/support/backtest.rs"]
mod backtest;
#[path = "../tests/support/fills.rs"]
mod fills;
#[path = "../tests/support/m4.rs"]
mod m4;
#[path = "../tests/support/nab.rs"]
mod nab;

use std::hint::black_box;
use std::time::Duration;

use backtest::{Backtest, Tally};
use bellwether_analysis::correlation::{Grid, correlate};
use bellwether_analysis::forecast::{continue_hours, last_day, linear};
use bellwether_core::{LabelSet, UnixMillis};
use bellwether_promql::SampledSeries;
use criterion::{Criterion, criterion_group, criterion_main};

fn quality(_: &mut Criterion) {
    let all = match m4::hourly() {
        Ok(all) => all,
        Err(missing) => return println!("seasonal forecast not scored, {missing}"),
    };
    let (mut offered, mut ours, mut naive) = (0, 0.0, 0.0);
    let (mut inside, mut hours) = (0_usize, 0_usize);
    for series in &all {
        let last = last_day(&series.known);
        naive += m4::smape(&series.came, &last);
        let season = continue_hours(&series.known, 48);
        offered += usize::from(season.is_ok());
        for (hour, came) in series.came.iter().enumerate() {
            let Some((low, high)) = season.as_ref().ok().and_then(|season| season.band(hour))
            else {
                continue;
            };
            inside += usize::from((low..=high).contains(came));
            hours += 1;
        }
        ours += m4::smape(&series.came, &season.map_or(last, |season| season.values));
    }
    let count = all.len();
    println!(
        "M4 hourly, 48 hours ahead, {count} series: sMAPE {:.2}, as a day before {:.2}; \
         offered for {offered}, the others count as a day before; bands of 90 % hold {:.1} %",
        ours / count as f64,
        naive / count as f64,
        100.0 * inside as f64 / hours as f64,
    );
}

/// Target of a forecast of a recorded series: near its highest value.
fn near_the_top(values: &[f64]) -> f64 {
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    lowest + 0.95 * (highest - lowest)
}

fn warnings(_: &mut Criterion) {
    let mut all = Tally::default();
    let mut show = |name: &str, tally: Tally| {
        all.add(tally);
        let Tally { fired, held } = tally;
        println!("forecast rules, {name}: {fired} fired, {held} held their band");
    };
    for hours in [4, 24] {
        let within = Duration::from_secs(hours as u64 * 3600);
        for (name, values) in backtest::disks(3 * hours) {
            let tally = Backtest {
                step: 60_000,
                values: &values,
                target: 95.0,
                within,
            }
            .run(5);
            show(&format!("{name}, within {hours} h"), tally);
        }
        let mut tally = Tally::default();
        for series in m4::hourly().iter().flatten() {
            let values: Vec<f64> = series.known.iter().chain(&series.came).copied().collect();
            // By the hour a line of few hours has too few samples.
            let within = within.max(Duration::from_secs(12 * 3600));
            let target = near_the_top(&values);
            tally.add(
                Backtest {
                    step: 3_600_000,
                    values: &values,
                    target,
                    within,
                }
                .run(1),
            );
        }
        show(&format!("M4 hourly, within {} h", hours.max(12)), tally);
        let mut tally = Tally::default();
        for file in nab::files().iter().flatten() {
            let step = bellwether_analysis::report::interval(&file.times).as_millis() as i64;
            let target = near_the_top(&file.values);
            tally.add(
                Backtest {
                    step,
                    values: &file.values,
                    target,
                    within,
                }
                .run(6),
            );
        }
        show(&format!("NAB, within {hours} h"), tally);
    }
    println!(
        "forecast rules: {} fired, {:.1} % held their band",
        all.fired,
        all.share()
    );
}

/// Warnings of fills on a daily wave.
fn ahead(_: &mut Criterion) {
    let grid =
        [1, 2, 3, 6, 12].map(|days| (format!("grid, {days} days before"), fills::grid(days)));
    let random =
        [1, 2, 3, 4, 5].map(|seed| (format!("random, seed {seed}"), fills::random(seed, 200)));
    for (name, fills) in grid.into_iter().chain(random) {
        let report = |method: &str, outcomes: &[(usize, fills::Outcome)]| {
            let count = |of: &dyn Fn(&(usize, fills::Outcome)) -> bool| {
                outcomes.iter().filter(|outcome| of(outcome)).count()
            };
            println!(
                "fills on a wave, {name}, {method}: of {} {} later than half the horizon ahead, {} later \
                 than that and than an ideal observer, {} with alarms in the day before",
                outcomes.len(),
                count(&|(half, outcome)| outcome.alarm.is_none_or(|at| at + half > outcome.full)),
                count(&|(_, outcome)| outcome.late() > fills::EVERY),
                count(&|(_, outcome)| outcome.false_alarms > 0),
            );
        };
        let (mut ours, mut peers) = (Vec::new(), Vec::new());
        for fill in fills {
            let values = fill.values();
            let (half, minutes) = (fill.within * 30, fill.within * 60);
            let mut rule = fills::Rule::new(fill.horizon(), &values);
            ours.push((half, fill.run(&values, |at| rule.fires(at))));
            let range = rule.horizon.lookback().as_secs() as usize / 60;
            let peer = |at| fills::predict_linear(&values, at, range, minutes);
            peers.push((half, fill.run(&values, peer)));
        }
        report("forecast rule", &ours);
        report("predict_linear", &peers);
    }
}

/// Series of [`fills`] without their fill that have an alarm, by the day of it.
fn quiet(_: &mut Criterion) {
    let (mut first_day, mut later, mut count) = (0, 0, 0);
    for fill in (1..=3).flat_map(|seed| fills::random(seed, 200)) {
        let values = fill.quiet();
        let mut rule = fills::Rule::new(fill.horizon(), &values);
        let alarms: Vec<usize> = (10..values.len())
            .step_by(2 * fills::EVERY)
            .filter(|at| rule.fires(*at))
            .collect();
        count += 1;
        first_day += usize::from(alarms.first().is_some_and(|at| *at < fills::DAY));
        later += usize::from(alarms.last().is_some_and(|at| *at >= fills::DAY));
    }
    println!(
        "the same without the fill, random, three weeks: of {count} {first_day} with alarms on \
         the first day, {later} later"
    );
}

fn cost(criterion: &mut Criterion) {
    let times: Vec<i64> = (0..5760).map(|step| step * 15_000).collect();
    let wave = |step: i64| (step as f64 / 900.0).sin() + (step * 7919 % 101) as f64 / 50.0;
    let values: Vec<f64> = (0..5760)
        .map(|step| 60.0 + step as f64 * 0.002 + wave(step))
        .collect();
    criterion.bench_function("linear/day of 15 s", |bencher| {
        bencher.iter(|| linear(black_box(&times), &values, UnixMillis(5760 * 15_000), 95.0));
    });
    let hours: Vec<f64> = (0..672)
        .map(|hour| 50.0 + (hour % 24) as f64 + wave(hour))
        .collect();
    criterion.bench_function("seasonal/4 weeks", |bencher| {
        bencher.iter(|| continue_hours(black_box(&hours), 48));
    });
}

/// One against 500 others over a day at 15 s, ten steps of lag both ways; without reading them.
fn correlations(criterion: &mut Criterion) {
    let times: Vec<i64> = (0..5760).map(|step| step * 15_000).collect();
    let series = |index: usize| {
        let mut state = index as u64;
        let mut level = 0.0;
        let mut next = |_: &i64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(index as u64 | 1);
            level = level * 0.95 + (state >> 40) as f64 / 1e6;
            level
        };
        let values = times.iter().map(&mut next).collect();
        let labels = LabelSet::new([("__name__", format!("series_{index}"))]);
        SampledSeries {
            labels,
            times: times.clone(),
            values,
        }
    };
    let all: Vec<SampledSeries> = (0..501).map(series).collect();
    let grid = Grid::over(
        UnixMillis(0),
        UnixMillis(86_400_000),
        Duration::from_secs(15),
    );
    criterion.bench_function("correlations/500 series, a day at 15 s", |bencher| {
        bencher.iter(|| correlate(black_box(&all[0]), &all, grid, 10, 10));
    });
}

criterion_group!(benches, quality, warnings, ahead, quiet, cost, correlations);
criterion_main!(benches);

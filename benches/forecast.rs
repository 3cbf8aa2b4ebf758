//! How good the seasonal forecast is, beside "as a day before", and what forecasts cost.
//!
//! `cargo bench --bench forecast`. Quality: sMAPE over 48 hours on the hourly series of the M4
//! competition, in `../shared/data` or `BELLWETHER_TEST_DATA`. The combination and its figures were
//! chosen on hours held back from the known part; the part that came then only scores it.

// The macros of criterion make undocumented functions.
#![allow(missing_docs, clippy::print_stdout)]

#[path = "../tests/support/m4.rs"]
mod m4;

use std::hint::black_box;

use bellwether::analysis::forecast::{continue_hours, last_day, linear};
use bellwether::model::Wall;
use criterion::{Criterion, criterion_group, criterion_main};

fn quality(_: &mut Criterion) {
    let all = match m4::hourly() {
        Ok(all) => all,
        Err(missing) => return println!("seasonal forecast not scored, {missing}"),
    };
    let (mut offered, mut told, mut naive) = (0, 0.0, 0.0);
    for series in &all {
        let last = last_day(&series.known);
        naive += m4::smape(&series.came, &last);
        let season = continue_hours(&series.known, 48);
        offered += usize::from(season.is_ok());
        told += m4::smape(&series.came, &season.map_or(last, |season| season.values));
    }
    let count = all.len();
    println!(
        "M4 hourly, 48 hours ahead, {count} series: sMAPE {:.2}, as a day before {:.2}; \
         offered for {offered}, the others count as a day before",
        told / count as f64,
        naive / count as f64,
    );
}

fn cost(criterion: &mut Criterion) {
    let times: Vec<i64> = (0..5760).map(|step| step * 15_000).collect();
    let wave = |step: i64| (step as f64 / 900.0).sin() + (step * 7919 % 101) as f64 / 50.0;
    let values: Vec<f64> = (0..5760).map(|step| 60.0 + step as f64 * 0.002 + wave(step)).collect();
    criterion.bench_function("linear/day of 15 s", |bencher| {
        bencher.iter(|| linear(black_box(&times), &values, Wall(5760 * 15_000), 95.0));
    });
    let hours: Vec<f64> = (0..672).map(|hour| 50.0 + (hour % 24) as f64 + wave(hour)).collect();
    criterion.bench_function("seasonal/4 weeks", |bencher| {
        bencher.iter(|| continue_hours(black_box(&hours), 48));
    });
}

criterion_group!(benches, quality, cost);
criterion_main!(benches);

//! The seasonal forecast is offered because it beats "as a day before": here is where it does.

#[path = "../support/backtest.rs"]
mod backtest;
#[path = "../support/fills.rs"]
mod fills;
#[path = "../support/m4.rs"]
mod m4;

use std::time::Duration;

use backtest::{Backtest, Tally};
use bellwether_analysis::forecast::{continue_hours, last_day};

#[test]
fn the_seasonal_forecast_beats_the_last_day_again() {
    let all = match m4::hourly() {
        Ok(all) => all,
        Err(missing) => return eprintln!("not tested, {missing}"),
    };
    let (mut ours, mut naive) = (0.0, 0.0);
    for series in &all {
        let last = last_day(&series.known);
        let season = continue_hours(&series.known, 48).map_or(last.clone(), |season| season.values);
        ours += m4::smape(&series.came, &season) / all.len() as f64;
        naive += m4::smape(&series.came, &last) / all.len() as f64;
    }
    eprintln!(
        "sMAPE over {} series: {ours:.2}, the last day again {naive:.2}",
        all.len()
    );
    assert!(ours < naive, "{ours} against {naive}");
}

#[test]
fn bands_of_nine_in_ten_hold_as_many() {
    let all = match m4::hourly() {
        Ok(all) => all,
        Err(missing) => return eprintln!("not tested, {missing}"),
    };
    let (mut inside, mut hours) = (0, 0);
    for series in &all {
        // Also where hours of the known part are held back: all series end at one time.
        for back in [0, 48, 96, 168, 240] {
            let Some(end) = series.known.len().checked_sub(back) else {
                continue;
            };
            let Ok(season) = continue_hours(&series.known[..end], 48) else {
                continue;
            };
            let came = series.known[end..].iter().chain(&series.came).take(48);
            for (hour, came) in came.enumerate() {
                let (low, high) = season.band(hour).unwrap();
                inside += usize::from((low..=high).contains(came));
                hours += 1;
            }
        }
    }
    let share = 100.0 * inside as f64 / hours as f64;
    eprintln!("bands that say 90 % hold {share:.1} %");
    assert!((88.0..=92.0).contains(&share), "{share}");
}

#[test]
fn what_fires_before_a_disk_is_full_holds_its_band() {
    let mut all = Tally::default();
    for hours in [4, 24] {
        for (name, values) in backtest::disks(3 * hours) {
            let within = Duration::from_secs(hours as u64 * 3600);
            let result = Backtest {
                step: 60_000,
                values: &values,
                target: 95.0,
                within,
            }
            .run(60);
            eprintln!("{name}, within {hours} h: {result:?}");
            assert!(result.fired > 0, "{name}, within {hours} h: it never fired");
            all.add(result);
        }
    }
    assert!(all.share() >= 80.0, "{all:?}");
}

#[test]
fn a_fill_on_a_daily_wave_is_reported_when_it_can_be_known() {
    // Some of the cases of `benches/forecast.rs`.
    let grid = [1, 3, 6, 12].map(|days| fills::grid(days).into_iter().skip(days % 5).step_by(9));
    for fill in grid.into_iter().flatten() {
        let values = fill.values();
        let mut rule = fills::Rule::new(fill.horizon(), &values);
        let outcome = fill.run(&values, |at| rule.fires(at));
        assert_eq!(outcome.false_alarms, 0, "{fill:?}");
        assert!(outcome.late() <= fills::EVERY, "{fill:?}: {outcome:?}");
    }
}

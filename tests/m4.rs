//! The seasonal forecast is offered because it beats "as a day before": here is where it does.

#![allow(clippy::print_stderr)]

#[path = "support/m4.rs"]
mod m4;

use bellwether::analysis::forecast::{continue_hours, last_day};

#[test]
fn the_seasonal_forecast_beats_the_last_day_again() {
    let all = match m4::hourly() {
        Ok(all) => all,
        Err(missing) => return eprintln!("not tested, {missing}"),
    };
    let (mut told, mut naive) = (0.0, 0.0);
    for series in &all {
        let last = last_day(&series.known);
        let season = continue_hours(&series.known, 48).map_or(last.clone(), |told| told.values);
        told += m4::smape(&series.came, &season) / all.len() as f64;
        naive += m4::smape(&series.came, &last) / all.len() as f64;
    }
    eprintln!("sMAPE over {} series: {told:.2}, the last day again {naive:.2}", all.len());
    assert!(told < naive, "{told} against {naive}");
}

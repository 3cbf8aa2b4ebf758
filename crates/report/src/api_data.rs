//! Data of the API, as commands and reports read it.

use serde_json::Value;

/// Returns the items of a list.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Returns the values of a series of a range query at `count` steps from `start` on, both in seconds; `None` is a
/// gap, and so is a value that is not finite.
pub fn at_steps(series: &Value, start: f64, step: f64, count: usize) -> Vec<Option<f64>> {
    let mut values = vec![None; count];
    for sample in list(&series["values"]) {
        let place = sample[0].as_f64().map(|at| ((at - start) / step).round());
        let value = sample[1].as_str().and_then(|value| value.parse().ok());
        if let Some(place) = place.filter(|place| *place >= 0.0)
            && let Some(slot) = values.get_mut(place as usize)
        {
            *slot = value.filter(|value: &f64| value.is_finite());
        }
    }
    values
}

use super::*;

#[test]
fn what_was_appended_is_selected() {
    let history = History::in_memory(1);
    let up = LabelSet::new([("__name__", "up"), ("job", "x")]);
    let series = history.series_ref(&up).unwrap();
    assert_eq!(history.series_ref(&up), Some(series));
    assert_eq!(history.series_ref(&LabelSet::new([("__name__", "down")])), None);
    for second in 0..10 {
        history.append(Wall(second * 1000), &[(series, second as f64)]);
    }
    history.append(Wall(1000), &[(series, 0.0)]);
    assert_eq!(history.refused(), 2);
    let matchers = [LabelMatcher::equal("job", "x")];
    let guard = Guard::new(100);
    let selected = history.select(&matchers, Wall(2000), Wall(4500), &guard).unwrap();
    let expected = SampledSeries {
        labels: up.clone(),
        times: vec![2000, 3000, 4000],
        values: vec![2.0, 3.0, 4.0],
    };
    assert_eq!(selected, [expected]);
    assert_eq!(history.series(&matchers, Wall(0), Wall(0), &guard).unwrap(), [up]);
}

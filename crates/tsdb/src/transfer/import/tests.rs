use super::*;

fn read(text: &str, skip_bad: bool) -> Result<Imported, ImportError> {
    let mut import = Import::new(None, skip_bad, 3);
    import.read(&mut text.as_bytes(), &mut |_| {})?;
    let folder = tempfile::tempdir().unwrap();
    import.write(folder.path())
}

#[test]
fn both_forms_and_json_come_in() {
    for text in [
        "# TYPE up unknown\nup{job=\"x\"} 1 1.5\nup{job=\"y\"} 2 7200\nup{job=\"x\"} 3 0.5\n# EOF\n",
        "{__name__=\"up\", job=\"x\"} 1 1500\n{__name__=\"up\", job=\"y\"} 2 7200000\n\
         {__name__=\"up\", job=\"x\"} 3 500",
        "{\"metric\":{\"__name__\":\"up\",\"job\":\"x\"},\"values\":[1,3],\"timestamps\":[1500,500]}\r\n\
         {\"metric\":{\"__name__\":\"up\",\"job\":\"y\"},\"values\":[2],\"timestamps\":[7200000]}\r\n",
    ] {
        let done = read(text, false).unwrap();
        let span = Some((UnixMillis(500), UnixMillis(7_200_000)));
        let expected = Imported {
            samples: 3,
            series: 2,
            blocks: 2,
            span,
            ..Imported::default()
        };
        assert_eq!(done, expected, "{text}");
    }
}

#[test]
fn of_two_at_one_time_the_later_counts() {
    let done = read("up 1 1\nup 2 1\nup 3 1\nup 4 1\nup 5 1\n# EOF\n", false).unwrap();
    assert_eq!((done.samples, done.replaced), (1, 4));
}

#[test]
fn a_bad_line_is_reported_with_its_number() {
    for (text, expected) in [
        (
            "up 1 1\nup 1\n",
            "line 2: no time behind the value; hint: name{label",
        ),
        (
            "up 1 1700000000000\n",
            "line 1: its time is not in the years 1 to 9999; hint: times are seconds",
        ),
        (
            "up 1 1\n",
            "line 2: no # EOF at the end; hint: the file is truncated; --skip-bad",
        ),
        (
            "up 1 1\n# EOF\nup 2 2\n",
            "line 3: text after # EOF; hint: an OpenMetrics file ends",
        ),
        ("{\"metric\":{}}\n", "line 1: missing field `values`"),
    ] {
        let error = read(text, false).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
    let mut import = Import::new(None, false, 3);
    let error = import
        .read(&mut &b"up{a=\"\xFF\"} 1 1\n"[..], &mut |_| {})
        .unwrap_err();
    let expected = "line 1: not UTF-8; hint: the formats are OpenMetrics with times";
    assert!(error.to_string().starts_with(expected), "{error}");
}

#[test]
fn a_first_line_in_no_format_names_the_formats() {
    let import = |format, text: &str| {
        let mut import = Import::new(format, false, 3);
        let error = import.read(&mut text.as_bytes(), &mut |_| {}).unwrap_err();
        error.to_string()
    };
    for text in [
        "hello world\n",
        "up 1\n",
        "{\"a\": 1}\n",
        "# HELP up Up.\n<html>\n",
    ] {
        let error = import(None, text);
        assert!(error.ends_with(INPUT_FORMATS), "{error}");
    }
    // A format that is known has its own form.
    let open_metrics = Some(InputFormat::OpenMetrics);
    assert!(import(open_metrics, "hello world\n").ends_with(OPEN_METRICS));
    assert!(import(Some(InputFormat::Json), "{}\n").ends_with(JSON));
}

#[test]
fn bad_lines_can_be_left_out() {
    let done = read("up 1 1\nup x 2\nup{ 3 3\nup 4 4\n", true).unwrap();
    assert_eq!((done.samples, done.skipped, done.series), (2, 3, 1));
    assert_eq!(done.first_bad.unwrap().line, 2);
}

#[test]
fn an_export_with_any_names_comes_in_again() {
    let text =
        "# TYPE \"http.requests\" unknown\n{\"http.requests\",\"host-name\"=\"a\\n\"} 1 1\n# EOF\n";
    let done = read(text, false).unwrap();
    assert_eq!((done.samples, done.series), (1, 1));
    let quoted = "{\"a\\\":b\",x=\"y\"} 1 1\n# EOF\n";
    assert_eq!(read(quoted, false).unwrap().samples, 1);
    let dump = "{\"A.b\"=\"\\x01\", __name__=\"http.requests\"} 1 7\n";
    assert_eq!(read(dump, false).unwrap().samples, 1);
}

#[test]
fn a_single_nan_of_a_dump_ends_the_series() {
    let mut import = Import::new(None, false, 3);
    let dump = "{__name__=\"up\"} NaN 7\n{__name__=\"up\"} 1 8\n{__name__=\"up\"} NaN 9\n{__name__=\"up\"} NaN 10\n";
    import.read(&mut dump.as_bytes(), &mut |_| {}).unwrap();
    let folder = tempfile::tempdir().unwrap();
    import.write(folder.path()).unwrap();
    let (history, _) = History::open_read_only(folder.path());
    let (from, to) = (UnixMillis(0), UnixMillis(1000));
    let found =
        bellwether_promql::Queryable::select(&history, &[], from, to, &Default::default()).unwrap();
    let stale: Vec<bool> = found[0]
        .values
        .iter()
        .map(|value| SampledSeries::is_stale(*value))
        .collect();
    assert_eq!(stale, [true, false, false, false], "{found:?}");
    assert!(found[0].values[2].is_nan() && found[0].values[3].is_nan());
}

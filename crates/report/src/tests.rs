use super::csv::csv;
use super::html::html;
use super::markdown::markdown;
use super::testing::{HOSTILE, hostile, report};
use super::*;

#[test]
fn the_digest_says_what_a_manager_asks() {
    let sentences: Vec<String> = digest(&report())
        .into_iter()
        .map(|verdict| verdict.text)
        .collect();
    assert_eq!(
        sentences,
        [
            "The health score is 64 of 100, fair.",
            // Three hours and two: the second one of three hours covers the third alert.
            "3 alerts fired, 1 of them critical or worse. An alert was firing 2.98 % of the time; the longest, slow, for 3 h.",
            "1 alert is firing at the end, the worst: disk_full{mount_point=\"/data\"} (critical).",
            "disk_usage_percent{mount_point=\"/data\"} is at 91 and is going to reach 95 in 2 h.",
            "1 bottleneck, the worst: disk_full (91 % full). Grow it.",
            "1 series degraded and 0 improved; the first that degraded is latency.",
            "6 notifications delivered, 3 attempts failed.",
        ]
    );
    let calm = Report::default();
    assert_eq!(
        digest(&calm)[0],
        Verdict {
            tone: Tone::Good,
            text: "No alert fired.".into()
        }
    );
}

#[test]
fn a_page_has_every_section_and_no_script() {
    let page = html(&report());
    for section in [
        "Summary",
        "Health at the end",
        "Alerts",
        "Capacity",
        "Forecasts",
        "Bottlenecks at the end",
        "Trends",
        "Anomalies",
        "Metrics",
        "Not in this report",
    ] {
        assert!(page.contains(&format!("<h2>{section}</h2>")), "{section}");
    }
    for foreign in ["<script", "http://", "https://", "@import", "url(", "src="] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    // A gap makes two parts of the line, of which one is a point.
    assert_eq!(page.matches("<polyline").count(), 2);
}

#[test]
fn foreign_text_is_text_in_every_format() {
    let page = html(&hostile());
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
    assert!(!page.contains(HOSTILE));
    let text = markdown(&hostile());
    assert!(
        !text.replace("\\<", "").contains('<') && !text.contains("[x](") && !text.contains("\n=1")
    );
    let cells = text
        .lines()
        .filter(|line| line.starts_with("| ") && !line.contains("---"));
    for line in cells {
        let bars = line.replace("\\|", "").matches('|').count();
        assert!(bars <= 7, "{line}");
    }
    let table = csv(&hostile()).unwrap();
    assert!(!table.contains("\r\n=") && !table.contains(",="));
    let mut formula = report();
    formula.host = "=HYPERLINK(1)".into();
    assert!(csv(&formula).unwrap().contains("host,,,'=HYPERLINK(1)\r\n"));
}

#[test]
fn a_spreadsheet_gets_numbers_as_numbers() {
    let table = csv(&report()).unwrap();
    assert!(table.starts_with("section,item,field,value\r\n"));
    assert!(
        table.contains("alerts,\"disk_full{mount_point=\"\"/data\"\"}\",seconds,7200.0\r\n"),
        "{table}"
    );
    assert!(table.contains("health,,score,64.2\r\n"));
}

#[test]
fn an_empty_report_is_a_page_too() {
    let page = html(&Report::default());
    assert!(page.contains("No alert fired.") && page.ends_with("</html>\n"));
    assert!(markdown(&Report::default()).starts_with("# "));
}

#[test]
fn durations_have_two_units() {
    for (seconds, text) in [
        (5.0, "5 s"),
        (90.0, "2 min"),
        (3600.0, "1 h"),
        (5400.0, "1 h 30 min"),
        (90_000.0, "1 d 1 h"),
    ] {
        assert_eq!(duration(seconds), text);
    }
}

#[test]
fn each_section_is_a_table_with_the_same_columns_without_items() {
    let head = |report: &Report, name: &str| {
        let tables = tables(report).unwrap();
        let table = tables.into_iter().find(|table| table.name == name).unwrap();
        (
            table.text.lines().next().unwrap().to_owned(),
            table.text.lines().count(),
        )
    };
    let empty = head(&Report::default(), "capacity");
    let full = head(&report(), "capacity");
    assert_eq!(
        empty,
        ("before,daysLeft,now,perWeek,resource".to_owned(), 1)
    );
    assert_eq!(full.0, empty.0);
    assert_eq!(full.1, 1 + report().capacity.len());
    let text = tables(&hostile())
        .unwrap()
        .into_iter()
        .map(|table| table.text);
    assert!(
        text.into_iter().all(|text| !text.contains(",=")),
        "no cell is a formula"
    );
}

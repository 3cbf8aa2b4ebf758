//! Connections and requests of nginx, by its module `stub_status`
//! (<https://nginx.org/en/docs/http/ngx_http_stub_status_module.html>).

use std::collections::HashMap;

use bellwether_collector::fields::{Field, push_fields};
use bellwether_collector::{Build, EntryContext, EntryType};
use bellwether_core::SeriesBatch;
use bellwether_schema::section;

use crate::status_page::{Program, StatusPage};

section! {
    /// Collector of type `nginx`: the page of `stub_status`, under the metric names of nginx-prometheus-exporter.
    pub struct Nginx {
        #[serde(flatten)]
        pub page: StatusPage,
    }
}

impl EntryType for Nginx {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        let program = Program {
            up: "nginx_up",
            example: "http://127.0.0.1:8080/stub_status",
            parse,
        };
        self.page.resolve(program, context)
    }
}

/// Numbers of the page, in their order.
const NUMBERS: [&str; 7] = [
    "active", "accepts", "handled", "requests", "reading", "writing", "waiting",
];

const FIELDS: &[Field] = &[
    Field::gauge(
        "active",
        "nginx_connections_active",
        "Open connections of clients, those that are idle included.",
    ),
    Field::counter(
        "accepts",
        "nginx_connections_accepted",
        "Accepted connections of clients.",
    ),
    Field::counter(
        "handled",
        "nginx_connections_handled",
        "Handled connections; fewer than accepted ones if a limit such as worker_connections was reached.",
    ),
    Field::counter(
        "requests",
        "nginx_http_requests_total",
        "Requests of clients.",
    ),
    Field::gauge(
        "reading",
        "nginx_connections_reading",
        "Connections whose request header is being read.",
    ),
    Field::gauge(
        "writing",
        "nginx_connections_writing",
        "Connections whose response is being written.",
    ),
    Field::gauge(
        "waiting",
        "nginx_connections_waiting",
        "Idle connections that wait for a request.",
    ),
];

fn parse(page: &str, out: &mut SeriesBatch) -> Result<(), String> {
    let numbers: Vec<f64> = page
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    if !page.starts_with("Active connections:") || numbers.len() != NUMBERS.len() {
        let hint = "`location = /stub_status { stub_status; }` in nginx";
        return Err(format!("not a page of stub_status; hint: {hint}"));
    }
    let named: HashMap<&str, f64> = NUMBERS.into_iter().zip(numbers).collect();
    push_fields(FIELDS, |key| named.get(key).copied(), out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "Active connections: 291 \nserver accepts handled requests\n 16630948 16630940 31070465 \nReading: 6 Writing: 179 Waiting: 106 \n";

    #[test]
    fn a_page_has_its_numbers_in_their_order() {
        let mut out = SeriesBatch::default();
        parse(PAGE, &mut out).unwrap();
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(
            lines,
            [
                "nginx_connections_active 291",
                "nginx_connections_accepted 16630948",
                "nginx_connections_handled 16630940",
                "nginx_http_requests_total 31070465",
                "nginx_connections_reading 6",
                "nginx_connections_writing 179",
                "nginx_connections_waiting 106",
            ]
        );
    }

    #[test]
    fn another_page_is_an_error() {
        for page in ["", "<html>1 2 3 4 5 6 7</html>", &PAGE[..60]] {
            let mut out = SeriesBatch::default();
            assert!(parse(page, &mut out).is_err() && out.is_empty(), "{page}");
        }
    }
}

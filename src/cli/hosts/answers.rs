//! Answers of one host or of many, and their output.

use std::collections::HashMap;

use anyhow::bail;
use bellwether_core::counted;
use serde_json::{Value, json};

use crate::cli::asking::printable;
use crate::cli::client::Failure;
use crate::cli::form::{Layout, format_data, format_table};
use crate::cli::table::Table;

/// Maximum number of hosts that the summary names.
const NAMED: usize = 10;

/// Answer of one Bellwether, or those of many hosts in the order of the file.
pub(in crate::cli) enum Answers<T> {
    One(T),
    Many(Vec<HostAnswer<T>>),
}

/// Answer of one host.
pub(in crate::cli) struct HostAnswer<T> {
    pub(in crate::cli) host: String,
    pub(in crate::cli) answer: anyhow::Result<T>,
}

impl Answers<Value> {
    /// Puts the last answer of a host in place of a failure, marked as such, and remembers the others in
    /// `last`.
    pub(in crate::cli) fn keep_last(&mut self, last: &mut HashMap<String, Value>) {
        let Self::Many(answers) = self else { return };
        for HostAnswer { host, answer } in answers {
            match answer {
                Ok(data) => {
                    last.insert(host.clone(), data.clone());
                }
                Err(_) => {
                    if let Some(data) = last.get(host) {
                        *answer = Ok(data.clone());
                        host.push_str(" (no answer)");
                    }
                }
            }
        }
    }

    /// Returns whether all of many hosts answered null: none has what was asked for.
    pub(in crate::cli) fn is_on_no_host(&self) -> bool {
        let is_null = |answer: &HostAnswer<Value>| matches!(answer.answer, Ok(Value::Null));
        matches!(self, Self::Many(answers) if answers.iter().all(is_null))
    }

    /// Prints the answers: that of one Bellwether as `text` formats it, those of many as one table with
    /// a column for the host.
    ///
    /// # Errors
    /// A host failed.
    pub(in crate::cli) fn show(
        self,
        layout: Layout,
        table: impl Fn(&Value) -> Table,
        text: impl FnOnce(&Value) -> String,
        empty: &str,
    ) -> anyhow::Result<()> {
        match (&self, layout) {
            (Self::One(data), Layout::Text(_)) => print!("{}", text(data)),
            _ => print!("{}", self.format(layout, table, empty)),
        }
        self.summarize()
    }

    /// Formats the answers: as one table, or as data; those of many hosts with a column for the host.
    pub(in crate::cli) fn format(
        &self,
        layout: Layout,
        table: impl Fn(&Value) -> Table,
        empty: &str,
    ) -> String {
        match (self, layout) {
            (Self::One(data), Layout::Text(_) | Layout::Csv) => {
                format_table(layout, &table(data), empty)
            }
            // That there is nothing to list is not known.
            (Self::Many(_), Layout::Text(_)) if !self.has_answered() => String::new(),
            (Self::Many(answers), Layout::Text(_) | Layout::Csv) => {
                let none = |_: &anyhow::Error| table(&Value::Null);
                format_table(layout, &merged(answers, &table, none), empty)
            }
            (Self::One(data), _) => format_data(layout, data),
            (Self::Many(answers), _) => format_data(layout, &envelope(answers, Value::clone)),
        }
    }
}

impl<T> Answers<T> {
    /// Returns whether one of many hosts failed.
    pub(in crate::cli) fn has_failed(&self) -> bool {
        match self {
            Self::One(_) => false,
            Self::Many(answers) => answers.iter().any(|answer| answer.answer.is_err()),
        }
    }

    /// Returns whether there is an answer.
    pub(in crate::cli) fn has_answered(&self) -> bool {
        match self {
            Self::One(_) => true,
            Self::Many(answers) => answers.iter().any(|answer| answer.answer.is_ok()),
        }
    }

    /// Returns how many hosts answered, if there are many.
    pub(in crate::cli) fn summary(&self) -> Option<String> {
        match self {
            Self::One(_) => None,
            Self::Many(answers) => Some(summary(answers)),
        }
    }

    /// Prints how many hosts answered, if there are many.
    ///
    /// # Errors
    /// A host failed; the error has the summary.
    pub(in crate::cli) fn summarize(&self) -> anyhow::Result<()> {
        match self.summary() {
            Some(summary) if self.has_failed() => bail!("{summary}"),
            Some(summary) => eprintln!("{summary}"),
            None => {}
        }
        Ok(())
    }
}

/// Returns one table with a column for the host: `table` of the hosts that answered, and `failed` of
/// those that did not.
pub(in crate::cli) fn merged(
    answers: &[HostAnswer<Value>],
    table: impl Fn(&Value) -> Table,
    failed: impl Fn(&anyhow::Error) -> Table,
) -> Table {
    let tables = answers.iter().map(|HostAnswer { host, answer }| {
        let rows = match answer {
            Ok(data) => table(data),
            Err(error) => failed(error),
        };
        rows.with_first_column("HOST", host)
    });
    let merged = tables.reduce(|mut all, table| {
        all.append(table);
        all
    });
    merged.unwrap_or_else(|| table(&Value::Null).with_first_column("HOST", ""))
}

/// Returns the answers of many hosts as one value, each as `json` has it.
pub(in crate::cli) fn envelope<T>(answers: &[HostAnswer<T>], json: impl Fn(&T) -> Value) -> Value {
    let hosts: Vec<Value> = answers
        .iter()
        .map(|HostAnswer { host, answer }| match answer {
            Ok(data) => json!({ "host": host, "data": json(data) }),
            Err(error) => json!({ "host": host, "error": format!("{error:#}") }),
        })
        .collect();
    json!({ "hosts": hosts })
}

/// Formats a summary: `38 of 40 hosts answered; 2 failed: db3 (connection refused), web1 (...)`.
fn summary<T>(answers: &[HostAnswer<T>]) -> String {
    let failed: Vec<String> = answers
        .iter()
        .filter_map(|HostAnswer { host, answer }| {
            let error = answer.as_ref().err()?;
            Some(format!("{host} ({})", brief(error)))
        })
        .collect();
    let (all, answered) = (answers.len(), answers.len() - failed.len());
    let mut out = format!("{answered} of {} answered", counted(all, "host"));
    if failed.is_empty() {
        return out;
    }
    let named = failed.iter().take(NAMED).cloned().collect::<Vec<_>>();
    out += &format!("; {} failed: {}", failed.len(), named.join(", "));
    match failed.len().saturating_sub(NAMED) {
        0 => out,
        more => out + &format!(", and {more} more"),
    }
}

/// Formats an error in one line, without hint and without the address of the host.
pub(in crate::cli) fn brief(error: &anyhow::Error) -> String {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return printable(failure.brief());
    }
    let text = format!("{error:#}");
    let line = text.lines().next().unwrap_or_default();
    printable(line.split("; hint:").next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;
    use crate::cli::output::Screen;

    fn answers(all: &[(&str, Result<Value, &str>)]) -> Vec<HostAnswer<Value>> {
        let answers = all.iter().map(|(host, answer)| HostAnswer {
            host: (*host).to_owned(),
            answer: answer.clone().map_err(|error| anyhow!("{error}")),
        });
        answers.collect()
    }

    #[test]
    fn without_an_answer_nothing_is_said_about_alerts() {
        let layout = Layout::Text(Screen::default());
        let table = |_: &Value| Table::new(["ALERT"]);
        let text = |all: &[(&str, Result<Value, &str>)]| {
            Answers::Many(answers(all)).format(layout, table, "no alerts")
        };
        let failed = ("a", Err("connection refused"));
        assert_eq!(text(std::slice::from_ref(&failed)), "");
        assert_eq!(text(&[failed, ("b", Ok(json!({})))]), "no alerts\n");
    }

    #[test]
    fn a_host_that_fails_keeps_its_last_answer() {
        let mut last = HashMap::new();
        let mut look = |a: Result<Value, &str>| {
            let failed = Err("connection refused");
            let mut answers = Answers::Many(answers(&[("a", a), ("b", failed)]));
            answers.keep_last(&mut last);
            let Answers::Many(answers) = answers else {
                panic!("there are two hosts")
            };
            answers
                .into_iter()
                .map(|answer| (answer.host, answer.answer.ok()))
                .collect::<Vec<_>>()
        };
        let none = ("b".to_owned(), None);
        assert_eq!(look(Err("x")), [("a".to_owned(), None), none.clone()]);
        assert_eq!(
            look(Ok(json!(1))),
            [("a".to_owned(), Some(json!(1))), none.clone()]
        );
        for _ in 0..2 {
            let kept = ("a (no answer)".to_owned(), Some(json!(1)));
            assert_eq!(look(Err("x")), [kept, none.clone()]);
        }
        assert_eq!(look(Ok(json!(2))), [("a".to_owned(), Some(json!(2))), none]);
    }

    #[test]
    fn the_summary_names_those_that_failed_and_why() {
        let unanswered = |reason: &str| {
            let hint = "is it running?".to_owned();
            let reason = reason.to_owned();
            Failure::unanswered("http://db:9091", reason, "GET /".to_owned(), hint).into()
        };
        let answer = |host: &str, answer| HostAnswer {
            host: host.to_owned(),
            answer,
        };
        let all = [
            answer("db1", Ok(json!(1))),
            answer("db3", Err(unanswered("connection refused"))),
            answer("db4", Err(unanswered("TLS failed: no\u{1b}[2J"))),
            answer("db5", Err(anyhow!("no rule \"x\"; hint: y"))),
        ];
        assert_eq!(
            summary(&all),
            "1 of 4 hosts answered; 3 failed: db3 (connection refused), db4 (TLS failed: no\\u{1b}[2J), \
             db5 (no rule \"x\")"
        );
        assert_eq!(summary(&all[..1]), "1 of 1 host answered");
        let names: Vec<String> = (0..12).map(|number| format!("h{number}")).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), Err("x"))).collect();
        assert!(summary(&answers(&many)).ends_with("h9 (x), and 2 more"));
    }

    #[test]
    fn the_hosts_are_in_every_format() {
        let all = answers(&[("a", Ok(json!({"x": 1}))), ("b", Err("down"))]);
        assert_eq!(
            envelope(&all, Value::clone),
            json!({"hosts": [{"host": "a", "data": {"x": 1}}, {"host": "b", "error": "down"}]})
        );
        let table = |data: &Value| {
            let mut table = Table::new(["X"]);
            if !data.is_null() {
                table.push([data["x"].to_string().into()]);
            }
            table
        };
        let none = |_: &anyhow::Error| table(&Value::Null);
        assert_eq!(merged(&all, table, none).csv(), "host,x\r\na,1\r\n");
        assert!(merged(&answers(&[("b", Err("down"))]), table, none).is_empty());
    }
}

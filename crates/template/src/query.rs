//! Queries in templates, as in Prometheus: `query`, and the functions on its results.
//!
//! Runs no query. A template is rendered until all of its queries have results: a query without a
//! result ends the rendering, and the caller finds it in [`Answers`].

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use bellwether_core::Labels;
use minijinja::value::{Enumerator, Object, ObjectRepr, Rest};
use minijinja::{Environment, Error, Value, filters};
use parking_lot::Mutex;

use super::functions::{invalid, text};
use super::label_map::LabelMap;
use super::number;

/// The variable that holds the [`Answers`] of a rendering.
const ANSWERS: &str = "query_answers";

/// A label of series that holds a text, which only consoles of Prometheus set.
const TEXT: &str = "__value__";

/// Result of a query: series, each with a value.
#[derive(Debug)]
pub struct Samples(Vec<Value>);

impl Samples {
    /// Creates a value of `samples`; a missing label has the value `missing`.
    pub fn value(samples: impl IntoIterator<Item = (Labels, f64)>, missing: &'static str) -> Value {
        Value::from_object(Self(
            samples
                .into_iter()
                .map(|(labels, value)| {
                    Value::from_object(Sample {
                        labels: LabelMap::value(labels, missing),
                        value,
                    })
                })
                .collect(),
        ))
    }
}

impl Object for Samples {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, index: &Value) -> Option<Value> {
        self.0.get(index.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.0.len())
    }
}

/// One series of an answer.
#[derive(Debug)]
struct Sample {
    labels: Value,
    value: f64,
}

impl Object for Sample {
    fn get_value(self: &Arc<Self>, field: &Value) -> Option<Value> {
        match field.as_str()? {
            "labels" | "Labels" => Some(self.labels.clone()),
            "value" | "Value" => Some(number(Some(self.value))),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&["labels", "value"])
    }
}

/// Results of the queries of one or more templates at one time.
#[derive(Debug, Default)]
pub struct Answers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    answers: HashMap<String, Result<Value, String>>,
    /// Query that ended the last rendering.
    wanted: Option<String>,
    /// Result of all queries, when a template is only validated.
    made_up: Option<Value>,
}

impl Answers {
    /// Creates results for validation: one series for each query, with all labels `missing`.
    #[must_use]
    pub fn made_up(missing: &'static str) -> Self {
        let answer = Samples::value([(Labels::new(), 1.5)], missing);
        Self(Mutex::new(State {
            made_up: Some(answer),
            ..State::default()
        }))
    }

    /// Returns the query that the last rendering ended for.
    #[must_use]
    pub fn wanted(&self) -> Option<String> {
        self.0.lock().wanted.take()
    }

    /// Adds the answer of a query, or the error that ends renderings that need it.
    pub fn add(&self, query: String, answer: Result<Value, impl fmt::Display>) {
        let answer = answer.map_err(|error| error.to_string());
        self.0.lock().answers.insert(query, answer);
    }

    /// Number of results.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.lock().answers.len()
    }

    /// Returns true if there are no results.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn of(&self, query: &str) -> Result<Value, Error> {
        let mut state = self.0.lock();
        if let Some(answer) = &state.made_up {
            return Ok(answer.clone());
        }
        match state.answers.get(query) {
            Some(Ok(answer)) => Ok(answer.clone()),
            Some(Err(error)) => Err(invalid(format!("error calling query: {error}"))),
            None => {
                state.wanted = Some(query.to_owned());
                Err(invalid(format!("not answered yet: {query}")))
            }
        }
    }
}

impl Object for Answers {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

/// Adds `query` and the functions on its results, for templates of rules.
pub fn add_queries(environment: &mut Environment<'static>) {
    environment.add_function("query", |state: &minijinja::State<'_, '_>, query: Value| {
        let variable = state.lookup(ANSWERS);
        let answers = variable
            .as_ref()
            .and_then(|state| state.downcast_object_ref::<Answers>());
        answers
            .ok_or_else(|| invalid("nothing can be asked here".into()))?
            .of(&text(&query))
    });
    environment.add_function("args", |values: Rest<Value>| args(values.0));
    environment.add_filter("first", |value: Value| first(&value));
    environment.add_filter("value", |value: Value| {
        Ok::<_, Error>(number(Some(sample(&value)?.value)))
    });
    environment.add_filter("label", |value: Value, name: Value| {
        sample(&value)?.labels.get_item(&name)
    });
    environment.add_filter("strvalue", |value: Value| {
        sample(&value)?.labels.get_item(&Value::from(TEXT))
    });
    environment.add_filter("sortByLabel", |value: Value, name: Value| {
        sorted(&value, &name)
    });
}

/// Returns the arguments for a definition: `arg0`, `arg1` and so on.
fn args(values: Vec<Value>) -> Value {
    let named = values.into_iter().enumerate();
    Value::from(
        named
            .map(|(n, value)| (format!("arg{n}"), value))
            .collect::<BTreeMap<_, _>>(),
    )
}

fn sample(value: &Value) -> Result<&Sample, Error> {
    value
        .downcast_object_ref()
        .ok_or_else(|| invalid(format!("no series of a query: {value}")))
}

/// Returns the first series of a result, which must have one; of another value the first item.
fn first(value: &Value) -> Result<Value, Error> {
    match value.downcast_object_ref::<Samples>() {
        None => filters::first(value),
        Some(Samples(samples)) => samples.first().cloned().ok_or_else(|| {
            invalid("error calling first: first() called on vector with no elements".into())
        }),
    }
}

/// Sorts series by the value of one label, stable.
fn sorted(value: &Value, name: &Value) -> Result<Value, Error> {
    let samples = value
        .downcast_object_ref::<Samples>()
        .ok_or_else(|| invalid(format!("no answer of a query: {value}")))?;
    let mut all = samples
        .0
        .iter()
        .map(|sample_value| {
            Ok((
                text(&sample(sample_value)?.labels.get_item(name)?),
                sample_value.clone(),
            ))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(Value::from_object(Samples(
        all.into_iter()
            .map(|(_, sample_value)| sample_value)
            .collect(),
    )))
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;
    use crate::{described, environment};

    fn labels(instance: &str) -> Labels {
        [("instance".to_owned(), instance.to_owned())].into()
    }

    /// Renders `source` as often as it asks something new; what it asked, and what it gives.
    fn render(source: &str) -> (Vec<String>, String) {
        let mut environment = environment();
        add_queries(&mut environment);
        let (answers, mut asked) = (Arc::new(Answers::default()), Vec::new());
        loop {
            let context =
                context! { query_answers => Value::from_dyn_object(answers.clone()), x => [7, 8] };
            let done = environment.render_str(source, context);
            let Some(query) = answers.wanted() else {
                return (asked, done.unwrap_or_else(|error| described(&error)));
            };
            asked.push(query.clone());
            let answer = match query.as_str() {
                "up" => Ok(Samples::value(
                    [(labels("b"), 1.0), (labels("a"), 0.25)],
                    "",
                )),
                "none" => Ok(Samples::value([], "")),
                _ => Err("unknown".to_owned()),
            };
            answers.add(query, answer);
        }
    }

    #[test]
    fn an_answer_is_taken_apart() {
        for (source, expected) in [
            ("{{ query('up') | first | value }}", "1"),
            ("{{ query('up') | first | label('instance') }}", "b"),
            (
                "{{ query('up') | first | label('gone') }}{{ query('up') | first | strvalue }}.",
                ".",
            ),
            (
                "{{ query('up') | sortByLabel('instance') | first | value }}",
                "0.25",
            ),
            (
                "{% for s in query('up') %}{{ s.labels.instance }}{{ s.value }} {% endfor %}",
                "b1 a0.25 ",
            ),
            (
                "{% for s in query('none') %}x{% else %}nothing{% endfor %}",
                "nothing",
            ),
            (
                "{% if query('none') %}x{% endif %}{{ query('up') | len }}",
                "2",
            ),
            (
                "{{ query('up')[1].Value }} {{ args(1, 'b').arg1 }} {{ x | first }}",
                "0.25 b 7",
            ),
            (
                "{{ query('none') | first }}",
                "error calling first: first() called on vector with no elements",
            ),
            ("{{ query('up{') }}", "error calling query: unknown"),
            ("{{ x | value }}", "no series of a query: [7, 8]"),
            ("{{ x | sortByLabel('a') }}", "no answer of a query: [7, 8]"),
        ] {
            assert_eq!(render(source).1, expected, "{source}");
        }
    }

    #[test]
    fn each_query_is_asked_once() {
        let (asked, shown) =
            render("{{ query('up') | len }}{{ query('none') | len }}{{ query('u' ~ 'p') | len }}");
        assert_eq!(
            (asked, shown.as_str()),
            (vec!["up".to_owned(), "none".to_owned()], "202")
        );
    }
}

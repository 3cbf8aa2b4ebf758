//! Labels in templates.

use std::fmt;
use std::sync::Arc;

use bellwether_core::Labels;
use minijinja::Value;
use minijinja::value::{Enumerator, Object};

/// Labels by name. A missing label is empty, as in Prometheus; the whole map prints as in Go:
/// `map[instance:db-1 job:node]`.
#[derive(Debug)]
pub struct LabelMap {
    labels: Labels,
    missing: &'static str,
}

impl LabelMap {
    /// Creates a value of `labels`; a missing label has the value `missing`.
    #[must_use]
    pub fn value(labels: Labels, missing: &'static str) -> Value {
        Value::from_object(Self { labels, missing })
    }
}

impl Object for LabelMap {
    fn get_value(self: &Arc<Self>, name: &Value) -> Option<Value> {
        let value = self
            .labels
            .get(name.as_str()?)
            .map_or(self.missing, String::as_str);
        Some(Value::from(value))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(
            self.labels
                .keys()
                .map(|name| Value::from(name.as_str()))
                .collect(),
        )
    }

    fn render(self: &Arc<Self>, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("map[")?;
        for (index, (name, value)) in self.labels.iter().enumerate() {
            let space = if index > 0 { " " } else { "" };
            write!(out, "{space}{name}:{value}")?;
        }
        out.write_str("]")
    }
}

//! The JSON Schema of the configuration file, generated from the sections themselves.

use bellwether_schema::Section;
use bellwether_schema::json_schema::{self, Json};
use serde_json::Value;

use super::sections::Root;

/// Returns the JSON Schema, draft 2020-12, of the configuration file as text.
#[must_use]
pub fn json_schema() -> String {
    serde_json::to_string_pretty(&schema()).unwrap_or_default() + "\n"
}

/// Returns the JSON Schema, with its keys in alphabetical order.
#[must_use]
pub fn json_schema_value() -> Value {
    serde_json::to_value(schema()).unwrap_or_default()
}

fn schema() -> Json {
    json_schema::json_schema(Root::doc(), "Configuration of Bellwether")
}

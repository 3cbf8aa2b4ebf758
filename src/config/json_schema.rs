//! The JSON Schema of the configuration file, generated from the sections themselves.

use bellwether_schema::{Section, json_schema};

use super::sections::Root;

/// Returns the JSON Schema, draft 2020-12, of the configuration file.
#[must_use]
pub fn json_schema() -> String {
    let schema = json_schema::json_schema(Root::doc(), "Configuration of Bellwether");
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

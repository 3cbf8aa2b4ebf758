//! `bellwether schema`: the JSON Schema of the configuration file, for editors and validators.

use crate::config::json_schema;

pub(super) fn run() {
    print!("{}", json_schema());
}

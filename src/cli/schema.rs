//! `bellwether schema`: the JSON Schema of the configuration file, for editors and validators.

use bellwether_config::json_schema;

pub(super) fn run() {
    print!("{}", json_schema());
}

//! Time zones by their names.

use bellwether_schema::json_schema;
use bellwether_schema::{Decode, DecodeContext, Node, Shape};
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};

/// A time zone with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Location {
    name: String,
    zone: TimeZone,
}

/// UTC.
impl Default for Location {
    fn default() -> Self {
        Self {
            name: "UTC".to_owned(),
            zone: TimeZone::UTC,
        }
    }
}

impl Location {
    /// Returns the time zone.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }
}

impl Decode for Location {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let name = cx.text(node)?;
        let zone = match name.as_str() {
            "" | "UTC" => TimeZone::UTC,
            "Local" => TimeZone::system(),
            name => match TimeZone::get(name) {
                Ok(zone) => zone,
                Err(_) => {
                    cx.error(node.pos, format!("unknown location {name:?}"))
                        .hint(
                            "use a name of the time zone database such as Europe/Berlin, Local or UTC; \
                         the database is the host's (package tzdata)",
                        );
                    return None;
                }
            },
        };
        Some(Self { name, zone })
    }

    fn shape() -> Shape {
        Shape::Word("IANA time zone", json_schema::text)
    }
}

impl Serialize for Location {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

//! Register of all kinds of collectors.
//!
//! To add a kind: write one file in this folder with its section of settings, for which it implements
//! [`CollectorKind`], and its [`Collector`](crate::Collector); add its `mod` line to `lib.rs`, and its
//! line to `collector_kinds!`.

use bellwether_core::Origin;
use bellwether_schema::{Decode, Shape, section, string_enum};

use crate::CollectorKind;

macro_rules! collector_kinds {
    ($( $(#[doc = $doc:literal])* $variant:ident = $name:literal, $module:ident :: $settings:ident; )+) => {
        string_enum! {
            /// A collector that can be enabled.
            pub enum CollectorName { $( $(#[doc = $doc])* $variant = $name ),+ }
        }

        section! {
            /// Settings of the collectors.
            pub struct Collectors {
                $( $(#[doc = $doc])* #[serde(flatten)] pub $module: crate::$module::$settings ),+
            }
        }

        /// Settings of one collector.
        #[derive(Clone, Copy, Debug, serde::Serialize)]
        #[serde(untagged)]
        pub enum CollectorSettings<'a> { $( $(#[doc = $doc])* $variant(&'a crate::$module::$settings) ),+ }

        impl Collectors {
            /// Returns the settings of each collector.
            pub fn all(&self) -> impl Iterator<Item = CollectorSettings<'_>> {
                [ $( CollectorSettings::$variant(&self.$module) ),+ ].into_iter()
            }
        }

        impl<'a> CollectorSettings<'a> {
            /// Returns the name of the collector.
            #[must_use]
            pub fn name(self) -> CollectorName {
                match self { $( Self::$variant(_) => CollectorName::$variant ),+ }
            }

            /// Returns the form of the settings.
            #[must_use]
            pub fn shape(self) -> Shape {
                match self { $( Self::$variant(_) => <crate::$module::$settings as Decode>::shape() ),+ }
            }

            /// Returns the settings as those of any kind.
            #[must_use]
            pub fn kind(self) -> &'a dyn CollectorKind {
                match self { $( Self::$variant(settings) => settings ),+ }
            }
        }
    };
}

collector_kinds! {
    /// /proc and /sys.
    System = "system", system::SystemSettings;
    /// Metrics that applications record.
    Application = "application", application::ApplicationSettings;
    /// Neo4j.
    Neo4j = "neo4j", neo4j::Neo4jSettings;
}

impl CollectorName {
    /// Returns the origin of its metrics.
    #[must_use]
    pub fn origin(self) -> Origin {
        Origin::new(self.as_str())
    }
}

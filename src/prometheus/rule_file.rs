//! A rule file of Prometheus as it is written.
//!
//! Source: Prometheus, "Recording rules" and "Alerting rules", and `model/rulefmt/rulefmt.go`.

use std::collections::BTreeMap;

use crate::declare::{Raw, Span, Spanned, section};

section! {
    /// A rule file of Prometheus.
    pub struct File {
        /// Its groups.
        pub groups: Vec<Group> = Vec::new(),
    }
}

section! {
    /// Rules that are judged together.
    pub struct Group {
        /// Its name, unique in the file.
        pub name: Spanned<Raw>,
        /// How often its rules are judged.
        pub interval: Option<Spanned<Span>>,
        /// Most alerts or series that a rule may make.
        pub limit: Option<Spanned<u32>>,
        /// How far in the past is asked.
        pub query_offset: Option<Spanned<Span>>,
        /// Labels of all its rules.
        pub labels: BTreeMap<String, Spanned<Raw>> = BTreeMap::new(),
        /// Its rules.
        pub rules: Vec<Rule> = Vec::new(),
    }
}

section! {
    /// A rule that alerts, or one that records.
    pub struct Rule {
        /// The name of its alerts.
        pub alert: Option<Spanned<Raw>>,
        /// The name of its series.
        pub record: Option<Spanned<Raw>>,
        /// The query.
        pub expr: Spanned<Raw>,
        /// How long it must hold.
        pub r#for: Option<Spanned<Span>>,
        /// For how long it goes on when it no longer holds.
        pub keep_firing_for: Option<Spanned<Span>>,
        /// Labels that are added.
        pub labels: BTreeMap<String, Spanned<Raw>> = BTreeMap::new(),
        /// Texts for people.
        pub annotations: BTreeMap<String, Spanned<Raw>> = BTreeMap::new(),
    }
}

#![allow(missing_docs)]
use crate::declare::{Problems, section};
use crate::model::Wall;
section! {
    /// Interval.
    pub struct TimeIntervalSettings {
        /// Name.
        pub name: String,
    }
}
#[derive(Clone, Debug, Default)]
pub struct TimeIntervals(Vec<String>);
impl TimeIntervals {
    pub fn compile(_: &[TimeIntervalSettings], _: &mut Problems) -> Self {
        Self::default()
    }
    pub fn contains_name(&self, name: &str) -> bool {
        self.0.iter().any(|one| one == name)
    }
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
    pub fn contains(&self, _: &str, _: Wall) -> bool {
        false
    }
}

#![allow(missing_docs)]
use super::time_interval::TimeIntervals;
use super::view::View;
use crate::declare::{Problems, section};
use crate::model::Wall;
section! {
    /// Maintenance.
    pub struct MaintenanceSettings {
        /// Name.
        pub name: String,
    }
}
#[derive(Clone, Debug)]
pub struct Maintenance;
impl Maintenance {
    pub(super) fn compile(
        _: &[MaintenanceSettings],
        _: &TimeIntervals,
        _: &mut Problems,
    ) -> Vec<Self> {
        Vec::new()
    }
}
#[derive(Clone, Debug)]
pub struct Silence {
    pub id: String,
    pub created_by: String,
    pub comment: String,
}
#[derive(Clone, Debug, Default)]
pub struct Silences {}
impl Silences {
    pub fn declare(&mut self, _: &[Maintenance]) {}
    pub fn silencing(&self, _: &View<'_>, _: Wall) -> Option<&Silence> {
        None
    }
}

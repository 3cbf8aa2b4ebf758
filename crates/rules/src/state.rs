//! State of alerts over a reload and a restart, and its file.

mod former;
pub(crate) mod restore;
pub(crate) mod saved;

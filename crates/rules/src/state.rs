//! State of alerts over a reload and a restart, and its file.

pub(crate) mod restore;
pub(crate) mod saved;
pub(crate) mod state_file;

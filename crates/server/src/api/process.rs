//! The process itself: health, status, reload, sessions, the web page.

pub(crate) mod health;
pub(crate) mod landing;
pub(crate) mod lifecycle;
pub(crate) mod page;
pub(crate) mod session;
pub(crate) mod status;

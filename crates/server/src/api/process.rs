//! The process itself: health, status, reload, the web page.

pub(crate) mod health;
pub(crate) mod landing;
pub(crate) mod lifecycle;
pub(crate) mod page;
pub(crate) mod status;

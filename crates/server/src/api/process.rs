//! The process itself: health, status, reload, the landing page.

pub(crate) mod health;
pub(crate) mod landing;
pub(crate) mod lifecycle;
pub(crate) mod status;

//! Routes: settings, matchers and the compiled tree with its receivers.

pub(crate) mod builder;
pub(crate) mod matchers;
pub(crate) mod receivers;
pub(crate) mod settings;
pub(crate) mod tree;
pub(crate) mod view;

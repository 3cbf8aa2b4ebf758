//! Version of the binary, and the source that it was built from. `build.rs` has the values.

/// Version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Version with commit and date, if they are known.
pub const SHORT: &str = env!("BUILD_SHORT_VERSION");
/// Hash of the commit, or `unknown`; it ends with `-modified` if files differ from it.
pub const REVISION: &str = env!("BUILD_REVISION");
/// Date of the commit in UTC, or `unknown`.
pub const DATE: &str = env!("BUILD_DATE");
/// Version of the compiler.
pub const RUST_VERSION: &str = env!("BUILD_RUST_VERSION");
/// Cargo features, separated by commas.
pub const FEATURES: &str = env!("BUILD_FEATURES");
/// Version with everything that is known of the build, in lines.
pub const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\n  revision:     ",
    env!("BUILD_REVISION"),
    "\n  date:         ",
    env!("BUILD_DATE"),
    "\n  rust version: ",
    env!("BUILD_RUST_VERSION"),
    "\n  features:     ",
    env!("BUILD_FEATURES"),
);

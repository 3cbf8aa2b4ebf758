//! What comes next: when a thing that fills reaches a value.

#[cfg(test)]
mod tests;

mod line;
mod linear;
mod words;

pub use linear::{Direction, NoForecast, Reach, Target, linear};
pub use words::span;

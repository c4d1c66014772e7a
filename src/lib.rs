//! Telemark.

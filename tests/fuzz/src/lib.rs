//! What must hold of any input, and pickles made of anything. The fuzz targets call this on what libFuzzer makes, and
//! `tests/fuzz_regressions.rs` on what was found.

pub mod config;
pub mod decode;
pub mod memory;
pub mod notification;
pub mod opcodes;

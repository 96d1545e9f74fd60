//! Configuration files, and variables of the environment.

#![no_main]

use libfuzzer_sys::fuzz_target;
use xc2_analyzer_fuzz::config::check;
use xc2_analyzer_fuzz::memory::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        check(text);
    }
});

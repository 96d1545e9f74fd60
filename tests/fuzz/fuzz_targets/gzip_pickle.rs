//! Bodies as they are stored. Of those in gzip what they hold is mutated as well, for a flipped bit ends a stream.

#![no_main]

use flate2::Compression;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use xc2_analyzer_fuzz::decode::{check, gzip, inflated, limits};
use xc2_analyzer_fuzz::memory::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const INFLATED_BYTES_MAX: u64 = 64 << 10;

fuzz_target!(|body: &[u8]| check(body, &limits(body.len())));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed % 4 == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let Some(mut held) = inflated(&data[..size], INFLATED_BYTES_MAX) else {
        return fuzzer_mutate(data, size, max_size);
    };
    let length = held.len();
    held.resize(length + 64, 0);
    let length = fuzzer_mutate(&mut held, length, length + 64);
    let held = &held[..length];
    // Most are left plain: inflating finds nothing in them that it has not found before.
    let mutated = match seed % 8 {
        1 => gzip(held, Compression::fast()),
        2 => [gzip(&held[..length / 2], Compression::none()), gzip(&held[length / 2..], Compression::fast())].concat(),
        _ => held.to_vec(),
    };
    if mutated.len() > max_size {
        return fuzzer_mutate(data, size, max_size);
    }
    data[..mutated.len()].copy_from_slice(&mutated);
    mutated.len()
});

//! Numbers of a column that lie together, converted in one loop.

use super::numpy::{Dtype, Kind};
use super::storage::Run;
use super::value::Value;

/// Numbers of one kind.
pub enum Numbers<'s> {
    Run(Run<'s>),
    /// `bytes` begin with the first one; the next one is `stride` bytes further.
    Packed {
        dtype: Dtype,
        bytes: &'s [u8],
        stride: usize,
    },
}

impl Numbers<'_> {
    /// Writes what `number` makes of each to `to`; bit n of the result says that it made nothing of the nth.
    #[inline]
    pub fn convert(self, of_pandas: bool, to: &mut [i64], number: impl Fn(Value) -> Option<i64>) -> u64 {
        let float = |float: f64| if of_pandas && float.is_nan() { Value::Missing } else { Value::Float(float) };
        match self {
            Self::Run(Run::Ints(ints)) => write(to, ints.iter().map(|&int| number(Value::Int(i64::from(int))))),
            // What is no number is not given here.
            Self::Run(Run::Words(_)) => u64::MAX,
            Self::Run(Run::Floats(floats)) => write(to, floats.iter().map(|&value| number(float(value)))),
            Self::Packed { dtype, bytes, stride } => {
                let word = |at: usize| bytes.get(at..).and_then(|bytes| bytes.first_chunk()).copied();
                let places = (0..to.len()).map(|nth| nth * stride);
                match dtype {
                    Dtype { kind: Kind::Int, size: 8, big_endian: false } => {
                        write(to, places.map(|at| number(Value::Int(i64::from_le_bytes(word(at)?)))))
                    }
                    Dtype { kind: Kind::Float, size: 8, big_endian: false } => {
                        write(to, places.map(|at| number(float(f64::from_le_bytes(word(at)?)))))
                    }
                    _ => write(
                        to,
                        places.map(|at| match dtype.small(bytes.get(at..at + dtype.size)?)? {
                            Value::Float(value) => number(float(value)),
                            Value::NotAvailable if of_pandas => number(Value::Missing),
                            value => number(value),
                        }),
                    ),
                }
            }
        }
    }
}

#[inline(always)]
fn write(to: &mut [i64], numbers: impl Iterator<Item = Option<i64>>) -> u64 {
    let (mut odd, mut bit) = (0, 1);
    for (slot, number) in to.iter_mut().zip(numbers) {
        *slot = number.unwrap_or_default();
        odd |= if number.is_none() { bit } else { 0 };
        bit <<= 1;
    }
    odd
}

//! How much is held for one object: counted before it is allocated, by capacity, not by length.

use super::super::error::{Fault, Limit, PickleFault};

/// Counts what is held for one object against `decoder_bytes_max`, before it is allocated, and what is done again with
/// what is held against what has been read.
pub struct Budget {
    held: usize,
    /// The part of `held` that ends with the dump; the rest is kept for the next one.
    scattered: usize,
    max: usize,
    /// Bytes of the stream, and the bytes and values that were looked at beyond what reading the stream once takes.
    read: u64,
    repeated: u64,
}

impl Budget {
    pub fn new(max: usize) -> Self {
        Self { held: 0, scattered: 0, max, read: 0, repeated: 0 }
    }

    /// The stream has been read so far.
    pub fn read_to(&mut self, offset: u64) {
        self.read = offset;
    }

    /// Counts work on so many bytes or values that are held already: one text may be an argument a million times, and an
    /// array of no bytes may say that it has a million values. What picklers write is done once or a few times over.
    pub fn repeat(&mut self, units: usize) -> Result<(), Fault> {
        const FREE: u64 = 1 << 20;
        const TIMES: u64 = 8;
        self.repeated = self.repeated.saturating_add(units as u64);
        if self.repeated > self.read.saturating_mul(TIMES).saturating_add(FREE) {
            return Err(PickleFault::Repetition.into());
        }
        Ok(())
    }

    #[inline(always)]
    pub fn push<T>(&mut self, vec: &mut Vec<T>, item: T) -> Result<(), Fault> {
        if vec.len() == vec.capacity() {
            self.grow(vec)?;
        }
        vec.push(item);
        Ok(())
    }

    #[cold]
    fn grow<T>(&mut self, vec: &mut Vec<T>) -> Result<(), Fault> {
        self.reserve(vec, 1)
    }

    /// As `push`, into a vector that ends with the dump.
    pub fn push_scattered<T>(&mut self, vec: &mut Vec<T>, item: T) -> Result<(), Fault> {
        let capacity = vec.capacity();
        self.push(vec, item)?;
        self.scattered += (vec.capacity() - capacity) * size_of::<T>();
        Ok(())
    }

    /// Makes a vector that ends with the dump large enough, and no larger.
    pub fn grow_scattered<T>(&mut self, vec: &mut Vec<T>, capacity: usize) -> Result<(), Fault> {
        let more = capacity.saturating_sub(vec.capacity());
        if more > 0 {
            self.charge_scattered(more.saturating_mul(size_of::<T>()))?;
            vec.reserve_exact(capacity - vec.len());
        }
        Ok(())
    }

    /// Appends to a vector that ends with the dump.
    pub fn extend_scattered(&mut self, vec: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Fault> {
        self.reserve_scattered(vec, bytes.len())?;
        vec.extend_from_slice(bytes);
        Ok(())
    }

    /// Makes room for more in a vector that ends with the dump.
    pub fn reserve_scattered(&mut self, vec: &mut Vec<u8>, more: usize) -> Result<(), Fault> {
        let capacity = vec.capacity();
        self.reserve(vec, more)?;
        self.scattered += vec.capacity() - capacity;
        Ok(())
    }

    /// Makes room for more, as `Vec::reserve` does.
    pub fn reserve<T>(&mut self, vec: &mut Vec<T>, more: usize) -> Result<(), Fault> {
        /// From here on a vector grows by a quarter, not twofold: the limit is better used.
        const LARGE_BYTES: usize = 16 << 20;
        let capacity = vec.capacity();
        let needed = vec.len().saturating_add(more);
        if needed <= capacity {
            return Ok(());
        }
        let large = capacity.saturating_mul(size_of::<T>()) > LARGE_BYTES;
        let wanted = needed.max(if large { capacity + capacity / 4 } else { capacity * 2 }).max(4);
        self.charge((wanted - capacity).saturating_mul(size_of::<T>()))?;
        vec.reserve_exact(wanted - vec.len());
        Ok(())
    }

    /// Counts what ends with the dump and is not in a vector.
    pub fn charge_scattered(&mut self, bytes: usize) -> Result<(), Fault> {
        self.charge(bytes)?;
        self.scattered += bytes;
        Ok(())
    }

    /// What was counted with `charge_scattered` is given back before the dump ends.
    pub fn release_scattered(&mut self, bytes: usize) {
        let bytes = bytes.min(self.scattered);
        self.scattered -= bytes;
        self.held -= bytes;
    }

    /// Counts what is kept until the object ends.
    pub fn charge(&mut self, bytes: usize) -> Result<(), Fault> {
        let held = self.held.saturating_add(bytes);
        if held > self.max {
            return Err(Limit::DecoderBytes.into());
        }
        self.held = held;
        Ok(())
    }

    /// The dump has ended.
    pub fn forget_scattered(&mut self) {
        self.held -= self.scattered;
        self.scattered = 0;
    }
}

//! What a log row's fields are called and what each must be: the whole of what a decoder knows of logs.

/// How a measure's field is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeasureKind {
    /// A non-negative integer.
    Count,
    /// A non-negative amount, kept in micros.
    Money,
}

/// One measure that is read from a field of the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasureField {
    /// The measure's own name: `impressions`.
    pub name: String,
    /// The row's key: `imp`.
    pub field: String,
    pub kind: MeasureKind,
}

/// The fields of a log row and the rules for their values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSchema {
    pub timestamp: String,
    pub media_key: String,
    pub ads: String,
    /// Fields of the first element of `ads`.
    pub inventory: String,
    pub ad: String,
    pub demand: String,
    pub measures: Vec<MeasureField>,
    /// Characters (not bytes) that the media key's column holds.
    pub media_key_chars_max: usize,
    /// Unix seconds that a timestamp may have.
    pub window: std::ops::RangeInclusive<i64>,
}

/// What one object may cost. Every limit is a hard one: beyond it the object is listed as failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of the body as stored.
    pub object_bytes_max: u64,
    /// Of the body inflated.
    pub inflated_bytes_max: u64,
    /// Inflated bytes per compressed byte, beyond the first MiB of inflated ones.
    pub inflate_ratio_max: u64,
    pub rows_max: u64,
    /// Groups of all tables that an object is summed in.
    pub cells_max: usize,
    /// Containers within containers.
    pub nesting_max: usize,
    /// Of one string, bytes or long integer.
    pub text_bytes_max: usize,
    /// What the decoder may hold for one object beyond its output: memo, stack and shared values.
    pub decoder_bytes_max: usize,
    /// Rows of one record batch.
    pub batch_rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            object_bytes_max: 256 * MIB,
            inflated_bytes_max: 2048 * MIB,
            inflate_ratio_max: 200,
            rows_max: 20_000_000,
            cells_max: 2_000_000,
            nesting_max: 64,
            text_bytes_max: MIB as usize,
            decoder_bytes_max: 512 * MIB as usize,
            batch_rows: 8192,
        }
    }
}

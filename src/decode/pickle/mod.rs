//! The streaming pickle machine: opcodes in, rows out.

mod all_columns;
mod arrow;
mod blocks;
mod budget;
mod column;
mod containers;
mod fast;
mod frame;
mod globals;
mod intern;
mod keep;
mod machine;
mod memo;
mod moments;
mod names;
mod numbers;
mod numpy;
mod objects;
pub mod opcode;
mod reader;
mod stack;
mod storage;
mod strings;
pub mod text;
mod top_level;
mod value;

pub use all_columns::{knows_global, number_of};
pub use intern::TextName;
#[cfg(test)]
pub use keep::KEEPS_EVERYTHING;
pub use keep::Keep;
pub use machine::Machine;
pub use numpy::Kind;
#[cfg(test)]
pub use objects::LOOKED_AT;
pub use reader::Reader;
pub use storage::{Store, not_kept};
pub use text::decimal_text;
pub use value::{Span, Value};

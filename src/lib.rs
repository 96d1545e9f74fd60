//! Turns an advertising platform's logs into daily reports, each file counted exactly once.
//!
//! The modules, in the order in which the data meets them and a reader should:
//!
//! 1. [`model`]: the nouns that stages exchange. Knows no stage.
//! 2. [`report`]: what is counted, as data.
//! 3. [`source`]: where objects come from: SQS, S3, a folder. Knows nothing of what is inside an object.
//! 4. [`decode`]: bytes to Arrow record batches. Knows no ads, no network, no clock.
//! 5. [`enrich`]: joins metadata and derives columns.
//! 6. [`aggregate`]: record batches to the sums of one object.
//! 7. [`store`]: sums into the database, exactly once. Knows no queue and no file.
//! 8. [`pipeline`]: the only module that knows all stages; its documentation has the picture.
//! 9. [`notice`]: tells people what was counted and what failed, from the store's outbox.
//! 10. [`telemetry`], [`supervisor`], [`config`], [`cli`]: the shell around it.
//!
//! [`failpoint`] has the places where tests make the program die; without them it is nothing.

pub mod aggregate;
pub mod cli;
pub mod config;
pub mod decode;
pub mod enrich;
pub mod failpoint;
pub mod model;
pub mod notice;
pub mod pipeline;
pub mod report;
pub mod source;
pub mod store;
pub mod supervisor;
pub mod telemetry;

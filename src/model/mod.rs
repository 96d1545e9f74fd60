//! The nouns that stages exchange. This module knows no stage.

pub mod delivery;
pub mod dependency;
pub mod dimension;
pub mod disposition;
pub mod failure;
pub mod health;
pub mod labels;
pub mod log_schema;
pub mod measure;
pub mod metadata;
pub mod micros;
pub mod object;
pub mod reject;
pub mod report_date;
pub mod secret;
pub mod shell;

pub use delivery::{Delivery, Receipt};
pub use dependency::Dependency;
pub use dimension::{Dimension, DimensionKind};
pub use disposition::Disposition;
pub use failure::{Copied, FailedObject, FailureKind, Trace};
pub use health::{HealthFact, HealthLevel};
pub use labels::{Labels, Language};
pub use log_schema::{Limits, LogSchema, MeasureField, MeasureKind};
pub use measure::{Measure, Origin, Share};
pub use metadata::{InventoryRow, MediaRow, Metadata, Rate};
pub use micros::Micros;
pub use object::{Announced, Generation, ObjectId, ObjectRef};
pub use reject::{RejectReason, Rejects};
pub use report_date::ReportDate;
pub use secret::Secret;

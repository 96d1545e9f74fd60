pub mod aggregate;
pub mod decode;
pub mod model;
pub mod report;
pub mod source;
pub mod store;

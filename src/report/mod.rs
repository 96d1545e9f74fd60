//! What is counted, as data: measures and reports as a person writes them ([`spec`]), and resolved once into the
//! plan that every later stage follows ([`plan`]), and what people call it all ([`labels`]). Knows no database and no log file.

pub mod labels;
pub mod plan;
pub mod spec;

pub use plan::{Plan, PlanError, Ratio, Report};
pub use spec::{MeasureSpec, RatioSpec, ReportSpec};

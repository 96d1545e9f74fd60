//! `[[measure]]` and `[[report]]` of `config.toml`, as written.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::Labels;

/// A number that is summed: read from a field of the row, or a share of another measure.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasureSpec {
    pub name: String,
    /// The row's key. Exclusive with `share_of`.
    pub field: Option<String>,
    /// `count` (default) or `money`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The money measure that this one is a share of.
    pub share_of: Option<String>,
    /// `media_rate` or `agency_rate`, with `share_of`.
    pub rate: Option<String>,
    /// What people call it.
    #[serde(default)]
    pub labels: Labels,
}

/// One report: a table whose primary key is its dimensions.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportSpec {
    pub name: String,
    pub table: String,
    pub dimensions: Vec<String>,
    pub measures: Vec<String>,
    #[serde(default)]
    pub ratios: Vec<RatioSpec>,
    /// Dimension, measure or ratio -> the table's own column name.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// `false` drops a default report.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// What people call it: its title.
    #[serde(default)]
    pub labels: Labels,
}

fn enabled() -> bool {
    true
}

/// A quotient of two measures of the same report, computed on read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RatioSpec {
    pub name: String,
    /// Numerator and denominator.
    pub of: [String; 2],
    /// What the quotient is multiplied by: 1000 for a price per thousand.
    #[serde(default = "once")]
    pub times: u32,
    /// What people call it.
    #[serde(default)]
    pub labels: Labels,
}

fn once() -> u32 {
    1
}

//! Measures and reports, checked and resolved: names are indexes, and every question of "does this exist" is settled.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use super::spec::{MeasureSpec, RatioSpec, ReportSpec};
use crate::model::{Dimension, Labels, Measure, MeasureField, MeasureKind, Origin, Share};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ratio {
    pub name: String,
    /// Indexes into [`Plan::measures`].
    pub numerator: usize,
    pub denominator: usize,
    pub times: u32,
    pub labels: Labels,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub name: String,
    pub table: String,
    /// In primary-key order.
    pub dimensions: Vec<Dimension>,
    /// Indexes into [`Plan::measures`].
    pub measures: Vec<usize>,
    pub ratios: Vec<Ratio>,
    pub labels: Labels,
    columns: BTreeMap<String, String>,
}

impl Report {
    /// The table's column for a dimension, measure or ratio.
    pub fn column<'a>(&'a self, name: &'a str) -> &'a str {
        self.columns.get(name).map_or(name, String::as_str)
    }
}

/// Everything that is counted. Built once at start; shared by all stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub measures: Vec<Measure>,
    pub reports: Vec<Report>,
    /// Every dimension that some report uses, and the date: the finest grouping, of which each report is a coarser one.
    pub dimensions: Vec<Dimension>,
}

/// A plan that can't be: which entry of `config.toml`, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    /// `measure "revenue"` or `report "ad"`.
    pub entry: String,
    pub problem: String,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.entry, self.problem)
    }
}

impl std::error::Error for PlanError {}

/// Tables that are not reports.
pub const FIXED_TABLES: [&str; 8] = [
    "processed_object",
    "processed_object_day",
    "failed_object",
    "report_day",
    "schema_version",
    "notice",
    "media",
    "inventory",
];

impl Plan {
    pub fn new(measures: &[MeasureSpec], reports: &[ReportSpec]) -> Result<Plan, PlanError> {
        let measures = resolve_measures(measures)?;
        let enabled: Vec<&ReportSpec> = reports.iter().filter(|report| report.enabled).collect();
        if enabled.is_empty() {
            return Err(PlanError { entry: "[[report]]".into(), problem: "no report is enabled".into() });
        }
        let (mut names, mut tables) = (HashSet::new(), HashSet::new());
        let mut resolved = Vec::new();
        for spec in enabled {
            let wrong = |problem: String| PlanError { entry: format!("report {:?}", spec.name), problem };
            if !names.insert(&spec.name) {
                return Err(wrong("another report has this name".into()));
            }
            if !tables.insert(spec.table.to_lowercase()) {
                return Err(wrong(format!("another report has the table {:?}", spec.table)));
            }
            resolved.push(resolve_report(spec, &measures).map_err(wrong)?);
        }
        let used = |dimension: &Dimension| {
            *dimension == Dimension::ReportDate || resolved.iter().any(|report| report.dimensions.contains(dimension))
        };
        let dimensions = Dimension::ALL.into_iter().filter(used).collect();
        Ok(Plan { measures, reports: resolved, dimensions })
    }

    /// The measures that a decoder reads.
    pub fn measure_fields(&self) -> Vec<MeasureField> {
        self.measures
            .iter()
            .filter_map(|measure| match &measure.origin {
                Origin::Field(field) => {
                    Some(MeasureField { name: measure.name.clone(), field: field.clone(), kind: measure.kind })
                }
                Origin::Share { .. } => None,
            })
            .collect()
    }

    pub fn report(&self, name: &str) -> Option<&Report> {
        self.reports.iter().find(|report| report.name == name)
    }

    pub fn measure(&self, name: &str) -> Option<usize> {
        position(&self.measures, name)
    }
}

fn position(measures: &[Measure], name: &str) -> Option<usize> {
    measures.iter().position(|measure| measure.name == name)
}

fn resolve_measures(specs: &[MeasureSpec]) -> Result<Vec<Measure>, PlanError> {
    let mut measures: Vec<Measure> = Vec::new();
    for spec in specs {
        let wrong = |problem: String| PlanError { entry: format!("measure {:?}", spec.name), problem };
        check_identifier(&spec.name).map_err(wrong)?;
        if Dimension::named(&spec.name).is_some() || ["rows", "object_id", "timestamp"].contains(&spec.name.as_str()) {
            return Err(wrong("this name is taken by a column".into()));
        }
        if position(&measures, &spec.name).is_some() {
            return Err(wrong("another measure has this name".into()));
        }
        measures.push(resolve_measure(spec, &measures).map_err(wrong)?);
    }
    Ok(measures)
}

fn resolve_measure(spec: &MeasureSpec, earlier: &[Measure]) -> Result<Measure, String> {
    let (name, labels) = (spec.name.clone(), spec.labels.clone());
    check_labels(&labels)?;
    match (&spec.field, &spec.share_of, &spec.rate) {
        (Some(field), None, None) => {
            let kind = match spec.kind.as_deref() {
                None | Some("count") => MeasureKind::Count,
                Some("money") => MeasureKind::Money,
                Some(other) => return Err(format!("type {other:?} is neither \"count\" nor \"money\"")),
            };
            Ok(Measure { name, kind, origin: Origin::Field(field.clone()), labels })
        }
        (None, Some(of), Some(rate)) => {
            let share = match rate.as_str() {
                "media_rate" => Share::Media,
                "agency_rate" => Share::Agency,
                other => return Err(format!("rate {other:?} is neither \"media_rate\" nor \"agency_rate\"")),
            };
            let of = position(earlier, of).ok_or(format!("share_of {of:?} is not an earlier measure"))?;
            match &earlier[of] {
                Measure { kind: MeasureKind::Money, origin: Origin::Field(_), .. } => {
                    Ok(Measure { name, kind: MeasureKind::Money, origin: Origin::Share { of, share }, labels })
                }
                _ => Err("share_of must name a money measure that is read from a field".into()),
            }
        }
        _ => Err("give either `field`, or both `share_of` and `rate`".into()),
    }
}

fn resolve_report(spec: &ReportSpec, measures: &[Measure]) -> Result<Report, String> {
    check_identifier(&spec.table)?;
    check_labels(&spec.labels)?;
    if FIXED_TABLES.contains(&spec.table.to_lowercase().as_str()) {
        return Err(format!("table {:?} is one of the fixed tables", spec.table));
    }
    let dimensions = resolve_dimensions(&spec.dimensions)?;
    let report_measures = resolve_names(&spec.measures, measures)?;
    let ratios = spec.ratios.iter().map(|ratio| resolve_ratio(ratio, measures, &report_measures));
    let ratios = ratios.collect::<Result<_, _>>()?;
    let report = Report {
        name: spec.name.clone(),
        table: spec.table.clone(),
        dimensions,
        measures: report_measures,
        ratios,
        labels: spec.labels.clone(),
        columns: spec.columns.clone(),
    };
    check_columns(&report, measures)?;
    Ok(report)
}

fn resolve_dimensions(names: &[String]) -> Result<Vec<Dimension>, String> {
    let mut dimensions = Vec::new();
    for name in names {
        let dimension = Dimension::named(name).ok_or_else(|| {
            let known: Vec<&str> = Dimension::ALL.iter().map(|dimension| dimension.name()).collect();
            format!("there is no dimension {name:?}; there are {}", known.join(", "))
        })?;
        if dimensions.contains(&dimension) {
            return Err(format!("dimension {name:?} is listed twice"));
        }
        dimensions.push(dimension);
    }
    match dimensions.first() {
        Some(Dimension::ReportDate) => Ok(dimensions),
        _ => Err("the first dimension must be \"report_date\": the books are balanced by date".into()),
    }
}

fn resolve_names(names: &[String], measures: &[Measure]) -> Result<Vec<usize>, String> {
    let mut resolved = Vec::new();
    for name in names {
        let at = position(measures, name).ok_or(format!("there is no measure {name:?}"))?;
        if resolved.contains(&at) {
            return Err(format!("measure {name:?} is listed twice"));
        }
        resolved.push(at);
    }
    if resolved.is_empty() { Err("it has no measures".into()) } else { Ok(resolved) }
}

fn resolve_ratio(spec: &RatioSpec, measures: &[Measure], used: &[usize]) -> Result<Ratio, String> {
    let operand = |name: &String| {
        position(measures, name)
            .filter(|at| used.contains(at))
            .ok_or(format!("ratio {:?}: {name:?} is not a measure of this report", spec.name))
    };
    if spec.times == 0 {
        return Err(format!("ratio {:?}: times must be at least 1", spec.name));
    }
    let (numerator, denominator) = (operand(&spec.of[0])?, operand(&spec.of[1])?);
    check_labels(&spec.labels).map_err(|problem| format!("ratio {:?}: {problem}", spec.name))?;
    let (name, labels) = (spec.name.clone(), spec.labels.clone());
    Ok(Ratio { name, numerator, denominator, times: spec.times, labels })
}

/// Columns are distinct and are names that SQL can quote, and `columns` maps nothing unknown.
fn check_columns(report: &Report, measures: &[Measure]) -> Result<(), String> {
    let dimensions = report.dimensions.iter().map(|dimension| dimension.name());
    let sums = report.measures.iter().map(|&at| measures[at].name.as_str());
    let ratios = report.ratios.iter().map(|ratio| ratio.name.as_str());
    let names: Vec<&str> = dimensions.chain(sums).chain(ratios).collect();
    if let Some(unknown) = report.columns.keys().find(|key| !names.contains(&key.as_str())) {
        return Err(format!("columns: {unknown:?} is no dimension, measure or ratio of this report"));
    }
    let mut seen = HashSet::new();
    for name in names {
        let column = report.column(name);
        check_identifier(column)?;
        if !seen.insert(column.to_lowercase()) {
            return Err(format!("column {column:?} is used twice"));
        }
    }
    Ok(())
}

/// A label is a heading: one line, and not the whole page.
fn check_labels(labels: &Labels) -> Result<(), String> {
    const CHARS_MAX: usize = 64;
    let fits = |label: &str| {
        !label.trim().is_empty() && label.chars().count() <= CHARS_MAX && !label.contains(char::is_control)
    };
    match labels.given().find(|label| !fits(label)) {
        Some(label) => Err(format!("the label {label:?} is not one line of 1 to {CHARS_MAX} characters")),
        None => Ok(()),
    }
}

/// Letters, digits and `_`, at most 64: a name that every database takes and that needs no escaping.
fn check_identifier(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_well && name.len() <= 64 && name.chars().all(plain) {
        Ok(())
    } else {
        Err(format!("{name:?} is not a plain name (letters, digits and _, at most 64, no digit first)"))
    }
}

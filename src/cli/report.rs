//! `report`: one report by date range, filters and group-by.

use super::output::{self, Column, ColumnKind, Format, Rows};
use super::{CliError, audit, open};
use crate::config::Config;
use crate::model::micros::decimal_text;
use crate::model::{Dimension, DimensionKind, MeasureKind, ReportDate};
use crate::report::{Plan, Report};
use crate::store::{ReportQuery, ReportRow, ratio};

#[derive(clap::Args)]
pub struct Args {
    /// Its name in the configuration: ad, ad_request, demand, media
    name: String,
    /// First report date, such as 2024-06-10
    #[arg(long)]
    from: Option<ReportDate>,
    /// Last report date
    #[arg(long)]
    to: Option<ReportDate>,
    /// One report date: the same as --from and --to
    #[arg(long, conflicts_with_all = ["from", "to"])]
    date: Option<ReportDate>,
    /// Group by these dimensions only, comma-separated
    #[arg(long, value_delimiter = ',', value_name = "DIMENSION")]
    by: Vec<String>,
    /// Only rows of this value, such as media_key=m1023; a dimension given again adds a value
    #[arg(long = "where", value_name = "DIMENSION=VALUE")]
    filters: Vec<String>,
    /// At most so many rows, the first ones by key
    #[arg(long)]
    limit: Option<u64>,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

pub async fn run(args: Args, config: Config) -> Result<(), CliError> {
    let plan = config.plan.clone();
    let Some(report) = plan.report(&args.name) else {
        let known: Vec<&str> = plan.reports.iter().map(|report| report.name.as_str()).collect();
        return Err(CliError::Failed(format!("there is no report {:?}; there are {}", args.name, known.join(", "))));
    };
    audit::in_order(args.from, args.to)?;
    let query = query(&args, report)?;
    let store = open::store(&config).await?;
    let found = store.report(&query).await?;
    if found.is_empty() {
        eprintln!("report {}: no rows from {} to {}", report.name, query.from, query.to);
    }
    output::print(&rows(&plan, report, &query.dimensions, &found).to_text(args.format)?)
}

fn query(args: &Args, report: &Report) -> Result<ReportQuery, CliError> {
    let dimension = |name: &str| {
        Dimension::named(name).filter(|dimension| report.dimensions.contains(dimension)).ok_or_else(|| {
            let known: Vec<&str> = report.dimensions.iter().map(|dimension| dimension.name()).collect();
            CliError::Failed(format!("{name:?} is no dimension of report {}; it has {}", report.name, known.join(", ")))
        })
    };
    let mut filters: Vec<(Dimension, Vec<String>)> = Vec::new();
    for filter in &args.filters {
        let (name, value) = filter
            .split_once('=')
            .ok_or_else(|| CliError::Failed(format!("--where {filter}: write DIMENSION=VALUE")))?;
        let dimension = dimension(name)?;
        if dimension.kind() == DimensionKind::Id && value.parse::<i64>().is_err() {
            return Err(CliError::Failed(format!("--where {filter}: {name} is a whole number")));
        }
        match filters.iter_mut().find(|(known, _)| *known == dimension) {
            Some((_, values)) => values.push(value.to_owned()),
            None => filters.push((dimension, vec![value.to_owned()])),
        }
    }
    let by = args.by.iter().map(|name| dimension(name)).collect::<Result<Vec<_>, _>>()?;
    if let Some(twice) = by.iter().enumerate().find(|(at, dimension)| by[..*at].contains(dimension)) {
        return Err(CliError::Failed(format!("--by names {} twice", twice.1.name())));
    }
    Ok(ReportQuery {
        report: report.name.clone(),
        from: args.date.or(args.from).unwrap_or(ReportDate::FIRST),
        to: args.date.or(args.to).unwrap_or(ReportDate::LAST),
        dimensions: if by.is_empty() { report.dimensions.clone() } else { by },
        filters,
        limit: args.limit,
    })
}

/// Report rows for output: dimensions, measures, and the ratios of the sums at hand.
pub fn rows(plan: &Plan, report: &Report, dimensions: &[Dimension], found: &[ReportRow]) -> Rows {
    let of_dimension = |dimension: &Dimension| match dimension.kind() {
        DimensionKind::Id => Column::new(dimension.name(), ColumnKind::Integer),
        DimensionKind::Date | DimensionKind::Text { .. } => Column::new(dimension.name(), ColumnKind::Text),
    };
    let of_measure = |&at: &usize| match plan.measures[at].kind {
        MeasureKind::Count => Column::new(&plan.measures[at].name, ColumnKind::Integer),
        MeasureKind::Money => Column::new(&plan.measures[at].name, ColumnKind::Decimal),
    };
    let of_ratio = |ratio: &crate::report::Ratio| Column::new(&ratio.name, ColumnKind::Decimal);
    let columns = dimensions.iter().map(of_dimension);
    let columns = columns.chain(report.measures.iter().map(of_measure)).chain(report.ratios.iter().map(of_ratio));
    Rows { columns: columns.collect(), rows: found.iter().map(|row| cells(plan, report, row)).collect() }
}

fn cells(plan: &Plan, report: &Report, row: &ReportRow) -> Vec<Option<String>> {
    let key = row.key.iter().map(|value| Some(value.to_string()));
    let sums = row.sums.iter().zip(&report.measures).map(|(&sum, &at)| match plan.measures[at].kind {
        MeasureKind::Count => Some(sum.to_string()),
        MeasureKind::Money => Some(decimal_text(sum, 6)),
    });
    let ratios = report.ratios.iter().map(|of| ratio(plan, report, of, &row.sums));
    key.chain(sums).chain(ratios.map(|value| value.map(|value| decimal_text(value, 6)))).collect()
}

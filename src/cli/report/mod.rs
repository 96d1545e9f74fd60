//! `report`: one report by date range, filters, group-by and order, for people (a table, a chart, a workbook) and for
//! programs (CSV, JSON).

mod chart;
mod csv;
mod dates;
mod json;
mod list;
mod names;
mod numbers;
mod query;
mod sheet;
mod table;
mod words;
mod xlsx;

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::ValueEnum;
use jiff::Timestamp;

use self::dates::When;
use self::sheet::{Cell, Sheet};
use self::words::Words;
use super::destination::Destination;
use super::output::{self, Column, ColumnKind, Rows, thousands};
use super::{CliError, io_error, open};
use crate::config::Config;
use crate::model::micros::decimal_text;
use crate::model::{Dimension, DimensionKind, Language, MeasureKind};
use crate::report::{Plan, Report, labels};
use crate::store::{OpenReport, ReportRow, ratio};

#[derive(clap::Args)]
pub struct Args {
    /// Its name in the configuration: ad, ad_request, demand, media. Without one, the reports are listed
    name: Option<String>,
    /// First report date: a day (2024-06-10), a month (2024-06), a year, or words: today, yesterday, this-week,
    /// last-week, this-month, last-month, this-year, last-year, last-7-days (any number; up to yesterday)
    #[arg(long, value_name = "DATE")]
    from: Option<When>,
    /// Last report date, in the same words; of a span of days its last one
    #[arg(long, value_name = "DATE")]
    to: Option<When>,
    /// One day or span of days: the same as --from and --to
    #[arg(long, value_name = "DATE", conflicts_with_all = ["from", "to"])]
    date: Option<When>,
    /// Group by these dimensions only, comma-separated
    #[arg(long, value_delimiter = ',', value_name = "DIMENSION")]
    by: Vec<String>,
    /// Only rows of these values, such as device=PC,MOBILE, or of others, such as media_key!=m1. A dimension given again
    /// adds values; a comma in a value is written \,
    #[arg(long = "where", value_name = "DIMENSION=VALUES")]
    filters: Vec<String>,
    /// Sort by dimensions, measures or ratios, comma-separated: revenue, -revenue or revenue:desc. Ratios without a value
    /// come last
    #[arg(long, value_delimiter = ',', value_name = "NAME", allow_hyphen_values = true)]
    sort: Vec<String>,
    /// At most so many rows, the first ones of the sorted ones
    #[arg(long)]
    limit: Option<u64>,
    /// Draw this measure or ratio as bars instead of a table; by date unless --by says otherwise
    #[arg(long, value_name = "NAME")]
    chart: Option<String>,
    /// Whether to end with what all rows add up to; yes, except in CSV
    #[arg(long, value_enum, value_name = "WHETHER")]
    totals: Option<Totals>,
    /// table when not given, or what the name of the --output file ends in
    #[arg(long, value_enum)]
    format: Option<ReportFormat>,
    /// Write into this file, which is replaced when the report is whole
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Language of headings: en or ko; [display] language when not given
    #[arg(long, value_name = "LANGUAGE", value_parser = language_named)]
    lang: Option<Language>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Totals {
    Yes,
    No,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    Table,
    Csv,
    Json,
    Xlsx,
}

fn language_named(code: &str) -> Result<Language, String> {
    Language::named(code).ok_or_else(|| "the languages are en and ko".to_owned())
}

pub async fn run(args: Args, config: Config) -> Result<(), CliError> {
    let language = args.lang.unwrap_or(config.language);
    let Some(name) = &args.name else {
        return output::print(&list::text(&config.plan, language));
    };
    let plan = config.plan.clone();
    let report = names::report(&plan, name)?;
    let words = Words { language, zone: config.pipeline.rules.zone.clone() };
    let today = Timestamp::now().to_zoned(words.zone.clone()).date();
    let query = query::of(&args, &plan, report, today)?;
    let chart = args.chart.as_ref().map(|name| names::number(&plan, report, name)).transpose()?;
    let format = format(&args)?;
    let store = open::store(&config).await?;
    let open = store.open_report(&query).await?;
    let sheet = Sheet {
        range: query::range(&args, today)?,
        facts: open.facts.clone(),
        columns: sheet::columns(&plan, report, &query.dimensions, language),
        title: labels::title(report, language).to_owned(),
        totals: args.totals.map_or(format != ReportFormat::Csv, |totals| totals == Totals::Yes),
        report: report.clone(),
        plan: plan.clone(),
        query,
        words,
    };
    fits(&sheet, format, chart.is_some())?;
    let writing = || match &args.output {
        Some(path) => format!("write {}", path.display()),
        None => "write to standard output".to_owned(),
    };
    let out = Destination::open(args.output.as_deref()).map_err(io_error(writing()))?;
    let chart = chart.and_then(|number| sheet.column_of(number));
    match write(open, &sheet, format, chart, out).await? {
        // A reader that has gone (`| head`) is not an error.
        Err(error) if args.output.is_none() && error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written.map_err(io_error(writing()))?,
    }
    if sheet.facts.groups == 0 {
        eprintln!("{}", sheet.words.nothing(&sheet));
    }
    sheet.words.freshness(&sheet, Timestamp::now()).iter().for_each(|line| eprintln!("{line}"));
    Ok(())
}

/// The format that was named, or that the file's name ends in.
fn format(args: &Args) -> Result<ReportFormat, CliError> {
    let wrong = |problem: &str| Err(CliError::Failed(problem.to_owned()));
    let ending = args.output.as_ref().and_then(|path| path.extension()).and_then(|ending| ending.to_str());
    let by_name = ending.and_then(|ending| ReportFormat::from_str(ending, true).ok());
    let format = args.format.or(by_name).unwrap_or(ReportFormat::Table);
    match (format, &args.output, &args.chart) {
        (ReportFormat::Xlsx, None, _) => wrong("--format xlsx is a file: name it with --output FILE.xlsx"),
        (ReportFormat::Csv | ReportFormat::Json | ReportFormat::Xlsx, _, Some(_)) => {
            wrong("--chart is for the terminal: leave out --format, or give --format table")
        }
        _ => Ok(format),
    }
}

/// Refuses, before anything is written, what would not fit: into memory, or into a sheet.
fn fits(sheet: &Sheet, format: ReportFormat, is_chart: bool) -> Result<(), CliError> {
    let (what, rows_max) = match format {
        ReportFormat::Table if is_chart => ("a chart", chart::CHART_ROWS_MAX),
        ReportFormat::Table => ("a table", table::TABLE_ROWS_MAX),
        ReportFormat::Xlsx => ("an Excel sheet", xlsx::XLSX_ROWS_MAX),
        // These are written row by row.
        ReportFormat::Csv | ReportFormat::Json => return Ok(()),
    };
    if sheet.rows_shown() <= rows_max {
        return Ok(());
    }
    Err(CliError::Failed(format!(
        "report {} has {} rows, and {what} holds at most {}: give --limit (after --sort), a shorter range, fewer \
         dimensions in --by, or --format csv or json, which take any number",
        sheet.report.name,
        thousands(sheet.rows_shown()),
        thousands(rows_max)
    )))
}

enum Writer {
    Table(table::Table),
    Csv(Box<csv::Csv>),
    Json(json::Json),
    Xlsx(Box<xlsx::Xlsx>),
}

impl Writer {
    fn begin(sheet: &Sheet, format: ReportFormat, chart: Option<usize>, out: Destination) -> io::Result<Writer> {
        Ok(match format {
            ReportFormat::Table => Writer::Table(table::Table::begin(chart, out)),
            ReportFormat::Csv => Writer::Csv(Box::new(csv::Csv::begin(sheet, out)?)),
            ReportFormat::Json => Writer::Json(json::Json::begin(sheet, out)?),
            ReportFormat::Xlsx => Writer::Xlsx(Box::new(xlsx::Xlsx::begin(sheet, out)?)),
        })
    }

    fn row(&mut self, cells: Vec<Cell>) -> io::Result<()> {
        match self {
            Writer::Table(table) => {
                table.row(cells);
                Ok(())
            }
            Writer::Csv(csv) => csv.row(&cells),
            Writer::Json(json) => json.row(&cells),
            Writer::Xlsx(xlsx) => xlsx.row(&cells),
        }
    }

    fn finish(self, sheet: &Sheet) -> io::Result<()> {
        match self {
            Writer::Table(table) => table.finish(sheet),
            Writer::Csv(csv) => csv.finish(sheet),
            Writer::Json(json) => json.finish(),
            Writer::Xlsx(xlsx) => xlsx.finish(sheet),
        }
    }
}

/// Every row as it comes. The inner result is that of writing.
async fn write(
    open: OpenReport<'_>,
    sheet: &Sheet,
    format: ReportFormat,
    chart: Option<usize>,
    out: Destination,
) -> Result<io::Result<()>, CliError> {
    let writer = match Writer::begin(sheet, format, chart, out) {
        Ok(writer) => writer,
        Err(error) => return Ok(Err(error)),
    };
    let of = sheet.clone();
    let row = move |(writer, written): &mut (Writer, io::Result<()>), row: ReportRow| {
        *written = writer.row(of.cells(&row));
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let (writer, written) = open.rows((writer, Ok(())), row).await?;
    Ok(written.and_then(|()| writer.finish(sheet)))
}

/// Report rows beside others: dimensions, measures, and the ratios of the sums at hand.
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

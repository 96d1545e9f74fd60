//! The arguments as a query.

use jiff::civil::Date;

use super::dates::When;
use super::{Args, names};
use crate::cli::{CliError, audit};
use crate::model::{Dimension, DimensionKind, ReportDate};
use crate::report::{Plan, Report};
use crate::store::{Filter, ReportQuery, Sort, SortBy};

pub fn of(args: &Args, plan: &Plan, report: &Report, today: Date) -> Result<ReportQuery, CliError> {
    let (from, to) = range(args, today)?;
    let mut filters: Vec<Filter> = Vec::new();
    for text in &args.filters {
        let filter = filter(report, text)?;
        let same = |known: &&mut Filter| known.dimension == filter.dimension && known.excluded == filter.excluded;
        match filters.iter_mut().find(same) {
            Some(known) => known.values.extend(filter.values),
            None => filters.push(filter),
        }
    }
    let mut by = args.by.iter().map(|name| names::dimension(report, name)).collect::<Result<Vec<_>, _>>()?;
    if let Some(twice) = by.iter().enumerate().find(|(at, dimension)| by[..*at].contains(dimension)) {
        return Err(CliError::Failed(format!("--by names {} twice", twice.1.name())));
    }
    if by.is_empty() {
        // Bars are few: by date, unless said otherwise.
        by = if args.chart.is_some() { vec![Dimension::ReportDate] } else { report.dimensions.clone() };
    }
    let sort = args.sort.iter().map(|text| sort(plan, report, &by, text)).collect::<Result<_, _>>()?;
    Ok(ReportQuery {
        report: report.name.clone(),
        from: from.unwrap_or(ReportDate::FIRST),
        to: to.unwrap_or(ReportDate::LAST),
        dimensions: by,
        filters,
        sort,
        limit: args.limit,
    })
}

/// The dates that were asked for; `None` for an open end.
pub fn range(args: &Args, today: Date) -> Result<(Option<ReportDate>, Option<ReportDate>), CliError> {
    let from = args.date.or(args.from).map(|when: When| when.first(today));
    let to = args.date.or(args.to).map(|when| when.last(today));
    audit::in_order(from, to)?;
    Ok((from, to))
}

fn filter(report: &Report, text: &str) -> Result<Filter, CliError> {
    let wrong = |problem: String| CliError::Failed(format!("--where {text}: {problem}"));
    let (name, values) =
        text.split_once('=').ok_or_else(|| wrong("write DIMENSION=VALUE or DIMENSION!=VALUE".to_owned()))?;
    let (name, excluded) = name.strip_suffix('!').map_or((name, false), |name| (name, true));
    let dimension = names::dimension(report, name.trim())?;
    let values = separated(values);
    for value in &values {
        match dimension.kind() {
            DimensionKind::Id if value.parse::<i64>().is_err() => {
                return Err(wrong(format!("{} is a whole number, and {value:?} is none", dimension.name())));
            }
            DimensionKind::Date if value.parse::<ReportDate>().is_err() => {
                return Err(wrong(format!("{value:?} is not a date such as 2024-06-10; for a range, --from and --to")));
            }
            _ => {}
        }
    }
    Ok(Filter { dimension, excluded, values })
}

/// Values between commas. A media key may hold a comma itself: then it is written `\,`, and `\\` before one is `\`.
fn separated(text: &str) -> Vec<String> {
    let (mut values, mut value, mut rest) = (Vec::new(), String::new(), text.chars().peekable());
    while let Some(c) = rest.next() {
        match c {
            ',' => values.push(std::mem::take(&mut value)),
            '\\' => value.push(rest.next_if(|next| matches!(next, ',' | '\\')).unwrap_or('\\')),
            other => value.push(other),
        }
    }
    values.push(value);
    values
}

fn sort(plan: &Plan, report: &Report, grouped: &[Dimension], text: &str) -> Result<Sort, CliError> {
    let (name, descending) = match (text.strip_prefix('-'), text.strip_suffix(":desc"), text.strip_suffix(":asc")) {
        (Some(name), None, None) => (name, true),
        (None, Some(name), None) => (name, true),
        (None, None, Some(name)) => (name, false),
        (None, None, None) => (text, false),
        _ => return Err(CliError::Failed(format!("--sort {text}: write -NAME or NAME:desc, not both"))),
    };
    let by = names::column(plan, report, name)?;
    match by {
        SortBy::Dimension(dimension) if !grouped.contains(&dimension) => {
            let problem = format!("--sort {text}: the rows are not grouped by {0}: add {0} to --by", dimension.name());
            Err(CliError::Failed(problem))
        }
        _ => Ok(Sort { by, descending }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use rstest::rstest;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn query(line: &[&str]) -> Result<ReportQuery, String> {
        let plan = crate::config::defaults().plan;
        let args = Line::try_parse_from(["report", "media"].iter().chain(line)).map_err(|e| e.to_string())?.args;
        let today = jiff::civil::date(2024, 6, 12);
        of(&args, &plan, plan.report("media").unwrap(), today).map_err(|error| error.to_string())
    }

    #[rstest]
    #[case("m1", &["m1"])]
    #[case("m1,m2", &["m1", "m2"])]
    #[case(r"a\,b,c", &["a,b", "c"])]
    #[case(r"x'\y\\,", &[r"x'\y\", ""])]
    #[case("", &[""])]
    fn commas_separate_values(#[case] text: &str, #[case] values: &[&str]) {
        assert_eq!(separated(text), values);
    }

    #[test]
    fn filters_of_one_dimension_are_put_together() {
        let query =
            query(&["--where", "device=PC,ALL", "--where", "디바이스=MOBILE", "--where", "media_key!=a=b"]).unwrap();
        let filter = |dimension, excluded, values: &[&str]| Filter {
            dimension,
            excluded,
            values: values.iter().map(|&value| value.into()).collect(),
        };
        let wanted =
            [filter(Dimension::Device, false, &["PC", "ALL", "MOBILE"]), filter(Dimension::MediaKey, true, &["a=b"])];
        assert_eq!(query.filters, wanted);
    }

    #[test]
    fn order_is_written_in_three_ways() {
        let sort = query(&["--sort", "-revenue,media_key:asc", "--sort", "수익:desc"]).unwrap().sort;
        let money = SortBy::Measure(5);
        let key = SortBy::Dimension(Dimension::MediaKey);
        let wanted = [(money, true), (key, false), (money, true)].map(|(by, descending)| Sort { by, descending });
        assert_eq!(sort, wanted);
    }

    #[test]
    fn chart_is_by_date_unless_said_otherwise() {
        assert_eq!(query(&["--chart", "revenue"]).unwrap().dimensions, [Dimension::ReportDate]);
        assert_eq!(query(&["--chart", "ctr", "--by", "device"]).unwrap().dimensions, [Dimension::Device]);
    }

    #[rstest]
    #[case(&["--from", "today", "--to", "yesterday"], "--from 2024-06-12 is after --to 2024-06-11")]
    #[case(&["--from", "tuesday"], "last-month")]
    #[case(&["--where", "media_key"], "--where media_key: write DIMENSION=VALUE or DIMENSION!=VALUE")]
    #[case(&["--where", "organization_id=7,x"], "organization_id is a whole number, and \"x\" is none")]
    #[case(&["--where", "report_date=yesterday"], "\"yesterday\" is not a date")]
    #[case(&["--by", "device,device"], "--by names device twice")]
    #[case(&["--by", "device", "--sort", "media_key"], "the rows are not grouped by media_key: add media_key to --by")]
    #[case(&["--sort", "-revenue:desc"], "write -NAME or NAME:desc, not both")]
    #[case(&["--sort", "revenu"], "did you mean revenue?")]
    fn mistake_is_named(#[case] line: &[&str], #[case] problem: &str) {
        let error = query(line).unwrap_err();
        assert!(error.contains(problem), "{error}");
    }
}

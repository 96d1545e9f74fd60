//! `audit`: the invariants that make the reports provable, date by date. Exit code 1 when one is broken.

use super::output::{self, Column, ColumnKind, Format, Rows};
use super::{CliError, open};
use crate::config::Config;
use crate::model::micros::decimal_text;
use crate::model::{MeasureKind, ReportDate};
use crate::report::Plan;
use crate::store::Audit;

#[derive(clap::Args)]
pub struct Args {
    /// First report date, such as 2024-06-10; the first there is when not given
    #[arg(long)]
    from: Option<ReportDate>,
    /// Last report date
    #[arg(long)]
    to: Option<ReportDate>,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

pub async fn run(args: Args, config: Config) -> Result<(), CliError> {
    in_order(args.from, args.to)?;
    let store = open::store(&config).await?;
    let audit = store.audit(args.from, args.to).await?;
    output::print(&days(&audit, &config.plan).to_text(args.format)?)?;
    eprint!("{}", verdict(&audit));
    if audit.findings.is_empty() { Ok(()) } else { Err(CliError::Said) }
}

/// A range that ends before it begins holds nothing, which is not what was meant.
pub fn in_order(from: Option<ReportDate>, to: Option<ReportDate>) -> Result<(), CliError> {
    match (from, to) {
        (Some(from), Some(to)) if from > to => Err(CliError::Failed(format!("--from {from} is after --to {to}"))),
        _ => Ok(()),
    }
}

/// Control totals by date.
pub fn days(audit: &Audit, plan: &Plan) -> Rows {
    let mut columns = vec![
        Column::new("report_date", ColumnKind::Text),
        Column::new("objects", ColumnKind::Integer),
        Column::new("rows", ColumnKind::Integer),
    ];
    columns.extend(plan.measures.iter().map(|measure| match measure.kind {
        MeasureKind::Count => Column::new(&measure.name, ColumnKind::Integer),
        MeasureKind::Money => Column::new(&measure.name, ColumnKind::Decimal),
    }));
    let rows = audit.days.iter().map(|day| {
        let sums = day.sums.iter().zip(&plan.measures).map(|(&sum, measure)| match measure.kind {
            MeasureKind::Count => sum.to_string(),
            MeasureKind::Money => decimal_text(sum, 6),
        });
        let facts = [day.date.to_string(), day.objects.to_string(), day.rows.to_string()];
        facts.into_iter().chain(sums).map(Some).collect()
    });
    Rows { columns, rows: rows.collect() }
}

/// One line when the books balance, else a line for each finding.
pub fn verdict(audit: &Audit) -> String {
    if audit.findings.is_empty() && audit.days.is_empty() {
        return "audit: nothing was counted on these dates\n".to_owned();
    }
    if audit.findings.is_empty() {
        return match audit.days.as_slice() {
            [day] => format!("audit: the books balance on {}\n", day.date),
            days => format!("audit: the books balance on all {} dates\n", days.len()),
        };
    }
    let line = |finding: &crate::store::Finding| {
        let date = finding.date.map_or(String::new(), |date| format!("{date}: "));
        format!("audit: BROKEN {date}{}: {}\n", finding.invariant, finding.detail)
    };
    audit.findings.iter().map(line).collect()
}

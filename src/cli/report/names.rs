//! What a person typed -> what there is: by name, by what it is called in either language, or refused with the nearest.

use crate::cli::CliError;
use crate::model::{Dimension, Language};
use crate::report::{Plan, Report, labels};
use crate::store::SortBy;

/// Something that has a name, and the other ways in which it is called.
struct Known<'a, T> {
    it: T,
    name: &'a str,
    called: [&'a str; 2],
}

pub fn report<'a>(plan: &'a Plan, typed: &str) -> Result<&'a Report, CliError> {
    let known: Vec<Known<&Report>> = plan
        .reports
        .iter()
        .map(|it| Known { it, name: &it.name, called: Language::ALL.map(|language| labels::title(it, language)) })
        .collect();
    find(&known, typed).ok_or_else(|| unknown(format!("there is no report {typed:?}"), "there are", &known, typed))
}

fn dimensions(report: &Report) -> Vec<Known<'_, SortBy>> {
    let known = |of: &Dimension| Known {
        it: SortBy::Dimension(*of),
        name: of.name(),
        called: Language::ALL.map(|language| labels::dimension(*of, language)),
    };
    report.dimensions.iter().map(known).collect()
}

fn numbers<'a>(plan: &'a Plan, report: &'a Report) -> Vec<Known<'a, SortBy>> {
    let measures = report.measures.iter().map(|&at| Known {
        it: SortBy::Measure(at),
        name: &plan.measures[at].name,
        called: Language::ALL.map(|language| labels::measure(&plan.measures[at], language)),
    });
    let ratios = report.ratios.iter().enumerate().map(|(at, ratio)| Known {
        it: SortBy::Ratio(at),
        name: &ratio.name,
        called: Language::ALL.map(|language| labels::ratio(ratio, language)),
    });
    measures.chain(ratios).collect()
}

pub fn dimension(report: &Report, typed: &str) -> Result<Dimension, CliError> {
    let known = dimensions(report);
    match find(&known, typed) {
        Some(SortBy::Dimension(dimension)) => Ok(dimension),
        _ => Err(unknown(format!("report {} has no dimension {typed:?}", report.name), "it has", &known, typed)),
    }
}

/// A measure or a ratio.
pub fn number(plan: &Plan, report: &Report, typed: &str) -> Result<SortBy, CliError> {
    let known = numbers(plan, report);
    find(&known, typed).ok_or_else(|| {
        unknown(format!("report {} has no measure or ratio {typed:?}", report.name), "it has", &known, typed)
    })
}

/// A dimension, a measure or a ratio.
pub fn column(plan: &Plan, report: &Report, typed: &str) -> Result<SortBy, CliError> {
    let mut known = dimensions(report);
    known.extend(numbers(plan, report));
    find(&known, typed)
        .ok_or_else(|| unknown(format!("report {} has no column {typed:?}", report.name), "it has", &known, typed))
}

fn find<T: Copy>(known: &[Known<'_, T>], typed: &str) -> Option<T> {
    let by_name = known.iter().find(|known| known.name == typed);
    let called =
        |known: &&Known<'_, T>| known.called.iter().any(|called| called.to_lowercase() == typed.to_lowercase());
    by_name.or_else(|| known.iter().find(called)).map(|known| known.it)
}

fn unknown<T>(problem: String, all: &str, known: &[Known<'_, T>], typed: &str) -> CliError {
    let names: Vec<&str> = known.iter().map(|known| known.name).collect();
    let distance = |name: &&&str| strsim::damerau_levenshtein(&typed.to_lowercase(), name);
    let near = names.iter().min_by_key(distance).filter(|name| distance(name) <= typed.chars().count().max(4) / 2);
    let meant = near.map(|name| format!(": did you mean {name}?")).unwrap_or_else(|| ":".into());
    CliError::Failed(format!("{problem}{meant} {all} {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("report_date", SortBy::Dimension(Dimension::ReportDate))]
    #[case("날짜", SortBy::Dimension(Dimension::ReportDate))]
    #[case("매체 키", SortBy::Dimension(Dimension::MediaKey))]
    #[case("CTR", SortBy::Ratio(0))]
    fn column_is_found_by_its_name_in_either_language(#[case] typed: &str, #[case] wanted: SortBy) {
        let plan = crate::config::defaults().plan;
        assert_eq!(column(&plan, plan.report("media").unwrap(), typed).ok(), Some(wanted));
    }

    #[test]
    fn wrong_name_gets_the_nearest_and_the_list() {
        let plan = crate::config::defaults().plan;
        let media = plan.report("media").unwrap();
        let problem = |error: CliError| error.to_string();
        assert_eq!(
            report(&plan, "medai").map_err(problem).unwrap_err(),
            "there is no report \"medai\": did you mean media? there are ad, ad_request, demand, media"
        );
        assert_eq!(
            dimension(media, "devise").map_err(problem).unwrap_err(),
            "report media has no dimension \"devise\": did you mean device? it has report_date, organization_id, \
             media_key, device"
        );
        let far = number(&plan, media, "bounce_rate_of_page").map_err(problem).unwrap_err();
        assert!(
            far.starts_with("report media has no measure or ratio \"bounce_rate_of_page\": it has impressions"),
            "{far}"
        );
    }
}

//! What people call what is reported. In English a column is called by its name, which is also what the command line
//! takes; in Korean the built-in ones have the words of the trade. `labels` in the configuration overrides either.

use super::{Ratio, Report};
use crate::model::{Dimension, Labels, Language, Measure};

/// Name -> Korean, of dimensions, measures and ratios.
const KOREAN_COLUMNS: &[(&str, &str)] = &[
    ("report_date", "날짜"),
    ("organization_id", "조직 ID"),
    ("media_key", "매체 키"),
    ("inventory_id", "지면 ID"),
    ("ad_id", "광고 ID"),
    ("demand_id", "수요처 ID"),
    ("ad_type", "광고 유형"),
    ("device", "디바이스"),
    ("app_type", "앱 유형"),
    ("requests", "요청수"),
    ("responses", "응답수"),
    ("passbacks", "패스백수"),
    ("impressions", "노출수"),
    ("clicks", "클릭수"),
    ("revenue", "수익"),
    ("agency_revenue", "대행사 수익"),
    ("media_revenue", "매체 수익"),
    ("response_rate", "응답률"),
    ("passback_rate", "패스백률"),
    ("ctr", "CTR"),
    ("cpc", "CPC"),
    ("ecpm", "eCPM"),
];

/// Report -> its title in English and in Korean.
const TITLES: &[(&str, &str, &str)] = &[
    ("ad", "ad performance", "광고 성과"),
    ("ad_request", "ad requests", "광고 요청"),
    ("demand", "demand partners (DSP)", "수요처(DSP)"),
    ("media", "media", "매체"),
];

fn column<'a>(name: &'a str, labels: Option<&'a Labels>, language: Language) -> &'a str {
    let built_in = match language {
        Language::English => None,
        Language::Korean => KOREAN_COLUMNS.iter().find(|(known, _)| *known == name).map(|(_, label)| *label),
    };
    labels.and_then(|labels| labels.of(language)).or(built_in).unwrap_or(name)
}

pub fn dimension(dimension: Dimension, language: Language) -> &'static str {
    column(dimension.name(), None, language)
}

pub fn measure(measure: &Measure, language: Language) -> &str {
    column(&measure.name, Some(&measure.labels), language)
}

pub fn ratio(ratio: &Ratio, language: Language) -> &str {
    column(&ratio.name, Some(&ratio.labels), language)
}

/// A report without a title of its own is called by its name.
pub fn title(report: &Report, language: Language) -> &str {
    let built_in = TITLES.iter().find(|(known, ..)| *known == report.name).map(|(_, english, korean)| match language {
        Language::English => *english,
        Language::Korean => *korean,
    });
    report.labels.of(language).or(built_in).unwrap_or(&report.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dimension_has_a_korean_name() {
        for of in Dimension::ALL {
            assert!(!dimension(of, Language::Korean).is_ascii(), "{}", of.name());
            assert_eq!(dimension(of, Language::English), of.name());
        }
    }

    #[test]
    fn every_korean_name_stands_in_the_documents() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/report.md");
        let document = std::fs::read_to_string(path).unwrap();
        let titles = TITLES.iter().map(|(name, _, korean)| (format!("`{name}`"), *korean));
        for (name, korean) in KOREAN_COLUMNS.iter().map(|(name, korean)| (name.to_string(), *korean)).chain(titles) {
            assert!(document.contains(&format!("| {name} | {korean} |")), "{name}: {korean}");
        }
    }

    #[test]
    fn no_two_columns_have_the_same_korean_name() {
        let labels: std::collections::HashSet<&str> = KOREAN_COLUMNS.iter().map(|(_, label)| *label).collect();
        assert_eq!(labels.len(), KOREAN_COLUMNS.len());
    }

    #[test]
    fn given_label_overrides_the_built_in_one_in_its_language_only() {
        let labels = Labels { ko: Some("매출".into()), en: None };
        assert_eq!(column("revenue", Some(&labels), Language::Korean), "매출");
        assert_eq!(column("revenue", Some(&labels), Language::English), "revenue");
        assert_eq!(column("video_views", None, Language::Korean), "video_views");
    }
}

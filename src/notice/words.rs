//! The few words that differ between languages.

use crate::model::FailureKind;

/// In what people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    English,
    Korean,
}

impl Language {
    pub fn named(name: &str) -> Option<Language> {
        match name {
            "en" => Some(Language::English),
            "ko" => Some(Language::Korean),
            _ => None,
        }
    }

    pub fn choose<'a>(self, english: &'a str, korean: &'a str) -> &'a str {
        match self {
            Language::English => english,
            Language::Korean => korean,
        }
    }

    /// A measure that the platform has no word for keeps its name.
    pub fn measure(self, name: &str) -> String {
        let korean = match name {
            "requests" => "요청수",
            "responses" => "응답수",
            "passbacks" => "패스백",
            "impressions" => "노출수",
            "clicks" => "클릭수",
            "revenue" => "수익",
            "agency_revenue" => "대행사 수익",
            "media_revenue" => "매체 수익",
            other => other,
        };
        match self {
            Language::English => name.replace('_', " "),
            Language::Korean => korean.to_owned(),
        }
    }

    /// `1 object`, `2 objects`: English counts one apart.
    pub fn count(self, number: i128, english: &str, korean: &str, counter: &str) -> String {
        let digits = super::amount::amount(crate::model::MeasureKind::Count, number);
        match self {
            Language::English => format!("{digits} {english}{}", if number == 1 { "" } else { "s" }),
            Language::Korean => format!("{korean} {digits}{counter}"),
        }
    }

    /// What to do about failures of this kind.
    pub fn advice(self, kind: FailureKind) -> &'static str {
        if self == Language::English {
            return kind.advice();
        }
        match kind {
            FailureKind::Notification => "메시지 본문을 확인하세요. 이 큐에 다른 무엇이 쓰고 있습니까?",
            FailureKind::Missing => "원본을 다시 업로드하도록 요청하세요. 새 이벤트가 오면 집계됩니다",
            FailureKind::Denied => "객체에 s3:GetObject(키에는 kms:Decrypt) 권한을 부여한 뒤 다시 시도하세요",
            FailureKind::Unreachable => "객체를 직접 읽어 보고, 읽히면 다시 시도하세요",
            FailureKind::Replaced => "새로 업로드된 객체가 집계되었다면 할 일이 없고, 아니면 다시 시도하세요",
            FailureKind::Overwritten => "처음 내용이 리포트에 반영되어 있습니다. 어느 쪽이 맞는지 확인하세요",
            FailureKind::TooLarge => "정상 객체라면 사유에 적힌 한도를 올린 뒤 다시 시도하세요",
            FailureKind::Gzip => "원본을 다시 업로드하도록 요청하세요",
            FailureKind::Pickle => "원본을 다시 만들도록 요청하세요. 깨진 위치는 사유에 있습니다",
            FailureKind::Forbidden => "이 객체를 Python에서 unpickle하지 마세요. 누가 만들었는지 확인하세요",
            FailureKind::Rejects => "`inspect`로 거부 사유를 확인해 로그 또는 한도를 고친 뒤 다시 시도하세요",
            FailureKind::Overflow => "`inspect`로 합계를 확인하세요. 사실일 수 없는 숫자가 있습니다",
            FailureKind::Defect => "객체를 보관하고 xc2-analyzer 개발자에게 알려 주세요",
        }
    }
}

//! What people call things: the names of columns and reports in the languages that reports are printed in.

use serde::Deserialize;

/// A language that reports are printed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    #[default]
    English,
    Korean,
}

impl Language {
    pub const ALL: [Language; 2] = [Language::English, Language::Korean];

    /// As `--lang` and the configuration write it: ISO 639-1.
    pub fn code(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::Korean => "ko",
        }
    }

    pub fn named(code: &str) -> Option<Language> {
        Self::ALL.into_iter().find(|language| language.code() == code)
    }
}

/// `labels = { en = "..", ko = ".." }` of a `[[measure]]`, a `[[report]]` or a ratio: what it is called instead of what
/// it would be called without.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    pub en: Option<String>,
    pub ko: Option<String>,
}

impl Labels {
    pub fn of(&self, language: Language) -> Option<&str> {
        match language {
            Language::English => self.en.as_deref(),
            Language::Korean => self.ko.as_deref(),
        }
    }

    /// Every label that was given.
    pub fn given(&self) -> impl Iterator<Item = &str> {
        [&self.en, &self.ko].into_iter().flatten().map(String::as_str)
    }
}

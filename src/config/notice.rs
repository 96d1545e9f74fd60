//! `[notice]`, from what is written to what is meant.

use std::time::Duration;

use super::ConfigError;
use super::raw;
use super::validated::{duration, wrong};
use crate::model::Secret;
use crate::notice::{Language, NoticeSettings};
use crate::source::topic;
use crate::telemetry::webhook;

pub(super) fn notice(raw: raw::Notice) -> Result<NoticeSettings, ConfigError> {
    const DAY: Duration = Duration::from_secs(86_400);
    const TIMEOUT_MAX: Duration = Duration::from_secs(120);
    let language = Language::named(&raw.language)
        .ok_or_else(|| wrong("notice.language", format!("{:?} is neither \"en\" nor \"ko\"", raw.language)))?;
    let (webhook, topic_arn) = (raw.webhook.trim(), raw.topic_arn.trim());
    if !webhook.is_empty() {
        webhook::check_url(webhook).map_err(|problem| wrong("notice.webhook", problem))?;
    }
    if !topic_arn.is_empty() {
        topic::check_arn(topic_arn).map_err(|problem| wrong("notice.topic_arn", problem))?;
    }
    let failures_every = duration("notice.failures_every", raw.failures_every, DAY)?;
    if failures_every < Duration::from_secs(1) {
        return Err(wrong("notice.failures_every", "must be at least 1s".into()));
    }
    Ok(NoticeSettings {
        webhook: (!webhook.is_empty()).then(|| Secret::new(webhook)),
        topic_arn: (!topic_arn.is_empty()).then(|| topic_arn.to_owned()),
        language,
        quiet: duration("notice.quiet", raw.quiet, 7 * DAY)?,
        max_age: duration("notice.max_age", raw.max_age, 36_500 * DAY)?,
        failures_every,
        timeout: duration("notice.timeout", raw.timeout, TIMEOUT_MAX)?,
    })
}

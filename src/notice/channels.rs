//! The places that notices go to. Each message is sent once here; who sends again, and when, is the dispatcher's.

use std::time::Duration;

use serde_json::Value;

use super::message;
use super::{Language, NoticeSettings};
use crate::model::Secret;
use crate::source::SourceSettings;
use crate::source::topic::{Publication, Topic};
use crate::store::Channel;
use crate::telemetry::webhook::{self, WebhookError};

/// What is configured of them.
pub struct Channels {
    webhook: Option<Secret>,
    topic: Option<Topic>,
    timeout: Duration,
    pub language: Language,
}

/// Why a notice is not known to have arrived.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It passes: try again, after `wait` when the receiver said so.
    #[error("{problem}")]
    Passing { problem: String, wait: Option<Duration> },
    /// Somebody has to do something about it first.
    #[error("{problem}")]
    Refused { problem: String },
}

impl Channels {
    /// Opens what is configured. The error is a sentence for the person who configured it.
    pub async fn open(settings: &NoticeSettings, source: &SourceSettings) -> Result<Channels, String> {
        let topic = match &settings.topic_arn {
            Some(arn) => Some(Topic::open(arn, source, settings.timeout).await?),
            None => None,
        };
        let (webhook, language) = (settings.webhook.clone(), settings.language);
        Ok(Channels { webhook, topic, timeout: settings.timeout, language })
    }

    pub fn list(&self) -> Vec<Channel> {
        let webhook = self.webhook.as_ref().map(|_| Channel::Webhook);
        webhook.into_iter().chain(self.topic.as_ref().map(|_| Channel::Topic)).collect()
    }

    /// Sends once; what the receiver said. At most the configured timeout.
    pub async fn send(&self, channel: Channel, body: &Value) -> Result<String, SendError> {
        match (channel, &self.webhook, &self.topic) {
            (Channel::Webhook, Some(url), _) => self.post(url.clone(), body).await,
            (Channel::Topic, _, Some(topic)) => self.publish(topic, body).await,
            _ => Err(SendError::Refused { problem: "it is not configured".to_owned() }),
        }
    }

    async fn post(&self, url: Secret, body: &Value) -> Result<String, SendError> {
        let (id, json, timeout) = (text(body, "id").to_owned(), message::for_webhook(body), self.timeout);
        let posted = tokio::task::spawn_blocking(move || webhook::post(&url, &id, &json, timeout)).await;
        match posted {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(WebhookError::Passing { problem, wait })) => Err(SendError::Passing { problem, wait }),
            Ok(Err(WebhookError::Refused { problem })) => Err(SendError::Refused { problem }),
            Err(_) => Err(SendError::Passing { problem: "the sending thread panicked".into(), wait: None }),
        }
    }

    async fn publish(&self, topic: &Topic, body: &Value) -> Result<String, SendError> {
        let json = body.to_string();
        let publication = Publication {
            id: text(body, "id"),
            kind: text(body, "kind"),
            subject: text(body, "subject"),
            text: text(body, "text"),
            json: &json,
        };
        match tokio::time::timeout(self.timeout, topic.publish(&publication)).await {
            Ok(Ok(id)) => Ok(format!("published as {id}")),
            Ok(Err(error)) if error.is_passing => Err(SendError::Passing { problem: error.problem, wait: None }),
            Ok(Err(error)) => Err(SendError::Refused { problem: error.problem }),
            Err(_) => Err(SendError::Passing { problem: "no answer in time".into(), wait: None }),
        }
    }
}

impl std::fmt::Display for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Channel::Webhook => "webhook",
            Channel::Topic => "topic",
        })
    }
}

fn text<'a>(body: &'a Value, key: &str) -> &'a str {
    body[key].as_str().unwrap_or_default()
}

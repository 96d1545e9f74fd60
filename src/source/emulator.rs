//! A real S3 and SQS API over HTTP for this module's tests.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_s3::types::{Event, NotificationConfiguration, QueueConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;

use super::aws::Aws;
use super::settings::{SourceSettings, SourceUrl};

#[path = "../../tests/support/moto.rs"]
mod moto;

/// A bucket and a queue of one test's own.
pub(super) struct Emulator {
    pub bucket: String,
    pub queue_url: String,
    pub s3: aws_sdk_s3::Client,
    pub sqs: aws_sdk_sqs::Client,
    pub settings: SourceSettings,
    pub aws: Aws,
}

impl Emulator {
    pub async fn start() -> Self {
        static TESTS: AtomicU32 = AtomicU32::new(0);
        let number = TESTS.fetch_add(1, Ordering::Relaxed);
        let endpoint = moto::server().endpoint();
        let queue_url = format!("{endpoint}/123456789012/queue-{number}");
        let mut settings = SourceSettings::new(SourceUrl::Sqs(queue_url.clone()));
        settings.long_poll = Duration::from_secs(1);
        let aws = Aws::emulated(endpoint, &settings).await;
        let (s3, sqs) = (aws.s3().unwrap(), aws.sqs(Duration::ZERO));
        let bucket = format!("bucket-{number}");
        s3.create_bucket().bucket(&bucket).send().await.unwrap();
        sqs.create_queue().queue_name(format!("queue-{number}")).send().await.unwrap();
        Self { bucket, queue_url, s3, sqs, settings, aws }
    }

    /// From here on, uploads are announced on the queue.
    pub async fn announce_uploads(&self) {
        let name = QueueAttributeName::QueueArn;
        let attributes =
            self.sqs.get_queue_attributes().queue_url(&self.queue_url).attribute_names(name.clone()).send().await;
        let arn = attributes.unwrap().attributes.unwrap()[&name].clone();
        let queue = QueueConfiguration::builder().queue_arn(arn).events(Event::S3ObjectCreated).build().unwrap();
        let configuration = NotificationConfiguration::builder().queue_configurations(queue).build();
        let request = self.s3.put_bucket_notification_configuration().bucket(&self.bucket);
        request.notification_configuration(configuration).send().await.unwrap();
    }

    /// Uploads an object and gives its ETag.
    pub async fn put(&self, key: &str, body: &[u8]) -> String {
        let request = self.s3.put_object().bucket(&self.bucket).key(key).body(body.to_vec().into());
        request.send().await.unwrap().e_tag.unwrap().trim_matches('"').to_owned()
    }

    pub async fn send(&self, body: &str) {
        self.sqs.send_message().queue_url(&self.queue_url).message_body(body).send().await.unwrap();
    }
}

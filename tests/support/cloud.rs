//! A bucket that announces its objects on a queue, in the emulator.

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketVersioningStatus, Event, NotificationConfiguration, QueueConfiguration, VersioningConfiguration,
};
use aws_sdk_sqs::types::QueueAttributeName;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use crate::moto;

pub struct Cloud {
    pub s3: aws_sdk_s3::Client,
    pub sqs: aws_sdk_sqs::Client,
    pub sns: aws_sdk_sns::Client,
    pub bucket: String,
    pub queue_url: String,
}

impl Cloud {
    /// A bucket and a queue of this name; the bucket announces new objects on the queue.
    pub async fn new(name: &str) -> Cloud {
        let moto = moto::server();
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(moto.endpoint())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
            .http_client(http)
            .load()
            .await;
        let s3 = aws_sdk_s3::config::Builder::from(&sdk).force_path_style(true).build();
        let (s3, sqs) = (aws_sdk_s3::Client::from_conf(s3), aws_sdk_sqs::Client::new(&sdk));
        let sns = aws_sdk_sns::Client::new(&sdk);
        s3.create_bucket().bucket(name).send().await.unwrap();
        let queue_url = sqs.create_queue().queue_name(name).send().await.unwrap().queue_url.unwrap();
        let cloud = Cloud { s3, sqs, sns, bucket: name.to_owned(), queue_url };
        cloud.let_bucket_send().await;
        cloud.announce_objects().await;
        cloud
    }

    /// Another queue, empty and announced on by nobody, in place of the one before.
    pub async fn renew_queue(&mut self, name: &str) {
        self.sqs.delete_queue().queue_url(&self.queue_url).send().await.unwrap();
        self.queue_url = self.sqs.create_queue().queue_name(name).send().await.unwrap().queue_url.unwrap();
    }

    /// Another bucket, empty and announcing to nobody, in place of the one before.
    pub async fn renew_bucket(&mut self, name: &str) {
        self.s3.create_bucket().bucket(name).send().await.unwrap();
        self.bucket = name.to_owned();
    }

    /// The queue's policy, without which S3 itself would refuse to announce on it.
    async fn let_bucket_send(&self) {
        let arn = self.attribute_of(&self.queue_url, QueueAttributeName::QueueArn).await;
        let policy = serde_json::json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn,
            "Condition": {
                "ArnLike": {"aws:SourceArn": format!("arn:aws:s3:::{}", self.bucket)},
                "StringEquals": {"aws:SourceAccount": "123456789012"},
            },
        }]});
        self.set(QueueAttributeName::Policy, &policy.to_string()).await;
    }

    /// Replaces what the bucket announces.
    pub async fn announce(&self, queues: Vec<QueueConfiguration>) {
        let configuration = NotificationConfiguration::builder().set_queue_configurations(Some(queues)).build();
        let put = self.s3.put_bucket_notification_configuration().bucket(&self.bucket);
        put.notification_configuration(configuration).send().await.unwrap();
    }

    async fn announce_objects(&self) {
        let arn = self.attribute_of(&self.queue_url, QueueAttributeName::QueueArn).await;
        let to_queue = QueueConfiguration::builder().queue_arn(arn).events(Event::S3ObjectCreated).build().unwrap();
        let configuration = NotificationConfiguration::builder().queue_configurations(to_queue).build();
        let put = self.s3.put_bucket_notification_configuration().bucket(&self.bucket);
        put.notification_configuration(configuration).send().await.unwrap();
    }

    pub async fn upload(&self, key: &str, body: &[u8]) {
        let body = ByteStream::from(body.to_vec());
        self.s3.put_object().bucket(&self.bucket).key(key).body(body).send().await.unwrap();
    }

    pub async fn delete(&self, key: &str) {
        self.s3.delete_object().bucket(&self.bucket).key(key).send().await.unwrap();
    }

    /// From here on an upload leaves the earlier content there as a version.
    pub async fn keep_versions(&self) {
        let versioning = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let put = self.s3.put_bucket_versioning().bucket(&self.bucket);
        put.versioning_configuration(versioning).send().await.unwrap();
    }

    /// Body and metadata of an object.
    pub async fn object(&self, key: &str) -> (Vec<u8>, std::collections::HashMap<String, String>) {
        let object = self.s3.get_object().bucket(&self.bucket).key(key).send().await.unwrap();
        let metadata = object.metadata.clone().unwrap_or_default();
        (object.body.collect().await.unwrap().to_vec(), metadata)
    }

    /// The keys that begin so.
    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        let listed = self.s3.list_objects_v2().bucket(&self.bucket).prefix(prefix).send().await.unwrap();
        listed.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
    }

    /// Puts a message on the queue by hand.
    pub async fn send(&self, body: &str) {
        self.sqs.send_message().queue_url(&self.queue_url).message_body(body).send().await.unwrap();
    }

    /// Another queue; its URL. A name that ends with `.fifo` must come with its attribute.
    pub async fn queue(&self, name: &str, attributes: &[(QueueAttributeName, &str)]) -> String {
        let mut create = self.sqs.create_queue().queue_name(name);
        for (name, value) in attributes {
            create = create.attributes(name.clone(), *value);
        }
        create.send().await.unwrap().queue_url.unwrap()
    }

    /// Changes a setting of this world's queue.
    pub async fn set(&self, name: QueueAttributeName, value: &str) {
        // The emulator forgets a policy that is not set again with the rest.
        let policy =
            self.sqs.get_queue_attributes().queue_url(&self.queue_url).attribute_names(QueueAttributeName::Policy);
        let known = policy.send().await.unwrap().attributes.unwrap_or_default();
        let mut set = self.sqs.set_queue_attributes().queue_url(&self.queue_url);
        for (kept, policy) in known.into_iter().filter(|(kept, _)| *kept == QueueAttributeName::Policy) {
            set = set.attributes(kept, policy);
        }
        set.attributes(name, value).send().await.unwrap();
    }

    /// Messages that are visible, and those that somebody holds: asked in one call, since a message goes from one to the
    /// other at any moment.
    pub async fn queue_depth(&self) -> (u64, u64) {
        self.depth_of(&self.queue_url).await
    }

    pub async fn depth_of(&self, queue_url: &str) -> (u64, u64) {
        use QueueAttributeName::{ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible};
        let ask = async || {
            let names = [ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible];
            let numbers = self.attributes_of(queue_url, &names).await;
            (numbers[0].parse().unwrap(), numbers[1].parse().unwrap())
        };
        // The emulator counts the one after the other: a message that shows again in between is in neither.
        match ask().await {
            (0, 0) => ask().await,
            depth => depth,
        }
    }

    pub async fn attribute_of(&self, queue_url: &str, name: QueueAttributeName) -> String {
        self.attributes_of(queue_url, &[name]).await.remove(0)
    }

    async fn attributes_of(&self, queue_url: &str, names: &[QueueAttributeName]) -> Vec<String> {
        let get = self.sqs.get_queue_attributes().queue_url(queue_url);
        let answer = get.set_attribute_names(Some(names.to_vec())).send().await.unwrap().attributes.unwrap();
        names.iter().map(|name| answer[name].clone()).collect()
    }
}

/// An S3 notification of these keys, as S3 writes them: form-encoded.
pub fn s3_event(bucket: &str, keys: &[&str]) -> String {
    let records: Vec<serde_json::Value> = keys
        .iter()
        .map(|key| {
            let key: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
            serde_json::json!({
                "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": bucket}, "object": {"key": key}},
            })
        })
        .collect();
    serde_json::json!({ "Records": records }).to_string()
}

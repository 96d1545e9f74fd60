"""Makes the bucket, the queues and the notification between them. Safe to repeat."""

import json
import os

import boto3

BUCKET, QUEUE = "ad-logs", "ad-logs"
DAY = 24 * 60 * 60
REGION = os.environ["AWS_REGION"]  # which boto3 does not read by itself

sqs, s3 = boto3.client("sqs", region_name=REGION), boto3.client("s3", region_name=REGION)


def queue(name, **attributes):
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={key: str(value) for key, value in attributes.items()})
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


_, dead_letters = queue(f"{QUEUE}-dead-letters", MessageRetentionPeriod=14 * DAY)
redrive = json.dumps({"deadLetterTargetArn": dead_letters, "maxReceiveCount": 10})
url, arn = queue(QUEUE, MessageRetentionPeriod=7 * DAY, VisibilityTimeout=120, RedrivePolicy=redrive)

if BUCKET not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
    location = {"LocationConstraint": REGION}
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
notification = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=notification)
print(f"s3://{BUCKET} announces its objects on {url}")

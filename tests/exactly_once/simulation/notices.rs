//! The bodies of messages, as S3, SNS and others write them.

use serde_json::json;

use super::bucket::{BUCKET, key, version_id};
use super::scenario::Body;
use super::world::World;

/// The body of one of the scenario's messages.
pub fn body(world: &World, plan: usize) -> String {
    match &world.scenario.messages[plan].body {
        Body::Test => json!({ "Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET }).to_string(),
        Body::Unreadable => format!("no notification, number {plan}"),
        Body::Uploads { uploads, through_sns } => {
            let records: Vec<_> = uploads.iter().map(|&upload| record(world, upload)).collect();
            let event = json!({ "Records": records }).to_string();
            match through_sns {
                false => event,
                true => {
                    json!({ "Type": "Notification", "TopicArn": "arn:aws:sns:x:1:t", "Message": event }).to_string()
                }
            }
        }
    }
}

fn record(world: &World, (object, upload): (usize, usize)) -> serde_json::Value {
    let made = &world.bodies[object][upload];
    let mut described = json!({
        "key": key(object).replace('/', "%2F"),
        "size": made.bytes.len(),
        "eTag": made.etag,
        "sequencer": format!("{:016X}", upload + 1),
    });
    if world.scenario.objects[object].versioned {
        described["versionId"] = version_id(upload).into();
    }
    json!({
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": { "bucket": { "name": BUCKET }, "object": described },
    })
}

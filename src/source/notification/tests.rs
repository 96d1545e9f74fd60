use rstest::rstest;

use super::*;

/// As the S3 User Guide prints it ("Event message structure"), placeholders filled in.
fn s3_record_of(event: &str, object: &str) -> String {
    format!(
        r#"{{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-west-2","eventTime":"1970-01-01T00:00:00.000Z",
        "eventName":"{event}","userIdentity":{{"principalId":"AIDAJDPLRKLG7UEXAMPLE"}},
        "requestParameters":{{"sourceIPAddress":"127.0.0.1"}},
        "responseElements":{{"x-amz-request-id":"C3D13FE58DE4C810","x-amz-id-2":"FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5Wp6S7S/JRWeUWerMUE5JgHvANOjpD"}},
        "s3":{{"s3SchemaVersion":"1.0","configurationId":"testConfigRule",
        "bucket":{{"name":"amzn-s3-demo-bucket","ownerIdentity":{{"principalId":"A3NL1KOZZKExample"}},"arn":"arn:aws:s3:::amzn-s3-demo-bucket"}},
        "object":{object}}}}}"#
    )
}

fn s3_body(records: &[String]) -> String {
    format!(r#"{{"Records":[{}]}}"#, records.join(","))
}

fn put(object: &str) -> String {
    s3_body(&[s3_record_of("ObjectCreated:Put", object)])
}

fn put_key(key: &str) -> String {
    put(&format!(r#"{{"key":"{key}","size":1024}}"#))
}

const HAPPY_FACE: &str = r#"{"key":"HappyFace.jpg","size":1024,"eTag":"d41d8cd98f00b204e9800998ecf8427e",
    "versionId":"096fKKXTRTtl3on89fVO.nfljtsv6qko","sequencer":"0055AED6DCD90281E5"}"#;

fn sns(message: &str) -> String {
    serde_json::json!({
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:us-west-2:123456789012:MyTopic",
        "Subject": "Amazon S3 Notification",
        "Message": message,
        "Timestamp": "2012-05-02T00:54:06.655Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLEw6JRN...",
        "SigningCertURL": "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem",
        "UnsubscribeURL": "https://sns.us-west-2.amazonaws.com/?Action=Unsubscribe"
    })
    .to_string()
}

/// As the S3 User Guide prints it ("EventBridge event message structure").
fn event_bridge_body(kind: &str, key: &str) -> String {
    format!(
        r#"{{"version":"0","id":"17793124-05d4-b198-2fde-7ededc63b103","detail-type":"{kind}","source":"aws.s3",
        "account":"111122223333","time":"2021-11-12T00:00:00Z","region":"ca-central-1",
        "resources":["arn:aws:s3:::amzn-s3-demo-bucket"],
        "detail":{{"version":"0","bucket":{{"name":"amzn-s3-demo-bucket"}},
        "object":{{"key":"{key}","size":5,"etag":"b1946ac92492d2347c6235b4d2611184",
        "version-id":"IYV3p45BT0ac8hjHg1houSdS1a.Mro8e","sequencer":"617f08299329d189"}},
        "request-id":"N4N7GDK58NMKJ12R","requester":"123456789012","source-ip-address":"1.2.3.4","reason":"PutObject"}}}}"#
    )
}

const EVENT_BRIDGE_DELETED: &str = r#"{"version":"0","id":"2ee9cc15-d022-99ea-1fb8-1b1bac4850f9",
    "detail-type":"Object Deleted","source":"aws.s3","account":"111122223333","time":"2021-11-12T00:00:00Z",
    "region":"ca-central-1","resources":["arn:aws:s3:::amzn-s3-demo-bucket1"],
    "detail":{"version":"0","bucket":{"name":"amzn-s3-demo-bucket1"},
    "object":{"key":"example-key","etag":"d41d8cd98f00b204e9800998ecf8427e",
    "version-id":"1QW9g1Z99LUNbvaaYVpW9xDlOLU.qxgF","sequencer":"617f0837b476e463"},
    "request-id":"0BH729840619AG5K","requester":"123456789012","source-ip-address":"1.2.3.4",
    "reason":"DeleteObject","deletion-type":"Delete Marker Created"}}"#;

const TEST_EVENT: &str = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2014-10-13T15:57:02.089Z",
    "Bucket":"amzn-s3-demo-bucket","RequestId":"5582815E1AEA5ADF","HostId":"8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR+YstdA6Knx4Ip8EXAMPLE"}"#;

fn read_objects(body: &str) -> Vec<ObjectRef> {
    match read(body, &Filter::default()) {
        Content::Objects(objects) => objects,
        Content::Unreadable { reason } => panic!("unreadable: {reason}"),
    }
}

fn read_keys(body: &str) -> Vec<String> {
    read_objects(body).into_iter().map(|object| object.key).collect()
}

fn reason(body: &str) -> String {
    match read(body, &Filter::default()) {
        Content::Objects(objects) => panic!("read as {objects:?}"),
        Content::Unreadable { reason } => reason,
    }
}

#[rstest]
#[case::direct_or_raw_sns(put(HAPPY_FACE))]
#[case::in_an_sns_envelope(sns(&put(HAPPY_FACE)))]
fn s3_message_announces_its_object(#[case] body: String) {
    let expected = ObjectRef {
        bucket: "amzn-s3-demo-bucket".into(),
        key: "HappyFace.jpg".into(),
        announced: Announced {
            version_id: Some("096fKKXTRTtl3on89fVO.nfljtsv6qko".into()),
            etag: Some("d41d8cd98f00b204e9800998ecf8427e".into()),
            sequencer: Some("0055AED6DCD90281E5".into()),
            bytes: Some(1024),
            event_at: Some(jiff::Timestamp::UNIX_EPOCH),
        },
    };
    assert_eq!(read_objects(&body), [expected]);
}

#[rstest]
#[case::direct(event_bridge_body("Object Created", "example-key"))]
#[case::through_sns(sns(&event_bridge_body("Object Created", "example-key")))]
fn event_bridge_event_announces_its_object(#[case] body: String) {
    let expected = ObjectRef {
        bucket: "amzn-s3-demo-bucket".into(),
        key: "example-key".into(),
        announced: Announced {
            version_id: Some("IYV3p45BT0ac8hjHg1houSdS1a.Mro8e".into()),
            etag: Some("b1946ac92492d2347c6235b4d2611184".into()),
            sequencer: Some("617f08299329d189".into()),
            bytes: Some(5),
            event_at: Some("2021-11-12T00:00:00Z".parse().unwrap()),
        },
    };
    assert_eq!(read_objects(&body), [expected]);
}

#[rstest]
#[case("red+flower.jpg", "red flower.jpg")]
#[case("a%2Bb", "a+b")]
#[case("100%25", "100%")]
#[case("100%2525", "100%25")]
#[case("logs/2024-06-10/x.pkl.gz", "logs/2024-06-10/x.pkl.gz")]
#[case("logs%2F2024%2fx", "logs/2024/x")]
#[case("%EA%B4%91%EA%B3%A0.pkl", "광고.pkl")]
#[case("광고.pkl", "광고.pkl")]
fn s3_key_is_form_decoded(#[case] written: &str, #[case] key: &str) {
    assert_eq!(read_keys(&put_key(written)), [key]);
    assert_eq!(read_keys(&sns(&put_key(written))), [key]);
}

#[rstest]
#[case("a+b")]
#[case("a%2Bb")]
#[case("100%")]
#[case("red flower.jpg")]
fn event_bridge_key_stands_as_it_is(#[case] key: &str) {
    assert_eq!(read_keys(&event_bridge_body("Object Created", key)), [key]);
}

#[rstest]
#[case::quoted_etag(r#"{"key":"k","eTag":"\"abc\""}"#, Some("abc"), None)]
#[case::no_etag(r#"{"key":"k"}"#, None, None)]
#[case::unversioned(r#"{"key":"k","eTag":"abc","versionId":null}"#, Some("abc"), None)]
#[case::suspended(r#"{"key":"k","eTag":"abc","versionId":"null"}"#, Some("abc"), Some("null"))]
#[case::empty(r#"{"key":"k","eTag":"","versionId":""}"#, None, None)]
fn absent_parts_are_none(#[case] object: &str, #[case] etag: Option<&str>, #[case] version_id: Option<&str>) {
    let announced = read_objects(&put(object)).remove(0).announced;
    assert_eq!((announced.etag.as_deref(), announced.version_id.as_deref()), (etag, version_id));
}

#[rstest]
#[case::test_event(TEST_EVENT.to_owned())]
#[case::test_event_through_sns(sns(TEST_EVENT))]
#[case::event_bridge_deleted(EVENT_BRIDGE_DELETED.to_owned())]
#[case::event_bridge_tags(event_bridge_body("Object Tags Added", "k"))]
#[case::no_records(r#"{"Records":[]}"#.to_owned())]
fn other_messages_announce_nothing(#[case] body: String) {
    assert_eq!(read_keys(&body), Vec::<String>::new());
}

#[rstest]
#[case("ObjectCreated:Put", 1)]
#[case("ObjectCreated:Post", 1)]
#[case("ObjectCreated:Copy", 1)]
#[case("ObjectCreated:CompleteMultipartUpload", 1)]
#[case("s3:ObjectCreated:Put", 1)]
#[case("ObjectRemoved:Delete", 0)]
#[case("ObjectRemoved:DeleteMarkerCreated", 0)]
#[case("LifecycleExpiration:Delete", 0)]
#[case("LifecycleExpiration:DeleteMarkerCreated", 0)]
#[case("LifecycleTransition", 0)]
#[case("IntelligentTiering", 0)]
#[case("ObjectRestore:Post", 0)]
#[case("ObjectRestore:Completed", 0)]
#[case("ObjectRestore:Delete", 0)]
#[case("ObjectTagging:Put", 0)]
#[case("ObjectAcl:Put", 0)]
#[case("Replication:OperationFailedReplication", 0)]
#[case("ReducedRedundancyLostObject", 0)]
fn only_creations_announce_objects(#[case] event: &str, #[case] objects: usize) {
    assert_eq!(read_objects(&s3_body(&[s3_record_of(event, HAPPY_FACE)])).len(), objects);
}

#[rstest]
#[case("2.0")]
#[case("2.2")]
#[case("2.9")]
fn minor_versions_may_come(#[case] version: &str) {
    let body = put(HAPPY_FACE).replace(r#""eventVersion":"2.1""#, &format!(r#""eventVersion":"{version}""#));
    assert_eq!(read_objects(&body).len(), 1);
}

#[rstest]
#[case::greater_wins(&[Some("0055AED6DCD90281E5"), Some("0055AED6DCD90281E4")], 0)]
#[case::later_and_greater_wins(&[Some("0055AED6DCD90281E4"), Some("0055AED6DCD90281E5")], 1)]
#[case::padded_on_the_left(&[Some("1000"), Some("0FFF")], 0)]
#[case::length_counts_before_text(&[Some("10"), Some("9")], 0)]
#[case::case_does_not_matter(&[Some("0A"), Some("b")], 1)]
#[case::equal_last_wins(&[Some("0a"), Some("A")], 1)]
#[case::none_last_wins(&[None, None], 1)]
#[case::half_last_wins(&[Some("ff"), None], 1)]
fn records_of_one_object_are_folded(#[case] sequencers: &[Option<&str>], #[case] winner: u64) {
    let record = |(at, sequencer): (usize, &Option<&str>)| {
        let sequencer = sequencer.map(|text| format!(r#","sequencer":"{text}""#)).unwrap_or_default();
        s3_record_of("ObjectCreated:Put", &format!(r#"{{"key":"k","size":{at}{sequencer}}}"#))
    };
    let records: Vec<String> = sequencers.iter().enumerate().map(record).collect();
    let objects = read_objects(&s3_body(&records));
    assert_eq!(objects.iter().map(|object| object.announced.bytes).collect::<Vec<_>>(), [Some(winner)]);
}

#[test]
fn several_records_keep_their_order() {
    let record = |key: &str| s3_record_of("ObjectCreated:Put", &format!(r#"{{"key":"{key}"}}"#));
    assert_eq!(read_keys(&s3_body(&[record("b"), record("a"), record("b"), record("c")])), ["b", "a", "c"]);
}

#[rstest]
#[case("logs/a.pkl.gz", 100, true)]
#[case("other/a.pkl.gz", 100, false)]
#[case("logs/a.csv", 100, false)]
#[case("logs/a.pkl.gz", 0, true)] // empty, and still announced: it is listed as broken, not dropped
fn filter_drops_other_keys(#[case] key: &str, #[case] bytes: u64, #[case] passes: bool) {
    let filter = Filter { prefix: "logs/".into(), suffix: ".gz".into(), aside: None };
    let content = read(&put(&format!(r#"{{"key":"{key}","size":{bytes}}}"#)), &filter);
    assert!(matches!(content, Content::Objects(objects) if objects.len() == usize::from(passes)));
}

#[rstest]
#[case("logs/", 0, 0)]
#[case("logs/", 7, 1)]
#[case("logs", 0, 1)]
fn console_folders_are_not_objects(#[case] key: &str, #[case] bytes: u64, #[case] objects: usize) {
    assert_eq!(read_objects(&put(&format!(r#"{{"key":"{key}","size":{bytes}}}"#))).len(), objects);
}

#[rstest]
#[case::empty("", "the body is not JSON: EOF while parsing a value at line 1 column 0")]
#[case::text("hello", "the body is not JSON: expected value at line 1 column 1")]
#[case::number("1", "the body is JSON, but no notification of S3, SNS or EventBridge")]
#[case::list("[]", "the body is JSON, but no notification of S3, SNS or EventBridge")]
#[case::other("{\"a\":1}", "the body is JSON, but no notification of S3, SNS or EventBridge")]
#[case::records_no_list("{\"Records\":{}}", "the body's `Records` is not a list")]
#[case::record_no_object("{\"Records\":[null]}", "record 1 of 1: invalid type: null, expected a record of S3")]
#[case::sns_text(&sns("hello"), "the message that SNS wraps is not JSON: expected value at line 1 column 1")]
#[case::sns_in_sns(&sns(&sns("{}")), "the body is JSON, but no notification of S3, SNS or EventBridge")]
#[case::sns_confirmation(
    r#"{"Type":"SubscriptionConfirmation","TopicArn":"arn:aws:sns:us-west-2:123456789012:MyTopic"}"#,
    "SNS asks to confirm a subscription: open the SubscribeURL of the body"
)]
#[case::sns_without_message(
    r#"{"Type":"Notification","TopicArn":"arn:aws:sns:us-west-2:123456789012:MyTopic"}"#,
    "the body is an SNS notification without the text `Message`"
)]
#[case::event_bridge_of_another(
    r#"{"source":"aws.ec2","detail-type":"EC2 Instance State-change Notification","detail":{}}"#,
    "event source `aws.ec2` is not S3"
)]
#[case::event_bridge_unknown(&event_bridge_body("Object Renamed", "k"), "event `Object Renamed` is not known")]
#[case::event_bridge_no_key(
    r#"{"source":"aws.s3","detail-type":"Object Created","detail":{"bucket":{"name":"abc"},"object":{}}}"#,
    "detail: missing field `key`"
)]
fn unknown_body_is_unreadable_in_one_sentence(#[case] body: &str, #[case] expected: &str) {
    assert_eq!(reason(body), expected);
}

#[rstest]
#[case::version(HAPPY_FACE, ("2.1", "3.0"), "event version `3.0` is not known, only 2.x is")]
#[case::source(HAPPY_FACE, ("aws:s3", "aws:ses"), "event source `aws:ses` is not S3")]
#[case::event(HAPPY_FACE, ("ObjectCreated:Put", "ObjectInvented:Put"), "event `ObjectInvented:Put` is not known")]
#[case::no_key("{}", ("", ""), "missing field `key`")]
#[case::empty_key(r#"{"key":""}"#, ("", ""), "the key is empty")]
#[case::broken_percent(
    r#"{"key":"a%2"}"#, ("", ""),
    "key `a%2` has a `%` that is not followed by two hexadecimal digits"
)]
#[case::percent_before_wide_character(
    r#"{"key":"a%광고"}"#, ("", ""),
    "key `a%광고` has a `%` that is not followed by two hexadecimal digits"
)]
#[case::latin_1(r#"{"key":"caf%E9"}"#, ("", ""), "key `caf%E9` does not decode to UTF-8")]
#[case::local_file(HAPPY_FACE, ("\"amzn-s3-demo-bucket\"", "\"file:///etc\""), "`file:///etc` is not the name of a bucket")]
#[case::negative_size(r#"{"key":"k","size":-1}"#, ("", ""), "invalid value: integer `-1`, expected u64")]
fn one_malformed_record_makes_the_message_unreadable(
    #[case] object: &str,
    #[case] (from, to): (&str, &str),
    #[case] expected: &str,
) {
    let good = s3_record_of("ObjectCreated:Put", r#"{"key":"good"}"#);
    let bad = s3_record_of("ObjectCreated:Put", object).replace(from, to);
    assert_eq!(reason(&s3_body(&[good, bad])), format!("record 2 of 2: {expected}"));
}

#[test]
fn key_of_1024_bytes_is_the_longest() {
    assert_eq!(read_objects(&put_key(&"k".repeat(1024))).len(), 1);
    assert_eq!(reason(&put_key(&"k".repeat(1025))), "record 1 of 1: the key has 1025 bytes, S3 allows 1024");
}

#[test]
fn hostile_depth_and_size_are_answers_too() {
    assert!(reason(&"[".repeat(100_000)).contains("recursion limit exceeded"));
    assert!(reason(&sns(&"{\"a\":".repeat(10_000))).contains("recursion limit exceeded"));
    assert!(reason(&" ".repeat(BODY_BYTES_MAX + 1)).starts_with("the body has 1048577 bytes"));
    assert!(reason(&put_key(&"%".repeat(10_000))).len() < 400, "a reason stays one line");
}

/// Bodies collected from the documentation of AWS, with what each must be read as: `tests/oracle/notifications.py`.
#[test]
fn every_collected_body_is_read_as_it_should_be() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/notifications");
    let mut read_bodies = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        let fixture: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let found = match read(fixture["body"].as_str().unwrap(), &Filter::default()) {
            Content::Unreadable { .. } => serde_json::json!({ "unreadable": true }),
            Content::Objects(objects) => {
                let objects: Vec<Value> = objects.iter().map(as_json).collect();
                serde_json::json!({ "objects": objects })
            }
        };
        assert_eq!(found, fixture["expect"], "{}", file.display());
        read_bodies += 1;
    }
    assert!(read_bodies > 100, "only {read_bodies} bodies were found");
}

#[test]
fn time_that_is_none_is_no_reason_to_refuse_a_message() {
    for time in ["\"yesterday\"", "7", "null"] {
        let body = put(HAPPY_FACE).replace("\"1970-01-01T00:00:00.000Z\"", time);
        assert_ne!(body, put(HAPPY_FACE));
        assert_eq!(read_objects(&body)[0].announced.event_at, None, "{time}");
    }
}

fn as_json(object: &ObjectRef) -> Value {
    let Announced { version_id, etag, sequencer, bytes, .. } = &object.announced;
    serde_json::json!({
        "bucket": object.bucket, "key": object.key, "version_id": version_id, "etag": etag, "sequencer": sequencer,
        "bytes": bytes,
    })
}

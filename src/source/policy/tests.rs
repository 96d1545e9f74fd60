use super::*;
use rstest::rstest;

fn queue() -> QueueArn {
    QueueArn::parse("arn:aws:sqs:us-east-1:123456789012:ad-logs").unwrap()
}

fn read(statement: Value) -> QueuePolicy {
    QueuePolicy::parse(&json!({"Statement": statement}).to_string(), &queue()).unwrap()
}

fn allow(principal: Value, condition: Value) -> Value {
    json!({
        "Effect": "Allow", "Principal": principal, "Action": "SQS:SendMessage", "Resource": queue().to_string(),
        "Condition": condition,
    })
}

#[test]
fn policy_that_is_printed_is_read_as_what_it_means() {
    let written = queue_policy(&queue(), &["logs".into(), "more-logs".into()]);
    let policy = QueuePolicy::parse(&written.to_string(), &queue()).unwrap();
    assert_eq!(policy.buckets(), ["logs", "more-logs"]);
    assert!(policy.permits.iter().all(|permit| permit.sender == Sender::S3 && !permit.is_open_to_strangers()));
    assert!(policy.permits.iter().any(|permit| permit.covers_bucket("arn:aws:s3:::logs")));
    assert!(!policy.permits.iter().any(|permit| permit.covers_bucket("arn:aws:s3:::others")));
}

#[rstest]
#[case(json!("*"), json!({}), &[Sender::Anyone])]
#[case(json!({"AWS": "*"}), json!({}), &[Sender::Anyone])]
#[case(json!({"Service": "sns.amazonaws.com"}), json!({}), &[Sender::Sns])]
#[case(json!({"Service": ["events.amazonaws.com", "s3.amazonaws.com"]}), json!({}), &[Sender::EventBridge, Sender::S3])]
#[case(json!({"AWS": "arn:aws:iam::123456789012:role/forwarder"}), json!({}), &[Sender::Other])]
fn sender_is_known_by_its_principal(#[case] principal: Value, #[case] condition: Value, #[case] senders: &[Sender]) {
    let found: Vec<Sender> = read(allow(principal, condition)).permits.iter().map(|permit| permit.sender).collect();
    assert_eq!(found, senders);
}

#[rstest]
#[case(json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:*:*:logs"}}), true)]
#[case(json!({"ArnEquals": {"AWS:SourceArn": ["arn:aws:s3:::logs"]}}), true)]
#[case(json!({"StringEquals": {"aws:SourceAccount": "123456789012"}}), true)]
#[case(json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::other"}}), false)]
fn condition_decides_which_buckets_may_send(#[case] condition: Value, #[case] may: bool) {
    let policy = read(allow(json!({"Service": "s3.amazonaws.com"}), condition));
    assert_eq!(policy.permits[0].covers_bucket("arn:aws:s3:::logs"), may);
}

#[test]
fn statement_about_something_else_lets_nobody_send() {
    let mut other_queue = allow(json!("*"), json!({}));
    other_queue["Resource"] = "arn:aws:sqs:us-east-1:123456789012:other".into();
    let mut receiving = allow(json!("*"), json!({}));
    receiving["Action"] = json!(["sqs:ReceiveMessage", "sqs:Get*"]);
    assert_eq!(read(json!([other_queue, receiving])).permits, []);
    let mut everything = allow(json!("*"), json!({}));
    (everything["Action"], everything["Resource"]) = ("sqs:*".into(), "*".into());
    assert!(read(everything).lets(Sender::S3));
}

#[test]
fn denial_without_a_condition_is_seen_and_one_with_is_not() {
    let mut denial = allow(json!("*"), json!({"Bool": {"aws:SecureTransport": "false"}}));
    denial["Effect"] = "Deny".into();
    assert!(!read(denial.clone()).is_denied, "it denies only what is not encrypted");
    denial.as_object_mut().unwrap().remove("Condition");
    assert!(read(denial).is_denied);
}

#[test]
fn other_statements_stay_and_loose_ones_for_s3_go() {
    let others = allow(json!({"AWS": "arn:aws:iam::123456789012:root"}), json!({}));
    let loose = allow(json!({"Service": "s3.amazonaws.com"}), json!({}));
    let policy = read(json!([others.clone(), loose]));
    assert!(policy.permits.iter().any(Permit::is_open_to_strangers));
    let mended = policy.with_buckets(&queue(), &["logs".into()]);
    assert_eq!(mended["Statement"][0], others);
    assert_eq!(mended["Statement"].as_array().unwrap().len(), 2);
    let mended = QueuePolicy::parse(&mended.to_string(), &queue()).unwrap();
    assert!(mended.buckets() == ["logs"] && !mended.permits.iter().any(Permit::is_open_to_strangers));
}

#[rstest]
#[case("", "it is not JSON")]
#[case("{}", "it has no Statement")]
fn unreadable_policy_is_told(#[case] text: &str, #[case] problem: &str) {
    assert!(QueuePolicy::parse(text, &queue()).unwrap_err().contains(problem));
}

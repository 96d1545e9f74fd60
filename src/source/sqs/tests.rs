use aws_sdk_sqs::types::QueueAttributeName;
use rstest::rstest;

use super::*;
use crate::model::delivery::Content;
use crate::source::emulator::Emulator;
use crate::source::fetch::{Fetch, Objects};

async fn open(emulator: &Emulator) -> SqsQueue {
    SqsQueue::open_at(&emulator.aws, &emulator.settings).await.unwrap()
}

async fn receive(queue: &SqsQueue, room: usize) -> Vec<Delivery> {
    match queue.receive(room).await.unwrap() {
        Received::Deliveries(deliveries) => deliveries,
        Received::End => panic!("a queue has no end"),
    }
}

async fn receive_all(queue: &SqsQueue, count: usize) -> Vec<Delivery> {
    let mut all = Vec::new();
    while all.len() < count {
        let some = receive(queue, count - all.len()).await;
        assert!(!some.is_empty(), "{} of {count} came", all.len());
        all.extend(some);
    }
    all
}

fn receipts(deliveries: &[Delivery]) -> Vec<Receipt> {
    deliveries.iter().map(|delivery| delivery.receipt.clone()).collect()
}

fn receipt(text: &str) -> Receipt {
    Receipt(text.into())
}

#[tokio::test]
async fn upload_is_announced_received_read_and_acknowledged() {
    let emulator = Emulator::start().await;
    emulator.announce_uploads().await;
    let etag = emulator.put("logs/2024 06/a+b.gz", b"hello").await;
    let queue = open(&emulator).await;
    // The first message is the test event of the set-up: nothing to read, and to be acknowledged like any other.
    let deliveries = receive_all(&queue, 2).await;
    let objects: Vec<_> = deliveries
        .iter()
        .flat_map(|delivery| match &delivery.content {
            Content::Objects(objects) => objects.clone(),
            Content::Unreadable { reason } => panic!("{reason}: {}", delivery.body),
        })
        .collect();
    assert_eq!(objects.len(), 1);
    assert_eq!((objects[0].bucket.as_str(), objects[0].key.as_str()), (&*emulator.bucket, "logs/2024 06/a+b.gz"));
    assert_eq!((objects[0].announced.etag.as_ref(), objects[0].announced.bytes), (Some(&etag), Some(5)));
    assert!(deliveries.iter().all(|delivery| delivery.attempt == 1 && !delivery.message_id.is_empty()));
    let reader = Objects::with(Some(emulator.s3.clone()), &emulator.settings);
    assert_eq!(reader.fetch(&objects[0], 100).await.unwrap().body, b"hello");
    let acknowledged = queue.acknowledge(&receipts(&deliveries)).await.unwrap();
    assert_eq!(acknowledged, [ReceiptOutcome::Done, ReceiptOutcome::Done]);
    let attributes = queue.attributes().await.unwrap().unwrap();
    assert_eq!((attributes.backlog, attributes.in_flight), (0, 0));
}

#[tokio::test]
async fn unreadable_and_filtered_messages_are_deliveries_too() {
    let mut emulator = Emulator::start().await;
    emulator.announce_uploads().await;
    emulator.settings.filter.suffix = ".gz".into();
    emulator.put("a.csv", b"x").await;
    emulator.send("hello").await;
    let deliveries = receive_all(&open(&emulator).await, 3).await;
    let unreadable: Vec<_> =
        deliveries.iter().filter(|delivery| matches!(delivery.content, Content::Unreadable { .. })).collect();
    assert_eq!(unreadable.len(), 1);
    assert_eq!(&*unreadable[0].body, "hello");
    assert!(deliveries.iter().all(|delivery| !matches!(&delivery.content, Content::Objects(some) if !some.is_empty())));
}

#[tokio::test]
async fn delivery_stays_hidden_while_extended_and_comes_again_when_released() {
    let mut emulator = Emulator::start().await;
    emulator.settings.visibility = Duration::from_millis(2500);
    emulator.send("hello").await;
    let queue = open(&emulator).await;
    assert_eq!(queue.visibility(), Some(Duration::from_secs(3)), "SQS counts whole seconds");
    let first = receive_all(&queue, 1).await;
    // Four seconds in all, longer than one visibility.
    for _ in 0..4 {
        assert_eq!(receive(&queue, 10).await.len(), 0, "hidden");
        assert_eq!(queue.extend(&receipts(&first)).await.unwrap(), [ReceiptOutcome::Done]);
    }
    assert_eq!(queue.release(&receipts(&first)).await.unwrap(), [ReceiptOutcome::Done]);
    let again = receive_all(&queue, 1).await;
    assert_eq!((again[0].message_id.as_str(), again[0].attempt), (first[0].message_id.as_str(), 2));
}

#[tokio::test]
async fn each_receipt_has_its_own_outcome_in_order_and_over_many_batches() {
    let emulator = Emulator::start().await;
    for number in 0..12 {
        emulator.send(&number.to_string()).await;
    }
    let queue = open(&emulator).await;
    let mut mixed = receipts(&receive_all(&queue, 12).await);
    mixed.insert(0, receipt("never given"));
    mixed.insert(11, receipt("nor this"));
    let expected: Vec<ReceiptOutcome> =
        (0..14).map(|at| if at == 0 || at == 11 { ReceiptOutcome::Gone } else { ReceiptOutcome::Done }).collect();
    assert_eq!(queue.extend(&mixed).await.unwrap(), expected);
    assert_eq!(queue.acknowledge(&mixed).await.unwrap(), expected);
    assert_eq!(queue.acknowledge(&[]).await.unwrap(), []);
    assert_eq!(queue.attributes().await.unwrap().unwrap().in_flight, 0);
}

#[tokio::test]
async fn queue_tells_of_itself() {
    let emulator = Emulator::start().await;
    let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:NAME","maxReceiveCount":5}"#;
    let name = emulator.queue_url.rsplit('/').next().unwrap();
    let request = emulator.sqs.set_queue_attributes().queue_url(&emulator.queue_url);
    let policy = policy.replace("NAME", name);
    request.attributes(QueueAttributeName::RedrivePolicy, &policy).send().await.unwrap();
    emulator.send("hello").await;
    let attributes = open(&emulator).await.attributes().await.unwrap().unwrap();
    let expected = QueueAttributes {
        arn: crate::source::QueueArn::of_url(&emulator.settings.url, "us-east-1"),
        policy: None,
        kms_key: None,
        visibility: Duration::from_secs(30),
        retention: Duration::from_secs(4 * 24 * 60 * 60),
        fifo: false,
        redrive: Some(Redrive {
            dead_letter_arn: format!("arn:aws:sqs:us-east-1:123456789012:{name}"),
            receive_count_max: 5,
        }),
        backlog: 1,
        in_flight: 0,
    };
    assert_eq!(attributes, expected);
}

#[tokio::test]
async fn wrong_queue_is_refused_when_it_is_opened() {
    let mut emulator = Emulator::start().await;
    emulator.settings.url = SourceUrl::Sqs(format!("{}-not", emulator.queue_url));
    let error = SqsQueue::open_at(&emulator.aws, &emulator.settings).await.err().unwrap();
    assert!(matches!(&error, QueueError::Refused { problem, .. } if problem.contains("does not exist")), "{error}");
    emulator.settings.url = SourceUrl::Folder("logs".into());
    let error = SqsQueue::open_at(&emulator.aws, &emulator.settings).await.err().unwrap();
    assert_eq!(error.to_string(), "queue logs: it is not a queue of SQS");
}

#[tokio::test]
async fn queue_that_is_deleted_later_is_refused_by_every_call() {
    let emulator = Emulator::start().await;
    let queue = open(&emulator).await;
    emulator.sqs.delete_queue().queue_url(&emulator.queue_url).send().await.unwrap();
    let some = [receipt("a")];
    let errors = [
        queue.receive(1).await.err(),
        queue.extend(&some).await.err(),
        queue.acknowledge(&some).await.err(),
        queue.release(&some).await.err(),
    ];
    for error in errors {
        assert!(matches!(error, Some(QueueError::Refused { .. })), "{error:?}");
    }
}

#[tokio::test]
async fn unreachable_queue_is_an_outage() {
    // Port 9 of the local machine: nothing listens there. Its URL is its address, no endpoint is set.
    let settings = SourceSettings::new(SourceUrl::Sqs("http://127.0.0.1:9/1/q".into()));
    let aws = Aws::emulated("http://127.0.0.1:9", &settings).await;
    let error = SqsQueue::open_at(&aws, &settings).await.err().unwrap();
    assert!(matches!(&error, QueueError::Unavailable { problem, .. } if problem.contains("refused")), "{error}");
}

fn failed(code: &str) -> BatchResultErrorEntry {
    BatchResultErrorEntry::builder().id("0").sender_fault(true).code(code).message("words").build().unwrap()
}

#[rstest]
#[case("ReceiptHandleIsInvalid", true)]
#[case("MessageNotInflight", true)]
#[case("AWS.SimpleQueueService.MessageNotInflight", true)]
#[case("InvalidParameterValue", true)]
#[case("InternalError", false)]
#[case("RequestThrottled", false)]
#[case("AccessDenied", false)]
fn failed_entry_is_gone_or_to_be_asked_again(#[case] code: &str, #[case] gone: bool) {
    let expected = match gone {
        true => ReceiptOutcome::Gone,
        false => ReceiptOutcome::Failed { problem: format!("{code}: words") },
    };
    assert_eq!(outcome_of(&failed(code)), expected);
}

#[test]
fn entry_that_is_not_answered_has_failed() {
    let mut outcomes = Outcomes::of(&[receipt("a"), receipt("b")]);
    outcomes.answered(["1", "7", "x"].into_iter(), &[]);
    assert!(matches!(outcomes.0[..], [ReceiptOutcome::Failed { .. }, ReceiptOutcome::Done]));
}

#[test]
fn later_batch_that_fails_does_not_hide_what_the_first_did() {
    let error = || QueueError::Unavailable { url: "q".into(), problem: "down".into() };
    let receipts = vec![receipt("a"); 12];
    assert!(Outcomes::of(&receipts).call_failed(0, error()).is_err());
    let mut outcomes = Outcomes::of(&receipts);
    outcomes.answered((0..10).map(|at| ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"][at]), &[]);
    let outcomes = outcomes.call_failed(10, error()).unwrap();
    assert!(outcomes[..10].iter().all(|outcome| *outcome == ReceiptOutcome::Done));
    assert!(outcomes[10..].iter().all(|outcome| matches!(outcome, ReceiptOutcome::Failed { .. })));
}

#[rstest]
#[case(0, 0)]
#[case(1, 1)]
#[case(1000, 1)]
#[case(1001, 2)]
#[case(60_000, 20)]
fn times_are_whole_seconds(#[case] millis: u64, #[case] expected: u64) {
    assert_eq!(whole_seconds(Duration::from_millis(millis), LONG_POLL_MAX), Duration::from_secs(expected));
}

#[rstest]
#[case(Some(400), "AWS.SimpleQueueService.NonExistentQueue", false)]
#[case(Some(403), "AccessDenied", false)]
#[case(Some(403), "InvalidClientTokenId", false)]
#[case(Some(403), "SignatureDoesNotMatch", false)]
#[case(Some(400), "KmsAccessDenied", false)]
#[case(Some(403), "ExpiredToken", true)]
#[case(Some(403), "OverLimit", true)]
#[case(Some(400), "ThrottlingException", true)]
#[case(Some(503), "ServiceUnavailable", true)]
#[case(None, "", true)]
fn failed_call_is_an_outage_or_a_refusal(#[case] status: Option<u16>, #[case] code: &str, #[case] passes: bool) {
    let failure = CallFailure { status, code: Some(code.into()), ..CallFailure::default() };
    assert_eq!(matches!(queue_error("q", &failure), QueueError::Unavailable { .. }), passes);
}

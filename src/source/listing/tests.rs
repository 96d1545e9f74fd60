use std::fs;

use tempfile::TempDir;

use super::*;
use crate::model::Announced;
use crate::model::delivery::Content;
use crate::source::fetch::{Fetch, Objects};
use crate::source::notification::Filter;
use crate::source::settings::SourceUrl;

fn numbered(count: usize) -> Listing {
    let object =
        |number: usize| ObjectRef { bucket: "logs".into(), key: number.to_string(), announced: Announced::default() };
    Listing::of((0..count).map(object).collect())
}

fn folder_listing(path: &std::path::Path, filter: Filter) -> Listing {
    Listing::of_pages(ObjectPages::of_folder(path, filter).unwrap())
}

async fn deliveries(listing: &Listing, room: usize) -> Vec<Delivery> {
    match listing.receive(room).await.unwrap() {
        Received::Deliveries(deliveries) => deliveries,
        Received::End => panic!("the end"),
    }
}

fn keys(deliveries: &[Delivery]) -> Vec<String> {
    let key = |delivery: &Delivery| match &delivery.content {
        Content::Objects(objects) => objects[0].key.clone(),
        Content::Unreadable { reason } => reason.clone(),
    };
    deliveries.iter().map(key).collect()
}

fn receipts(deliveries: &[Delivery]) -> Vec<Receipt> {
    deliveries.iter().map(|delivery| delivery.receipt.clone()).collect()
}

/// Receives and acknowledges until the end.
async fn drain(listing: &Listing) -> Vec<Delivery> {
    let mut all = Vec::new();
    while let Received::Deliveries(deliveries) = listing.receive(10).await.unwrap() {
        listing.acknowledge(&receipts(&deliveries)).await.unwrap();
        all.extend(deliveries);
    }
    all
}

#[tokio::test(start_paused = true)]
async fn listing_hands_out_in_order_and_ends_when_all_is_acknowledged() {
    let listing = numbered(3);
    let first = deliveries(&listing, 2).await;
    let second = deliveries(&listing, 2).await;
    assert_eq!((keys(&first), keys(&second)), (vec!["0".into(), "1".into()], vec!["2".into()]));
    assert_eq!((first[0].message_id.as_str(), first[0].attempt), ("s3://logs/0", 1));
    assert_eq!(&*first[0].body, r#"{"listed_in":"a list of objects","object":"s3://logs/0"}"#);
    listing.acknowledge(&receipts(&first)).await.unwrap();
    assert_eq!(deliveries(&listing, 1).await.len(), 0, "one is in flight: not the end, and nothing to hand out");
    listing.acknowledge(&receipts(&second)).await.unwrap();
    assert!(matches!(listing.receive(1).await.unwrap(), Received::End));
    assert!(matches!(listing.receive(1).await.unwrap(), Received::End), "and so it stays");
}

#[tokio::test(start_paused = true)]
async fn released_delivery_comes_again() {
    let listing = numbered(1);
    let first = deliveries(&listing, 1).await;
    assert_eq!(listing.release(&receipts(&first)).await.unwrap(), [ReceiptOutcome::Done]);
    let again = deliveries(&listing, 1).await;
    assert_eq!((again[0].message_id.as_str(), again[0].attempt), ("s3://logs/0", 2));
    assert_ne!(again[0].receipt, first[0].receipt);
    assert_eq!(listing.acknowledge(&receipts(&first)).await.unwrap(), [ReceiptOutcome::Gone], "an old receipt");
    assert_eq!(listing.extend(&receipts(&first)).await.unwrap(), [ReceiptOutcome::Gone]);
    assert_eq!(listing.extend(&receipts(&again)).await.unwrap(), [ReceiptOutcome::Done]);
    assert_eq!(listing.acknowledge(&receipts(&again)).await.unwrap(), [ReceiptOutcome::Done]);
    assert!(matches!(listing.receive(1).await.unwrap(), Received::End));
}

#[tokio::test(start_paused = true)]
async fn waiting_receiver_wakes_by_release_and_by_the_last_acknowledgement() {
    let listing = Arc::new(numbered(2));
    let handed = deliveries(&listing, 2).await;
    let began = tokio::time::Instant::now();
    let receive = || {
        let listing = listing.clone();
        tokio::spawn(async move { listing.receive(5).await.unwrap() })
    };
    let (one, other) = (receive(), receive());
    tokio::task::yield_now().await;
    listing.acknowledge(&receipts(&handed[..1])).await.unwrap();
    tokio::task::yield_now().await;
    assert!(!one.is_finished() && !other.is_finished());
    listing.release(&receipts(&handed[1..])).await.unwrap();
    let mut third = receive();
    let waiting = futures::future::select_all([one, other]).await;
    let Received::Deliveries(again) = waiting.0.unwrap() else { panic!("the end") };
    assert_eq!(keys(&again), ["1"]);
    assert!(futures::poll!(&mut third).is_pending());
    listing.acknowledge(&receipts(&again)).await.unwrap();
    for receiver in waiting.2.into_iter().chain([third]) {
        assert!(matches!(receiver.await.unwrap(), Received::End));
    }
    assert_eq!(began.elapsed(), Duration::ZERO, "woken, not by a clock");
}

#[tokio::test(start_paused = true)]
async fn what_is_fed_is_handed_out_and_ends_when_nobody_feeds_any_more() {
    let (feed, fed) = tokio::sync::mpsc::channel(2);
    let listing = Arc::new(Listing::fed("s3://logs/", fed));
    let found = |key: &str| {
        let object = ObjectRef { bucket: "logs".into(), key: key.into(), announced: Announced::default() };
        Found::new(object, None)
    };
    let began = tokio::time::Instant::now();
    assert_eq!(deliveries(&listing, 1).await.len(), 0, "nothing was fed");
    assert_eq!(began.elapsed(), LONG_POLL, "for as long as one long poll");
    feed.send(Vec::new()).await.unwrap();
    feed.send(vec![found("a"), found("b")]).await.unwrap();
    let first = deliveries(&listing, 1).await;
    let second = deliveries(&listing, 5).await;
    assert_eq!((keys(&first), keys(&second)), (vec!["a".into()], vec!["b".into()]));
    assert_eq!(&*first[0].body, r#"{"listed_in":"s3://logs/","object":"s3://logs/a"}"#);
    drop(feed);
    listing.acknowledge(&receipts(&first)).await.unwrap();
    let waiting = tokio::spawn({
        let listing = listing.clone();
        async move { listing.receive(5).await.unwrap() }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished(), "one is in flight");
    listing.acknowledge(&receipts(&second)).await.unwrap();
    assert!(matches!(waiting.await.unwrap(), Received::End));
}

#[tokio::test]
async fn object_that_is_there_twice_is_delivered_twice() {
    let object = ObjectRef { bucket: "logs".into(), key: "a".into(), announced: Announced::default() };
    let all = drain(&Listing::of(vec![object.clone(), object])).await;
    assert_eq!(keys(&all), ["a", "a"]);
}

#[tokio::test]
async fn empty_listing_ends_at_once() {
    let folder = TempDir::new().unwrap();
    let listing = folder_listing(folder.path(), Filter::default());
    assert!(matches!(listing.receive(1).await.unwrap(), Received::End));
}

fn write(folder: &TempDir, path: &str) {
    let path = folder.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, b"x").unwrap();
}

#[tokio::test]
async fn folder_is_listed_as_s3_would() {
    let folder = TempDir::new().unwrap();
    // `.` sorts before `/`, so the file `b.c` comes before what lies in the directory `b`.
    let expected = ["a b", "a-b", "a/b.c", "a/b/c", "a/d", "a0", "b", "광고"];
    for path in ["b", "a/d", "a0", "a-b", "a/b/c", "a/b.c", "광고", "a b", ".hidden", "a/.hidden/x", ".git/config"] {
        write(&folder, path);
    }
    let all = drain(&folder_listing(folder.path(), Filter::default())).await;
    assert_eq!(keys(&all), expected);
}

#[tokio::test]
async fn listed_file_can_be_fetched_and_is_known_by_its_path() {
    let folder = TempDir::new().unwrap();
    write(&folder, "2024/a.gz");
    let root = folder.path().canonicalize().unwrap().display().to_string();
    let listing = folder_listing(&folder.path().join("2024/.."), Filter::default());
    assert_eq!(listing.url(), root);
    let all = drain(&listing).await;
    let Content::Objects(objects) = &all[0].content else { panic!("unreadable") };
    assert_eq!((objects[0].bucket.clone(), objects[0].key.as_str()), (format!("file://{root}"), "2024/a.gz"));
    assert_eq!(all[0].message_id, format!("{root}/2024/a.gz"));
    let reader = Objects::open(&SourceSettings::new(SourceUrl::Folder(folder.path().into()))).await.unwrap();
    assert_eq!(reader.fetch(&objects[0], 10).await.unwrap().body, b"x");
}

#[tokio::test]
async fn filter_applies_to_keys() {
    let folder = TempDir::new().unwrap();
    for path in ["logs/a.gz", "logs/a.csv", "other/a.gz"] {
        write(&folder, path);
    }
    let filter = Filter { prefix: "logs/".into(), suffix: ".gz".into(), aside: None };
    let all = drain(&folder_listing(folder.path(), filter)).await;
    assert_eq!(keys(&all), ["logs/a.gz"]);
}

#[tokio::test]
async fn page_tells_what_was_filtered_and_when_each_file_was_written() {
    let folder = TempDir::new().unwrap();
    for path in ["a.gz", "a.csv", "b.csv"] {
        write(&folder, path);
    }
    let filter = Filter { suffix: ".gz".into(), ..Filter::default() };
    let mut pages = ObjectPages::of_folder(folder.path(), filter).unwrap();
    let page = pages.next().await.unwrap().unwrap();
    assert_eq!((page.found.len(), page.filtered), (1, 2));
    let age = Timestamp::now().duration_since(page.found[0].modified.unwrap());
    assert!(age.as_secs().abs() < 60, "{age:?}");
    assert!(pages.next().await.unwrap().is_none());
}

#[cfg(unix)]
#[tokio::test]
async fn odd_entries_are_told_not_dropped() {
    use std::os::unix::ffi::OsStrExt;
    let folder = TempDir::new().unwrap();
    write(&folder, "a/file");
    std::os::unix::fs::symlink(folder.path(), folder.path().join("a/circle")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("a/file"), folder.path().join("link")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("nothing"), folder.path().join("dangling")).unwrap();
    fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"z\xff")), b"x").unwrap();
    let all = drain(&folder_listing(folder.path(), Filter::default())).await;
    assert_eq!(keys(&all), ["a/file", "link", r#"the name of the file is not UTF-8: "z\xFF""#]);
    assert!(all[2].body.contains(r#"z\\xFF"#), "{}", all[2].body);
}

#[tokio::test]
async fn folder_that_is_none_is_refused() {
    let folder = TempDir::new().unwrap();
    write(&folder, "file");
    for path in ["file", "nothing"] {
        let refused = ObjectPages::of_folder(&folder.path().join(path), Filter::default());
        assert!(matches!(refused, Err(QueueError::Refused { .. })));
    }
}

#[tokio::test]
async fn failed_page_is_listed_by_a_later_call() {
    let folder = TempDir::new().unwrap();
    write(&folder, "logs/a");
    let (here, away) = (folder.path().join("logs"), folder.path().join("away"));
    let listing = folder_listing(&here, Filter::default());
    fs::rename(&here, &away).unwrap();
    assert!(matches!(listing.receive(1).await, Err(QueueError::Unavailable { .. })), "an unmounted disk, say");
    fs::rename(&away, &here).unwrap();
    assert_eq!(keys(&drain(&listing).await), ["a"]);
}

#[tokio::test]
async fn more_files_than_a_page_holds_all_come() {
    let folder = TempDir::new().unwrap();
    for number in 0..1005 {
        fs::write(folder.path().join(format!("{number:04}")), b"").unwrap();
    }
    let all = keys(&drain(&folder_listing(folder.path(), Filter::default())).await);
    assert_eq!(all, (0..1005).map(|number| format!("{number:04}")).collect::<Vec<_>>());
}

mod s3 {
    use super::*;
    use crate::source::emulator::Emulator;

    fn bucket_listing(emulator: &Emulator, bucket: &str, prefix: &str, filter: Filter) -> Listing {
        Listing::of_pages(ObjectPages::of_bucket(emulator.s3.clone(), bucket, prefix, filter))
    }

    #[tokio::test]
    async fn bucket_is_listed_in_pages_with_what_get_needs() {
        let emulator = Emulator::start().await;
        for key in ["logs/b+c %41.gz", "logs/a.gz", "logs/a.csv", "other/a.gz", "logs/folder/"] {
            emulator.put(key, if key.ends_with('/') { b"" } else { b"x" }).await;
        }
        let filter = Filter { suffix: ".gz".into(), ..Filter::default() };
        let listing = bucket_listing(&emulator, &emulator.bucket, "logs/", filter);
        assert_eq!(listing.url(), format!("s3://{}/logs/", emulator.bucket));
        let all = drain(&listing).await;
        assert_eq!(keys(&all), ["logs/a.gz", "logs/b+c %41.gz"]);
        let Content::Objects(objects) = &all[1].content else { panic!("unreadable") };
        assert_eq!(objects[0].announced.bytes, Some(1));
        let reader = Objects::with(Some(emulator.s3.clone()), &emulator.settings);
        let generation = reader.fetch(&objects[0], 10).await.unwrap().generation;
        assert_eq!(generation.etag, objects[0].announced.etag);
    }

    #[tokio::test]
    async fn pages_follow_each_other() {
        let emulator = Emulator::start().await;
        for number in 0..7 {
            emulator.put(&number.to_string(), b"x").await;
        }
        let mut pages = bucket::Pages::start(emulator.s3.clone(), &emulator.bucket, "");
        pages.page_objects_max = 3;
        let mut sizes = Vec::new();
        while let Some(page) = pages.next("url").await.unwrap() {
            sizes.push(page.len());
        }
        assert_eq!(sizes, [3, 3, 1]);
    }

    #[tokio::test]
    async fn bucket_that_does_not_exist_is_refused() {
        let emulator = Emulator::start().await;
        let listing = bucket_listing(&emulator, "no-such-bucket-here", "", Filter::default());
        let error = listing.receive(1).await.unwrap_err();
        assert!(matches!(&error, QueueError::Refused { problem, .. } if problem.contains("NoSuchBucket")), "{error}");
    }
}

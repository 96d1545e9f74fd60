use rstest::rstest;
use tempfile::TempDir;

use super::*;

const LIMIT: u64 = 1 << 20;

fn folder_objects(folder: &TempDir) -> Objects {
    Objects::with(None, &SourceSettings::new(SourceUrl::Folder(folder.path().into())))
}

fn object(folder: &TempDir, key: &str) -> ObjectRef {
    let bucket = format!("{FOLDER_SCHEME}{}", folder.path().display());
    ObjectRef { bucket, key: key.into(), announced: Announced::default() }
}

#[tokio::test]
async fn file_is_read_whole_with_its_generation() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("2024 06")).unwrap();
    fs::write(folder.path().join("2024 06/a+b.gz"), b"hello").unwrap();
    let fetched = folder_objects(&folder).fetch(&object(&folder, "2024 06/a+b.gz"), LIMIT).await.unwrap();
    assert_eq!(fetched.body, b"hello");
    let generation = fetched.generation;
    assert_eq!((generation.bytes, generation.version_id), (5, None));
    assert!(generation.etag.unwrap().starts_with("5-"));
    // printf hello | sha256sum
    assert!(generation.content_hash.starts_with(&[0x2c, 0xf2, 0x4d, 0xba]));
}

#[tokio::test]
async fn file_is_held_to_what_was_announced() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a"), b"one").unwrap();
    let objects = folder_objects(&folder);
    let mut object = object(&folder, "a");
    object.announced.etag = objects.fetch(&object, LIMIT).await.unwrap().generation.etag;
    assert_eq!(objects.fetch(&object, LIMIT).await.unwrap().body, b"one");
    fs::write(folder.path().join("a"), b"other").unwrap();
    assert!(matches!(objects.fetch(&object, LIMIT).await, Err(FetchError::Replaced { .. })));
}

#[tokio::test]
async fn file_that_is_not_there_is_missing() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a"), b"").unwrap();
    for key in ["b", "a/b", "no/such/folder", "nul\0"] {
        let error = folder_objects(&folder).fetch(&object(&folder, key), LIMIT).await.unwrap_err();
        assert!(matches!(error, FetchError::Missing { .. }), "{key:?}: {error}");
    }
}

#[tokio::test]
async fn folder_is_not_a_file() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("a")).unwrap();
    let error = folder_objects(&folder).fetch(&object(&folder, "a"), LIMIT).await.unwrap_err();
    assert!(matches!(error, FetchError::Withheld { .. }), "{error}");
}

#[rstest]
#[case(5, true)]
#[case(4, false)]
#[tokio::test]
async fn limit_is_the_largest_size_that_is_read(#[case] limit: u64, #[case] fits: bool) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a"), b"hello").unwrap();
    let result = folder_objects(&folder).fetch(&object(&folder, "a"), limit).await;
    match fits {
        true => assert_eq!(result.unwrap().body.len(), 5),
        false => assert_eq!(result.unwrap_err(), FetchError::TooLarge { bytes: 5, limit: 4 }),
    }
}

#[tokio::test]
async fn folder_alone_has_no_s3() {
    let folder = TempDir::new().unwrap();
    let objects = folder_objects(&folder);
    let object = ObjectRef { bucket: "logs".into(), key: "a".into(), announced: Announced::default() };
    let error = objects.fetch(&object, LIMIT).await.unwrap_err();
    assert_eq!(error.disposition(), Disposition::Halt);
    assert_eq!(objects.probe(&format!("{FOLDER_SCHEME}{}", folder.path().display())).await, Ok(()));
    assert!(matches!(objects.probe("file:///no/such/folder").await, Err(FetchError::Unavailable { .. })));
}

fn body(bytes: &[u8]) -> ByteStream {
    ByteStream::from(bytes.to_vec())
}

#[tokio::test]
async fn body_that_ends_early_is_not_a_body() {
    let folder = TempDir::new().unwrap();
    let error = folder_objects(&folder).read_body(body(b"hell"), Some(5), LIMIT).await.unwrap_err();
    assert_eq!(error, FetchError::Unavailable { problem: "4 of 5 bytes came".into() });
}

#[rstest]
#[case(None, Some("a"), Some(5), None, Some("a"), 5, "read")]
#[case(None, Some("a"), None, None, Some("a"), 1, "read")]
#[case(None, Some("a"), Some(5), None, Some("a"), 6, "read")] // no part of it: somebody announced it wrongly
#[case(None, Some("a"), Some(5), None, Some("a"), 4, "again")]
#[case(None, Some("a"), Some(5), None, Some("b"), 5, "replaced")]
#[case(None, Some("a"), Some(5), None, None, 5, "again")]
#[case(None, None, Some(5), None, Some("a"), 4, "read")] // of whatever is there now
#[case(None, None, None, None, None, 5, "again")]
#[case(Some("v1"), Some("a"), Some(5), Some("v1"), Some("a"), 5, "read")]
#[case(Some("v1"), Some("a"), Some(5), Some("v1"), Some("a"), 4, "again")]
#[case(Some("v1"), None, Some(5), Some("v2"), Some("a"), 5, "replaced")]
#[case(Some("null"), Some("a"), Some(5), None, Some("b"), 5, "replaced")]
fn answer_of_200_is_held_to_what_was_announced(
    #[case] version_id: Option<&str>,
    #[case] etag: Option<&str>,
    #[case] bytes: Option<u64>,
    #[case] read_version_id: Option<&str>,
    #[case] read_etag: Option<&str>,
    #[case] read_bytes: u64,
    #[case] expected: &str,
) {
    let text = |text: Option<&str>| text.map(str::to_owned);
    let announced =
        Announced { version_id: text(version_id), etag: text(etag), sequencer: None, bytes, event_at: None };
    let (version_id, etag) = (text(read_version_id), text(read_etag));
    let found = match held_to(&announced, &Generation { version_id, etag, bytes: read_bytes, content_hash: [1; 32] }) {
        Ok(()) => "read",
        Err(FetchError::Unavailable { .. }) => "again",
        Err(FetchError::Replaced { .. }) => "replaced",
        Err(other) => panic!("{other}"),
    };
    assert_eq!(found, expected);
}

#[rstest]
#[case::said_before(Some(5))]
#[case::noticed_while_it_comes(None)]
#[tokio::test]
async fn body_beyond_the_limit_is_too_large(#[case] length: Option<u64>) {
    let folder = TempDir::new().unwrap();
    let error = folder_objects(&folder).read_body(body(b"hello"), length, 4).await.unwrap_err();
    assert_eq!(error, FetchError::TooLarge { bytes: 5, limit: 4 });
}

#[rstest]
#[case(404, "NoSuchKey", FailureKind::Missing, Disposition::Quarantine, true)]
#[case(404, "NoSuchVersion", FailureKind::Missing, Disposition::Quarantine, true)]
#[case(404, "NoSuchBucket", FailureKind::Missing, Disposition::Quarantine, true)]
#[case(405, "MethodNotAllowed", FailureKind::Missing, Disposition::Quarantine, true)]
#[case(412, "PreconditionFailed", FailureKind::Replaced, Disposition::Quarantine, true)]
#[case(403, "AccessDenied", FailureKind::Denied, Disposition::Quarantine, true)]
#[case(400, "KMS.DisabledException", FailureKind::Denied, Disposition::Quarantine, true)]
#[case(403, "InvalidObjectState", FailureKind::Unreachable, Disposition::Quarantine, true)]
#[case(301, "PermanentRedirect", FailureKind::Unreachable, Disposition::Quarantine, true)]
#[case(400, "InvalidArgument", FailureKind::Unreachable, Disposition::Quarantine, true)]
#[case(503, "SlowDown", FailureKind::Unreachable, Disposition::Retry, false)]
#[case(400, "ExpiredToken", FailureKind::Unreachable, Disposition::Retry, false)]
#[case(403, "RequestTimeTooSkewed", FailureKind::Unreachable, Disposition::Retry, false)]
#[case(403, "InvalidAccessKeyId", FailureKind::Denied, Disposition::Halt, false)]
#[case(403, "SignatureDoesNotMatch", FailureKind::Denied, Disposition::Halt, false)]
fn refusal_of_s3_is_understood(
    #[case] status: u16,
    #[case] code: &str,
    #[case] kind: FailureKind,
    #[case] disposition: Disposition,
    #[case] of_object: bool,
) {
    let failure = CallFailure { status: Some(status), code: Some(code.into()), ..CallFailure::default() };
    let error = refused_get(&failure, &Announced::default());
    assert_eq!((error.kind(), error.disposition(), error.is_of_object()), (kind, disposition, of_object));
}

mod s3 {
    use super::super::super::emulator::Emulator;
    use super::*;
    use crate::source::aws::Aws;
    use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
    use std::time::Instant;

    fn announced(emulator: &Emulator, key: &str, etag: Option<&str>) -> ObjectRef {
        let announced = Announced { etag: etag.map(str::to_owned), ..Announced::default() };
        ObjectRef { bucket: emulator.bucket.clone(), key: key.into(), announced }
    }

    fn objects(emulator: &Emulator) -> Objects {
        Objects::with(Some(emulator.s3.clone()), &emulator.settings)
    }

    #[tokio::test]
    async fn object_is_read_with_what_the_get_returned() {
        let emulator = Emulator::start().await;
        let etag = emulator.put("a b+c/광고.gz", b"hello").await;
        let fetched = objects(&emulator).fetch(&announced(&emulator, "a b+c/광고.gz", None), LIMIT).await.unwrap();
        assert_eq!(fetched.body, b"hello");
        assert_eq!(fetched.generation.etag, Some(etag));
        assert_eq!(fetched.generation.bytes, 5);
        assert!(fetched.generation.content_hash.starts_with(&[0x2c, 0xf2, 0x4d, 0xba]));
        let error = objects(&emulator).fetch(&announced(&emulator, "a b+c/광고.gz", None), 4).await.unwrap_err();
        assert_eq!(error, FetchError::TooLarge { bytes: 5, limit: 4 });
    }

    #[tokio::test]
    async fn object_or_bucket_that_is_not_there_is_missing() {
        let emulator = Emulator::start().await;
        let mut object = announced(&emulator, "nothing", Some("abc"));
        for bucket in [emulator.bucket.clone(), "no-such-bucket-anywhere".to_owned()] {
            object.bucket = bucket;
            let error = objects(&emulator).fetch(&object, LIMIT).await.unwrap_err();
            assert!(matches!(error, FetchError::Missing { .. }), "{error}");
            assert_eq!(objects(&emulator).probe(&object.bucket).await, Ok(()), "a refusal is an answer");
        }
    }

    #[tokio::test]
    async fn overwritten_object_is_not_read_in_place_of_the_announced_one() {
        let emulator = Emulator::start().await;
        let first = emulator.put("a", b"one").await;
        let second = emulator.put("a", b"two").await;
        let error = objects(&emulator).fetch(&announced(&emulator, "a", Some(&first)), LIMIT).await.unwrap_err();
        assert_eq!(error, FetchError::Replaced { announced: first });
        assert_eq!(
            objects(&emulator).fetch(&announced(&emulator, "a", Some(&second)), LIMIT).await.unwrap().body,
            b"two"
        );
    }

    #[tokio::test]
    async fn announced_version_is_read_though_newer_ones_exist() {
        let emulator = Emulator::start().await;
        let versioning = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let request = emulator.s3.put_bucket_versioning().bucket(&emulator.bucket);
        request.versioning_configuration(versioning).send().await.unwrap();
        let put = |body: &'static [u8]| {
            emulator.s3.put_object().bucket(&emulator.bucket).key("a").body(ByteStream::from_static(body)).send()
        };
        let first = put(b"one").await.unwrap();
        put(b"two").await.unwrap();
        let mut object = announced(&emulator, "a", first.e_tag().map(|etag| etag.trim_matches('"')));
        object.announced.version_id = first.version_id.clone();
        let fetched = objects(&emulator).fetch(&object, LIMIT).await.unwrap();
        assert_eq!((fetched.body.as_slice(), fetched.generation.version_id), (&b"one"[..], first.version_id));
        let marker = emulator.s3.delete_object().bucket(&emulator.bucket).key("a").send().await.unwrap();
        object.announced.version_id = marker.version_id;
        let error = objects(&emulator).fetch(&object, LIMIT).await.unwrap_err();
        assert!(matches!(error, FetchError::Missing { .. }), "a delete marker: {error}");
    }

    /// Port 9 of the local machine: nothing listens there.
    const NOBODY: &str = "http://127.0.0.1:9";

    #[tokio::test]
    async fn unreachable_s3_is_an_outage() {
        let settings = SourceSettings::new(SourceUrl::Bucket { bucket: "logs".into(), prefix: String::new() });
        let objects = Objects::with(Some(Aws::emulated(NOBODY, &settings).await.s3().unwrap()), &settings);
        let object = ObjectRef { bucket: "logs".into(), key: "a".into(), announced: Announced::default() };
        let error = objects.fetch(&object, LIMIT).await.unwrap_err();
        assert!(matches!(&error, FetchError::Unavailable { problem } if problem.contains("refused")), "{error}");
        assert!(matches!(objects.probe("logs").await, Err(FetchError::Unavailable { .. })));
    }

    /// A server that takes connections and answers with `answer`, then keeps silent.
    async fn server_that_says(answer: &'static str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                open.push(stream);
            }
        });
        endpoint
    }

    #[rstest]
    #[case::no_answer("", "timeout")]
    #[case::stalled_body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "no byte came for 300ms after 4 bytes")]
    #[case::not_s3("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", "")]
    #[case::fenced("HTTP/1.1 403 Forbidden\r\nContent-Length: 13\r\n\r\n<html></html>", "")]
    #[case::proxy("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "")]
    #[tokio::test]
    async fn silence_is_bounded(#[case] answer: &'static str, #[case] expected: &str) {
        let mut settings = SourceSettings::new(SourceUrl::Bucket { bucket: "logs".into(), prefix: String::new() });
        settings.read_timeout = Duration::from_millis(300);
        settings.connect_timeout = Duration::from_millis(300);
        let endpoint = server_that_says(answer).await;
        let objects = Objects::with(Some(Aws::emulated(&endpoint, &settings).await.s3().unwrap()), &settings);
        let object = ObjectRef { bucket: "logs".into(), key: "a".into(), announced: Announced::default() };
        let began = Instant::now();
        match objects.fetch(&object, LIMIT).await {
            Err(FetchError::Unavailable { problem }) => assert!(problem.contains(expected), "{problem}"),
            Err(error) => panic!("{error}"),
            Ok(fetched) => assert_eq!(fetched.body, b"ok"),
        }
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

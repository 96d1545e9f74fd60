//! What `[source]` configures, validated, and the one text that says which kind of source it is.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::notification::{Filter, is_bucket_name};

/// Everything that opening a queue and reading its objects needs to know.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    pub url: SourceUrl,
    pub filter: Filter,
    /// How long one `receive` waits for messages; SQS allows 20 s.
    pub long_poll: Duration,
    /// How long a message stays hidden after each receipt or extension; SQS allows 12 h, in whole seconds.
    pub visibility: Duration,
    pub connect_timeout: Duration,
    /// Longest silence: until an answer begins, and between two pieces of a body.
    pub read_timeout: Duration,
    /// For one object as a whole, from the request to the last byte.
    pub fetch_timeout: Duration,
}

impl SourceSettings {
    /// The defaults, for a source without a filter.
    pub fn new(url: SourceUrl) -> Self {
        Self {
            url,
            filter: Filter::default(),
            long_poll: Duration::from_secs(10),
            visibility: Duration::from_secs(120),
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(20),
            fetch_timeout: Duration::from_secs(300),
        }
    }
}

/// Where objects are announced, or where they lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceUrl {
    /// A queue, by its URL as SQS gives it.
    Sqs(String),
    /// Every object of a bucket whose key begins with `prefix`.
    Bucket { bucket: String, prefix: String },
    /// Every file below a local folder.
    Folder(PathBuf),
}

impl SourceUrl {
    /// Reads a queue's URL (`https://sqs.ap-northeast-2.amazonaws.com/123456789012/ad-logs`; an emulator's may be
    /// `http://127.0.0.1:5000/123456789012/ad-logs`), `s3://bucket/prefix`, `file:///folder`, or a folder's path.
    ///
    /// The error is one sentence for the person who wrote the text. Nothing is opened: whether it exists is found later.
    pub fn parse(text: &str) -> Result<SourceUrl, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err(format!("the source is empty; {EXPECTED}"));
        }
        if let Some(arn) = text.strip_prefix("arn:") {
            return Err(arn_hint(arn));
        }
        match text.split_once("://") {
            None => Ok(SourceUrl::Folder(PathBuf::from(text))),
            Some(("s3", rest)) => bucket(text, rest),
            Some(("file", path)) if path.starts_with('/') => Ok(SourceUrl::Folder(PathBuf::from(path))),
            Some(("file", _)) => {
                Err(format!("`{text}` is not a folder's URL: write file:///absolute/path, or the path"))
            }
            Some(("http" | "https", _)) => queue(text),
            Some((scheme, _)) => Err(format!("`{text}`: there is no source of kind `{scheme}`; {EXPECTED}")),
        }
    }

    /// The region that a queue's URL names, when it is one of AWS.
    pub fn region(&self) -> Option<String> {
        region_of_host(self.queue()?.host_str()?)
    }

    /// Where a queue answers whose URL is not the public address of its region: an emulator's, or a private endpoint's.
    pub fn endpoint(&self) -> Option<String> {
        let url = self.queue()?;
        let host = url.host_str()?;
        let private = host.contains(".vpce.amazonaws.com") || region_of_host(host).is_none();
        private.then(|| url.origin().ascii_serialization())
    }

    fn queue(&self) -> Option<url::Url> {
        match self {
            SourceUrl::Sqs(url) => url::Url::parse(url).ok(),
            SourceUrl::Bucket { .. } | SourceUrl::Folder(_) => None,
        }
    }
}

impl fmt::Display for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceUrl::Sqs(url) => f.write_str(url),
            SourceUrl::Bucket { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            SourceUrl::Folder(path) => path.display().fmt(f),
        }
    }
}

const EXPECTED: &str = "write the URL of an SQS queue (https://sqs.<region>.amazonaws.com/<account>/<name>), \
                        s3://bucket/prefix, or the path of a folder";

fn bucket(text: &str, rest: &str) -> Result<SourceUrl, String> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if !is_bucket_name(bucket) {
        return Err(format!("`{text}`: `{bucket}` is not the name of a bucket; write s3://bucket/prefix"));
    }
    Ok(SourceUrl::Bucket { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
}

fn queue(text: &str) -> Result<SourceUrl, String> {
    let url = url::Url::parse(text).map_err(|problem| format!("`{text}` is not a URL: {problem}"))?;
    // A password in a URL would end up in logs; SQS knows none anyway. The text itself is not repeated here.
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a queue's URL holds no user or password: credentials come from the AWS environment".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("`{text}`: a queue's URL ends with the queue's name, without `?` or `#`"));
    }
    let host = url.host_str().unwrap_or_default();
    if is_s3_host(host) {
        return Err(format!("`{text}` is an address of S3, not of a queue; write s3://bucket/prefix"));
    }
    let mut segments: Vec<&str> = url.path_segments().map(Iterator::collect).unwrap_or_default();
    let name = segments.pop().unwrap_or_default();
    if segments.is_empty() || segments.iter().any(|segment| segment.is_empty()) || !is_queue_name(name) {
        return Err(format!("`{text}` is not a queue's URL: it ends with /<account>/<queue name>"));
    }
    Ok(SourceUrl::Sqs(text.to_owned()))
}

/// SQS: "A queue name can have up to 80 characters: alphanumeric characters, hyphens and underscores"; `.fifo` after it.
fn is_queue_name(name: &str) -> bool {
    let stem = name.strip_suffix(".fifo").unwrap_or(name);
    !stem.is_empty()
        && name.len() <= 80
        && stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn is_s3_host(host: &str) -> bool {
    host.ends_with(".amazonaws.com") && host.split('.').any(|label| label == "s3" || label.starts_with("s3-"))
}

/// `arn:aws:sqs:region:account:name` is what the console shows beside the URL that is meant.
fn arn_hint(arn: &str) -> String {
    match arn.split(':').collect::<Vec<_>>()[..] {
        [_, "sqs", region, account, name] => {
            format!("`arn:{arn}` is a queue's ARN; write its URL, https://sqs.{region}.amazonaws.com/{account}/{name}")
        }
        [_, "s3", "", "", resource] => format!("`arn:{arn}` is a bucket's ARN; write s3://{resource}"),
        _ => format!("`arn:{arn}` is an ARN; {EXPECTED}"),
    }
}

/// `sqs.<region>.amazonaws.com`, also `sqs-fips`, `.amazonaws.com.cn`, dual-stack `sqs.<region>.api.aws`, VPC
/// endpoints `<id>.sqs.<region>.vpce.amazonaws.com`, and the old `<region>.queue.amazonaws.com` and
/// `queue.amazonaws.com` (us-east-1) (AWS General Reference, "Amazon SQS endpoints and quotas").
fn region_of_host(host: &str) -> Option<String> {
    if !host.contains(".amazonaws.com") && !host.ends_with(".api.aws") {
        return None;
    }
    let labels: Vec<&str> = host.split('.').collect();
    let after =
        |wanted: &[&str]| labels.iter().position(|label| wanted.contains(label)).and_then(|at| labels.get(at + 1));
    match labels[..] {
        ["queue", "amazonaws", ..] => Some("us-east-1".to_owned()),
        [region, "queue", "amazonaws", ..] => Some(region.to_owned()),
        _ => after(&["sqs", "sqs-fips"]).map(|region| (*region).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("https://sqs.ap-northeast-2.amazonaws.com/123456789012/ad-logs")]
    #[case("https://sqs.us-east-1.amazonaws.com/123456789012/ad-logs.fifo")]
    #[case("http://127.0.0.1:5000/123456789012/queue")]
    #[case("http://localhost:4566/queue/us-east-1/000000000000/q")]
    fn queue_is_known_by_its_url(#[case] text: &str) {
        assert_eq!(SourceUrl::parse(text), Ok(SourceUrl::Sqs(text.into())));
        assert_eq!(SourceUrl::parse(text).unwrap().to_string(), text);
    }

    #[rstest]
    #[case("s3://logs", "logs", "")]
    #[case("s3://logs/", "logs", "")]
    #[case(" s3://logs/2024/06 ", "logs", "2024/06")]
    #[case("s3://logs/a b+c%20d", "logs", "a b+c%20d")]
    fn bucket_is_known_by_its_scheme(#[case] text: &str, #[case] bucket: &str, #[case] prefix: &str) {
        let expected = SourceUrl::Bucket { bucket: bucket.into(), prefix: prefix.into() };
        assert_eq!(SourceUrl::parse(text), Ok(expected));
    }

    #[rstest]
    #[case("/var/logs", "/var/logs")]
    #[case("logs", "logs")]
    #[case("./logs with spaces", "./logs with spaces")]
    #[case("file:///var/logs", "/var/logs")]
    fn everything_without_a_scheme_is_a_folder(#[case] text: &str, #[case] path: &str) {
        assert_eq!(SourceUrl::parse(text), Ok(SourceUrl::Folder(path.into())));
    }

    #[rstest]
    #[case("", "the source is empty")]
    #[case("   ", "the source is empty")]
    #[case("sqs://ad-logs", "there is no source of kind `sqs`")]
    #[case("ftp://host/x", "there is no source of kind `ftp`")]
    #[case("file://logs", "write file:///absolute/path")]
    #[case("s3://", "`` is not the name of a bucket")]
    #[case("s3://my bucket/x", "`my bucket` is not the name of a bucket")]
    #[case("https://", "is not a URL: empty host")]
    #[case("https://sqs.us-east-1.amazonaws.com", "ends with /<account>/<queue name>")]
    #[case("https://sqs.us-east-1.amazonaws.com/ad-logs", "ends with /<account>/<queue name>")]
    #[case("https://sqs.us-east-1.amazonaws.com/123456789012/", "ends with /<account>/<queue name>")]
    #[case("https://sqs.us-east-1.amazonaws.com/123456789012/ad logs", "ends with /<account>/<queue name>")]
    #[case("https://sqs.us-east-1.amazonaws.com/1/q?Action=x", "without `?` or `#`")]
    #[case("https://s3.us-east-1.amazonaws.com/bucket/key", "write s3://bucket/prefix")]
    #[case("https://bucket.s3.amazonaws.com/some/key", "write s3://bucket/prefix")]
    #[case("arn:aws:sqs:us-east-1:123456789012:q", "https://sqs.us-east-1.amazonaws.com/123456789012/q")]
    #[case("arn:aws:s3:::logs", "write s3://logs")]
    #[case("arn:aws:sns:us-east-1:123456789012:t", "is an ARN; write the URL")]
    fn nonsense_is_refused_with_what_to_write(#[case] text: &str, #[case] message: &str) {
        let problem = SourceUrl::parse(text).unwrap_err();
        assert!(problem.contains(message), "{problem}");
    }

    #[test]
    fn password_in_a_url_is_not_repeated() {
        let problem = SourceUrl::parse("https://me:secret@sqs.us-east-1.amazonaws.com/1/q").unwrap_err();
        assert!(problem.contains("no user or password") && !problem.contains("secret"), "{problem}");
    }

    #[rstest]
    #[case("https://sqs.ap-northeast-2.amazonaws.com/1/q", None)]
    #[case("https://queue.amazonaws.com/1/q", None)]
    #[case(
        "https://vpce-1a2b.sqs.us-east-2.vpce.amazonaws.com/1/q",
        Some("https://vpce-1a2b.sqs.us-east-2.vpce.amazonaws.com")
    )]
    #[case("http://127.0.0.1:5000/1/q", Some("http://127.0.0.1:5000"))]
    #[case("https://queues.example.com/1/q", Some("https://queues.example.com"))]
    #[case("/var/logs", None)]
    fn queue_outside_of_the_public_endpoints_is_its_own_address(#[case] url: &str, #[case] endpoint: Option<&str>) {
        assert_eq!(SourceUrl::parse(url).unwrap().endpoint().as_deref(), endpoint);
    }

    #[rstest]
    #[case("https://sqs.ap-northeast-2.amazonaws.com/1/q", Some("ap-northeast-2"))]
    #[case("https://sqs-fips.us-gov-west-1.amazonaws.com/1/q", Some("us-gov-west-1"))]
    #[case("https://sqs.cn-north-1.amazonaws.com.cn/1/q", Some("cn-north-1"))]
    #[case("https://sqs.eu-west-1.api.aws/1/q", Some("eu-west-1"))]
    #[case("https://vpce-1a2b-3c4d.sqs.us-east-2.vpce.amazonaws.com/1/q", Some("us-east-2"))]
    #[case("https://us-west-2.queue.amazonaws.com/1/q", Some("us-west-2"))]
    #[case("https://queue.amazonaws.com/1/q", Some("us-east-1"))]
    #[case("http://127.0.0.1:5000/1/q", None)]
    #[case("s3://logs", None)]
    fn queue_url_names_its_region(#[case] url: &str, #[case] region: Option<&str>) {
        assert_eq!(SourceUrl::parse(url).unwrap().region().as_deref(), region);
    }
}

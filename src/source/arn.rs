//! Names of AWS: `arn:<partition>:sqs:<region>:<account>:<queue>`, from a queue's URL or as SQS writes it.

use std::fmt;

use super::settings::SourceUrl;

/// A queue's name within all of AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueArn {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    pub region: String,
    pub account: String,
    pub name: String,
}

impl QueueArn {
    pub fn parse(text: &str) -> Option<QueueArn> {
        match text.split(':').collect::<Vec<_>>()[..] {
            ["arn", partition, "sqs", region, account, name] => Some(QueueArn {
                partition: partition.to_owned(),
                region: region.to_owned(),
                account: account.to_owned(),
                name: name.to_owned(),
            }),
            _ => None,
        }
    }

    /// What the URL says. `region` is for a URL that names none, as an emulator's.
    pub fn of_url(url: &SourceUrl, region: &str) -> Option<QueueArn> {
        let SourceUrl::Sqs(text) = url else { return None };
        let mut parts = text.rsplit('/');
        let (name, account) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        let region = url.region().unwrap_or_else(|| region.to_owned());
        Some(QueueArn { partition: partition_of(&region).to_owned(), region, account, name })
    }

    /// What we call the queue for its dead letters, unless it has another.
    pub fn dead_letters(&self) -> QueueArn {
        let name = match self.name.strip_suffix(".fifo") {
            Some(name) => format!("{name}-dead-letters.fifo"),
            None => format!("{}-dead-letters", self.name),
        };
        QueueArn { name, ..self.clone() }
    }

    pub fn bucket(&self, bucket: &str) -> String {
        bucket_arn(&self.partition, bucket)
    }
}

impl fmt::Display for QueueArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:{}:sqs:{}:{}:{}", self.partition, self.region, self.account, self.name)
    }
}

/// A bucket's, which names no region and no account.
pub fn bucket_arn(partition: &str, bucket: &str) -> String {
    format!("arn:{partition}:s3:::{bucket}")
}

/// AWS General Reference, "Amazon Resource Names".
pub fn partition_of(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// Whether an ARN is one that `pattern` means: `*` is any text, `?` any character (IAM User Guide, "Resource").
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = pattern.trim_start_matches('*');
            let mut tails = text.char_indices().map(|(at, _)| &text[at..]).chain([""]);
            rest.is_empty() || tails.any(|tail| matches(rest, tail))
        }
        Some(wanted) => {
            let mut found = text.chars();
            let same = found.next().is_some_and(|found| wanted == '?' || wanted == found);
            same && matches(&pattern[wanted.len_utf8()..], found.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(
        "https://sqs.ap-northeast-2.amazonaws.com/123456789012/ad-logs",
        "arn:aws:sqs:ap-northeast-2:123456789012:ad-logs"
    )]
    #[case(
        "https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q.fifo",
        "arn:aws-cn:sqs:cn-north-1:123456789012:q.fifo"
    )]
    #[case("https://sqs.us-gov-west-1.amazonaws.com/123456789012/q", "arn:aws-us-gov:sqs:us-gov-west-1:123456789012:q")]
    #[case("http://127.0.0.1:5000/123456789012/q", "arn:aws:sqs:us-east-1:123456789012:q")]
    fn url_of_a_queue_gives_its_arn(#[case] url: &str, #[case] arn: &str) {
        let found = QueueArn::of_url(&SourceUrl::parse(url).unwrap(), "us-east-1").unwrap();
        assert_eq!(found.to_string(), arn);
        assert_eq!(QueueArn::parse(arn), Some(found));
    }

    #[rstest]
    #[case("arn:aws:s3:::logs", "arn:aws:s3:::logs", true)]
    #[case("arn:aws:s3:::logs", "arn:aws:s3:::logs-2", false)]
    #[case("arn:aws:s3:::logs-*", "arn:aws:s3:::logs-2", true)]
    #[case("arn:aws:s3:::*-logs", "arn:aws:s3:::ad-logs", true)]
    #[case("arn:aws:s3:::log?", "arn:aws:s3:::logs", true)]
    #[case("arn:aws:s3:::log?", "arn:aws:s3:::log", false)]
    #[case("*", "", true)]
    #[case("**s", "logs", true)]
    fn pattern_of_an_arn_matches(#[case] pattern: &str, #[case] text: &str, #[case] expected: bool) {
        assert_eq!(matches(pattern, text), expected);
    }
}

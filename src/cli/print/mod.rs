//! `print`: what this configuration needs elsewhere, ready to apply. The document goes to standard output, the line that
//! applies it to standard error. Nothing is asked of AWS or of the database, and no secret is printed.

mod place;
mod settings;
mod task;
mod unit;

use std::path::Path;

use serde_json::{Value, json};

use super::{CliError, output};
use crate::config::Config;
use crate::model::shell::quoted;
use crate::source::{self, Filter, QueueArn, Resources, SourceUrl};
use place::Place;

#[derive(clap::Subcommand)]
pub enum Command {
    /// The least that the role of `run` and `check` must be allowed
    IamPolicy(IamArgs),
    /// The queue's policy: exactly these buckets may send, and nobody else's
    QueuePolicy(QueueArgs),
    /// The bucket's notification configuration: new objects that pass [source] prefix and suffix, to this queue
    Notification(BucketArgs),
    /// The systemd unit, for this program and this configuration
    Unit,
    /// The task definition of Amazon ECS, for this configuration
    TaskDefinition(task::Args),
    /// The configuration as it takes effect, and where each value comes from
    Config,
}

#[derive(clap::Args)]
pub struct BucketArgs {
    #[command(flatten)]
    place: Place,
    /// A bucket whose objects are counted; may be repeated
    #[arg(long, value_name = "NAME")]
    bucket: Vec<String>,
}

#[derive(clap::Args)]
pub struct QueueArgs {
    #[command(flatten)]
    of: BucketArgs,
    /// As `aws sqs set-queue-attributes --attributes` takes it: the policy as one text under its name
    #[arg(long)]
    attributes: bool,
}

#[derive(clap::Args)]
pub struct IamArgs {
    #[command(flatten)]
    of: BucketArgs,
    /// A KMS key that the queue or the objects are encrypted with; may be repeated
    #[arg(long, value_name = "ARN")]
    kms_key: Vec<String>,
    /// A topic of SNS that notices go to, beside [notice] topic_arn; may be repeated
    #[arg(long, value_name = "ARN")]
    sns_topic: Vec<String>,
    /// The queue of dead letters; the queue's name with -dead-letters unless given
    #[arg(long, value_name = "ARN")]
    dead_letters: Option<String>,
}

pub fn run(command: &Command, config: &Config, file: Option<&Path>) -> Result<(), CliError> {
    match command {
        Command::IamPolicy(args) => iam_policy(args, config, file),
        Command::QueuePolicy(args) => queue_policy(args, config, file),
        Command::Notification(args) => notification(args, config, file),
        Command::Unit => unit::print(config, file),
        Command::TaskDefinition(args) => task::print(args, config, file),
        Command::Config => settings::print(config, file),
    }
}

/// This program with the same configuration, and these words.
fn again(file: Option<&Path>, words: &str) -> String {
    match file {
        Some(file) => format!("xc2-analyzer --config {} print {words}", quoted(&file.display().to_string())),
        None => format!("xc2-analyzer print {words}"),
    }
}

fn told(document: &Value, apply: &str) -> Result<(), CliError> {
    eprintln!("# apply it by:\n{apply}");
    output::print(&format!("{document:#}\n"))
}

impl BucketArgs {
    /// Those that were given, or the one that the source is.
    fn buckets(&self, url: &SourceUrl) -> Result<Vec<String>, CliError> {
        match url {
            _ if !self.bucket.is_empty() => Ok(self.bucket.clone()),
            SourceUrl::Bucket { bucket, .. } => Ok(vec![bucket.clone()]),
            _ => Err(CliError::Failed("the configuration names no bucket: give --bucket NAME".to_owned())),
        }
    }

    fn words(&self) -> String {
        let buckets = self.bucket.iter().map(|bucket| format!(" --bucket {}", quoted(bucket)));
        buckets.chain([self.place.words()]).collect()
    }
}

fn no_queue(url: &SourceUrl) -> CliError {
    CliError::Failed(format!("[source] url is {url}, which is no queue of SQS: there is nothing to print"))
}

fn iam_policy(args: &IamArgs, config: &Config, file: Option<&Path>) -> Result<(), CliError> {
    let settings = config.source()?;
    let located = args.of.place.of(&settings.url)?;
    let queue = located.queue(&settings.url);
    let dead_letters = args.dead_letters.clone().or_else(|| queue.as_ref().map(|arn| arn.dead_letters().to_string()));
    let prefix = match &settings.url {
        SourceUrl::Bucket { prefix, .. } => prefix.clone(),
        SourceUrl::Sqs(_) => settings.filter.prefix.clone(),
        SourceUrl::Folder(_) => {
            return Err(CliError::Failed("[source] url is a folder: nothing is asked of AWS".to_owned()));
        }
    };
    let mut topics = args.sns_topic.clone();
    topics.extend(config.notice.topic_arn.clone().filter(|arn| !args.sns_topic.contains(arn)));
    let document = source::iam_policy(&Resources {
        partition: located.partition().to_owned(),
        dead_letters,
        queue,
        buckets: args.of.buckets(&settings.url)?,
        prefix,
        copies: settings.filter.aside.clone(),
        keys: args.kms_key.clone(),
        topics,
    });
    let mut words = format!("iam-policy{}", args.of.words());
    let options = [("--kms-key", &args.kms_key), ("--sns-topic", &args.sns_topic)];
    for (option, values) in options {
        values.iter().for_each(|value| words += &format!(" {option} {}", quoted(value)));
    }
    if let Some(arn) = &args.dead_letters {
        words += &format!(" --dead-letters {}", quoted(arn));
    }
    let put = "aws iam put-role-policy --role-name xc2-analyzer --policy-name xc2-analyzer --policy-document file:///dev/stdin";
    told(&document, &format!("{} | {put}", again(file, &words)))
}

fn queue_of(place: &Place, config: &Config) -> Result<(QueueArn, SourceUrl, Filter), CliError> {
    let settings = config.source()?;
    let queue = place.of(&settings.url)?.queue(&settings.url).ok_or_else(|| no_queue(&settings.url))?;
    Ok((queue, settings.url, settings.filter))
}

fn queue_policy(args: &QueueArgs, config: &Config, file: Option<&Path>) -> Result<(), CliError> {
    let (queue, url, _) = queue_of(&args.of.place, config)?;
    let policy = source::queue_policy(&queue, &args.of.buckets(&url)?);
    let document = match args.attributes {
        true => json!({"Policy": policy.to_string()}),
        false => policy,
    };
    let print = again(file, &format!("queue-policy --attributes{}", args.of.words()));
    let set = format!(
        "aws{} sqs set-queue-attributes --queue-url {}",
        args.of.place.of(&url)?.option(),
        quoted(&url.to_string())
    );
    eprintln!("# it replaces the queue's whole policy; `check` prints one that keeps other statements");
    told(&document, &format!("{print} | {set} --attributes file:///dev/stdin"))
}

fn notification(args: &BucketArgs, config: &Config, file: Option<&Path>) -> Result<(), CliError> {
    let (queue, url, filter) = queue_of(&args.place, config)?;
    let document = source::bucket_notification(&queue, &filter);
    let option = args.place.of(&url)?.option();
    let lines = args.buckets(&url)?.into_iter().map(|bucket| {
        let bucket = quoted(&bucket);
        let print = again(file, &format!("notification --bucket {bucket}{}", args.place.words()));
        format!(
            "{print} | aws{option} s3api put-bucket-notification-configuration --bucket {bucket} \
             --notification-configuration file:///dev/stdin"
        )
    });
    let lines = lines.collect::<Vec<_>>().join("\n");
    eprintln!("# it replaces the bucket's whole configuration; `check` prints one that keeps other entries");
    told(&document, &lines)
}

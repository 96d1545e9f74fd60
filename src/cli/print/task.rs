//! `print task-definition`: deploy/ecs/task-definition.json with this configuration in it.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::cli::{CliError, output};
use crate::config::{Config, Effective, Origin, Setting};
use crate::supervisor::systemd::STOP_MARGIN;

use super::place::{Located, Place};

/// With `${placeholders}`, which `filled` knows all of.
const TEMPLATE: &str = include_str!("../../../deploy/ecs/task-definition.json");
const NAME: &str = "xc2-analyzer";
/// One core, and what the limits of two workers come to; Fargate has only certain pairs.
const CPU: &str = "1024";
const MEMORY_MIB: &str = "4096";
const STORE_URL: &str = "XC2__STORE__URL";
/// AWS Fargate allows no more (Amazon ECS API Reference, ContainerDefinition).
const STOP_TIMEOUT_MAX: u64 = 120;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// The image; otherwise the one of this account's registry
    #[arg(long)]
    image: Option<String>,
    /// The account; otherwise the one that the queue's URL names
    #[arg(long, value_name = "NUMBER")]
    account: Option<String>,
}

pub fn print(args: &Args, config: &Config, file: Option<&Path>) -> Result<(), CliError> {
    let url = config.source()?.url;
    let located = args.place.of(&url)?;
    let account = args.account.clone().or_else(|| located.queue(&url).map(|arn| arn.account));
    let account = account.ok_or_else(|| CliError::Failed("give --account NUMBER: the source names none".to_owned()))?;
    let effective = Effective::load(file)?;
    let task = filled(TEMPLATE, &located, &account, args.image.as_deref(), config.shutdown_grace, &effective.settings);
    let task = task.map_err(CliError::Failed)?;
    if effective.entries.iter().any(|entry| entry.origin != Origin::Default) {
        eprintln!(
            "# [[measure]] and [[report]] of your file can't be in an environment: put the file into the image, as /etc/xc2/config.toml"
        );
    }
    if config.shutdown_grace + STOP_MARGIN > Duration::from_secs(STOP_TIMEOUT_MAX) {
        eprintln!(
            "# ECS waits at most {STOP_TIMEOUT_MAX} s for a task to stop: lower [run] shutdown_grace to 100s or less"
        );
    }
    for secret in task["containerDefinitions"][0]["secrets"].as_array().into_iter().flatten() {
        eprintln!(
            "# {} is read from {}",
            secret["name"].as_str().unwrap_or_default(),
            secret["valueFrom"].as_str().unwrap_or_default()
        );
    }
    let print = super::again(file, "task-definition");
    let image = args.image.iter().map(|image| format!(" --image {}", crate::model::shell::quoted(image)));
    let account = args.account.iter().map(|account| format!(" --account {account}"));
    let words: String = image.chain(account).chain([args.place.words()]).collect();
    eprintln!(
        "# apply it by:\n{print}{words} | aws{} ecs register-task-definition --cli-input-json file:///dev/stdin",
        located.option()
    );
    output::print(&format!("{task:#}\n"))
}

fn filled(
    template: &str,
    located: &Located,
    account: &str,
    image: Option<&str>,
    grace: Duration,
    settings: &[Setting],
) -> Result<Value, String> {
    let (partition, region) = (located.partition(), located.region.as_str());
    let secret = |name: &str| format!("arn:{partition}:secretsmanager:{region}:{account}:secret:{NAME}/{name}");
    let role = |name: &str| format!("arn:{partition}:iam::{account}:role/{name}");
    let registry = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    let ours = format!("{account}.dkr.ecr.{region}.{registry}/{NAME}:{}", env!("CARGO_PKG_VERSION"));
    let text = [
        ("name", NAME.to_owned()),
        ("cpu", CPU.to_owned()),
        ("memory", MEMORY_MIB.to_owned()),
        ("region", region.to_owned()),
        ("image", image.map_or(ours, str::to_owned)),
        ("log_group", format!("/ecs/{NAME}")),
        ("execution_role_arn", role(&format!("{NAME}-execution"))),
        ("task_role_arn", role(NAME)),
        ("store_password_secret_arn", secret("store-password")),
    ]
    .iter()
    .fold(template.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value));
    let mut task: Value =
        serde_json::from_str(&text).map_err(|error| format!("the built-in task definition: {error}"))?;
    let containers = task.get_mut("containerDefinitions").and_then(Value::as_array_mut);
    let container = containers.and_then(|containers| containers.first_mut()).and_then(Value::as_object_mut);
    let container = container.ok_or("the built-in task definition has no container")?;
    let stop = (grace + STOP_MARGIN).as_secs().min(STOP_TIMEOUT_MAX);
    container.insert("stopTimeout".into(), stop.into());
    let changed = || settings.iter().filter(|setting| setting.origin != Origin::Default);
    let environment = changed().filter(|setting| !setting.is_secret).map(|setting| {
        let value = setting.value.as_str().map_or_else(|| setting.value.to_string(), str::to_owned);
        (setting.variable(), value)
    });
    lay_over(container, "environment", "value", environment.chain([("AWS_REGION".to_owned(), region.to_owned())]));
    // The URL of the database may hold its password.
    let secrets = settings.iter().filter(|setting| setting.is_secret);
    let secrets = secrets.filter(|setting| setting.origin != Origin::Default || setting.variable() == STORE_URL);
    let secrets = secrets.map(|setting| {
        let name = format!("{}-{}", setting.section, setting.key).replace('_', "-");
        (setting.variable(), secret(&name))
    });
    lay_over(container, "secrets", "valueFrom", secrets);
    if let Some(environment) = container.get_mut("environment").and_then(Value::as_array_mut) {
        environment.retain(|entry| entry["name"] != STORE_URL);
    }
    Ok(task)
}

/// Entries of the template keep their place, and a secret's its reference; others are added.
fn lay_over(
    container: &mut Map<String, Value>,
    list: &str,
    member: &str,
    pairs: impl Iterator<Item = (String, String)>,
) {
    let entries = container.entry(list).or_insert_with(|| json!([]));
    let Value::Array(entries) = entries else { return };
    for (name, value) in pairs {
        match entries.iter_mut().find(|entry| entry["name"] == name.as_str()) {
            Some(_) if member == "valueFrom" => {}
            Some(entry) => entry[member] = value.into(),
            None => entries.push(json!({"name": name, member: value})),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceUrl;

    #[test]
    fn task_has_this_configuration_and_no_secret() {
        let url = "https://sqs.cn-north-1.amazonaws.com.cn/999999999999/logs";
        let file = format!(
            "[source]\nurl = '{url}'\nprefix = 'logs/'\nbatch_size = 5\n[store]\nurl = 'mysql://xc2:geheim@db/ads'\n\
             password = 'geheim'\n[telemetry]\nsentry_dsn = 'https://geheim@sentry.example/1'\n"
        );
        let settings = Effective::of(Some(("my.toml", &file)), std::iter::empty()).unwrap().settings;
        let located = Place::default().of(&SourceUrl::parse(url).unwrap()).ok().unwrap();
        let task =
            filled(TEMPLATE, &located, "999999999999", Some("repo/xc2:7"), Duration::from_secs(45), &settings).unwrap();
        let text = task.to_string();
        for gone in ["geheim", "123456789012", "ap-northeast-2", "arn:aws:", "***", "${"] {
            assert!(!text.contains(gone), "{gone}: {task:#}");
        }
        let container = &task["containerDefinitions"][0];
        assert_eq!((&container["image"], &container["stopTimeout"]), (&"repo/xc2:7".into(), &65.into()));
        let value = |list: &str, name: &str, member: &str| {
            let entries = container[list].as_array().unwrap();
            let of_name: Vec<&Value> = entries.iter().filter(|entry| entry["name"] == name).collect();
            assert_eq!(of_name.len(), 1, "{name}: {task:#}");
            of_name[0][member].as_str().unwrap().to_owned()
        };
        assert_eq!(value("environment", "XC2__SOURCE__URL", "value"), url);
        assert_eq!(value("environment", "XC2__SOURCE__PREFIX", "value"), "logs/");
        assert_eq!(value("environment", "XC2__SOURCE__BATCH_SIZE", "value"), "5");
        assert_eq!(value("environment", "AWS_REGION", "value"), "cn-north-1");
        for (name, secret) in [
            ("XC2__STORE__URL", "store-url"),
            ("XC2__STORE__PASSWORD", "store-password"),
            ("XC2__TELEMETRY__SENTRY_DSN", "telemetry-sentry-dsn"),
        ] {
            let from = value("secrets", name, "valueFrom");
            assert!(from.starts_with("arn:aws-cn:secretsmanager:cn-north-1:999999999999:secret:"), "{from}");
            assert!(from.ends_with(secret), "{from}");
        }
        // ECS refuses a name that is in both lists.
        assert!(!container["environment"].to_string().contains("XC2__STORE__"), "{task:#}");
        assert_eq!(task["taskRoleArn"], "arn:aws-cn:iam::999999999999:role/xc2-analyzer");
    }
}

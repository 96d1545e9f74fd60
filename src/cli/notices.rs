//! `notices`: the outbox of what people are told, and a way to see whether it arrives.

use jiff::Timestamp;

use super::output::{self, Column, ColumnKind, Format, Rows};
use super::{CliError, open};
use crate::config::{Config, ConfigError};
use crate::notice::{Channels, message};
use crate::store::{NoticeRow, NoticeState};

#[derive(clap::Subcommand)]
pub enum Command {
    /// List them, the newest first: what was told, and what still has to be
    List(ListArgs),
    /// Send a message to everything that [notice] configures, and say what the receivers answered
    Send(SendArgs),
}

#[derive(clap::Args)]
pub struct ListArgs {
    /// Only in this state: gathering, open, delivered or given_up
    #[arg(long, value_parser = state_named)]
    state: Option<NoticeState>,
    #[arg(long, default_value = "100")]
    limit: u64,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(clap::Args)]
pub struct SendArgs {
    /// A test message, which is not kept: the only one that is sent by hand
    #[arg(long, required = true)]
    test: bool,
}

fn state_named(name: &str) -> Result<NoticeState, String> {
    NoticeState::ALL.into_iter().find(|state| state.name() == name).ok_or_else(|| {
        let known: Vec<&str> = NoticeState::ALL.iter().map(|state| state.name()).collect();
        format!("the states are {}", known.join(", "))
    })
}

pub async fn run(command: Command, config: Config) -> Result<(), CliError> {
    match command {
        Command::List(args) => list(args, config).await,
        Command::Send(SendArgs { test: _ }) => send_test(config).await,
    }
}

async fn list(args: ListArgs, config: Config) -> Result<(), CliError> {
    let store = open::store(&config).await?;
    let notices = store.notices(args.state, args.limit).await?;
    if notices.is_empty() {
        let hint =
            if config.notice.is_on() { "" } else { "; [notice] names no webhook and no topic, so none are written" };
        eprintln!("{}: no notices{hint}", store.label());
    }
    output::print(&rows(&notices).to_text(args.format)?)
}

fn rows(notices: &[NoticeRow]) -> Rows {
    let columns = [
        ("id", ColumnKind::Text),
        ("state", ColumnKind::Text),
        ("objects", ColumnKind::Integer),
        ("created_at", ColumnKind::Text),
        ("attempts", ColumnKind::Integer),
        ("delivered_at", ColumnKind::Text),
        ("next_attempt", ColumnKind::Text),
        ("last_error", ColumnKind::Text),
    ];
    let row = |notice: &NoticeRow| {
        let waits = matches!(notice.state, NoticeState::Gathering | NoticeState::Open);
        vec![
            Some(notice.id.clone()),
            Some(notice.state.name().to_owned()),
            Some(notice.objects.to_string()),
            Some(notice.created_at.to_string()),
            Some(notice.attempts.to_string()),
            notice.delivered_at.map(|at| at.to_string()),
            waits.then(|| notice.next_attempt.to_string()),
            notice.last_error.clone(),
        ]
    };
    let columns = columns.into_iter().map(|(name, kind)| Column::new(name, kind)).collect();
    Rows { columns, rows: notices.iter().map(row).collect() }
}

async fn send_test(config: Config) -> Result<(), CliError> {
    let wrong = |problem: String| CliError::Config(ConfigError { place: "section [notice]".into(), problem });
    if !config.notice.is_on() {
        let problem = "names no webhook and no topic: set XC2__NOTICE__WEBHOOK or XC2__NOTICE__TOPIC_ARN";
        return Err(wrong(problem.to_owned()));
    }
    let channels = Channels::open(&config.notice, &config.source_or_none()).await.map_err(wrong)?;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let body = message::test(host.trim(), Timestamp::now(), config.notice.language);
    let mut all_arrived = true;
    for channel in channels.list() {
        match channels.send(channel, &body).await {
            Ok(answer) => output::print(&format!("{channel}: arrived ({answer})\n"))?,
            Err(error) => {
                all_arrived = false;
                output::print(&format!("{channel}: did not arrive: {error}\n"))?;
            }
        }
    }
    if all_arrived { Ok(()) } else { Err(CliError::Said) }
}

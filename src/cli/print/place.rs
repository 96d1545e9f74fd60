//! Region and account of what is printed: from the queue's URL, else from the options.

use crate::cli::CliError;
use crate::source::arn::partition_of;
use crate::source::{QueueArn, SourceUrl};

#[derive(clap::Args, Clone, Default)]
pub struct Place {
    /// The region, when the queue's URL names none; otherwise that of AWS_REGION
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
}

/// What [`Place`] means for one source.
pub struct Located {
    pub region: String,
}

impl Place {
    pub fn of(&self, url: &SourceUrl) -> Result<Located, CliError> {
        let of_environment = || std::env::var("AWS_REGION").ok().filter(|region| !region.is_empty());
        match (url.region(), self.region.clone().or_else(of_environment)) {
            (Some(region), _) | (None, Some(region)) => Ok(Located { region }),
            (None, None) => {
                Err(CliError::Failed(format!("{url} names no region: give --region NAME, or set AWS_REGION")))
            }
        }
    }

    pub fn words(&self) -> String {
        self.region.iter().map(|region| format!(" --region {region}")).collect()
    }
}

impl Located {
    pub fn queue(&self, url: &SourceUrl) -> Option<QueueArn> {
        QueueArn::of_url(url, &self.region)
    }

    pub fn partition(&self) -> &'static str {
        partition_of(&self.region)
    }

    /// For the command line tool of AWS.
    pub fn option(&self) -> String {
        format!(" --region {}", self.region)
    }
}

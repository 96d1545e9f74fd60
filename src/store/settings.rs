//! Which database, and within which bounds: the store's settings and the meaning of its URL.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::StoreError;
use crate::model::Secret;

/// The default metadata queries read the default metadata tables, which `migrate` creates for them.
pub const DEFAULT_MEDIA_QUERY: &str = "SELECT media_key, organization_id, agency_rate, media_rate FROM media";
pub const DEFAULT_INVENTORY_QUERY: &str = "SELECT inventory_id, ad_type, device, app_type FROM inventory";

#[derive(Clone)]
pub struct StoreSettings {
    /// `mysql://user[:password]@host:port/database` or `sqlite:PATH`.
    ///
    /// MySQL parameters after `?` are those of the driver; for TLS they are `require_ssl=true`, `ssl_ca=FILE` (a PEM
    /// bundle such as a cloud's own roots), `verify_ca=false` and `verify_identity=false`.
    pub url: String,
    /// Overrides the URL's.
    pub password: Option<Secret>,
    /// Columns by position: media key, organization id, agency rate, media rate.
    pub media_query: String,
    /// Columns by position: inventory id, ad type, device, app type.
    pub inventory_query: String,
    pub connect_timeout: Duration,
    /// Of any one statement, COMMIT included. When it elapses the connection is dropped.
    pub statement_timeout: Duration,
    /// Connections that are open at once. SQLite has one.
    pub connections_max: usize,
    /// Report rows of one upsert statement. From 100 to 1,000 is best; the shapes of statements are derived from it.
    pub upsert_rows: usize,
    /// Whether a SQLite file that is not there is made.
    pub create: bool,
    /// Failures of one kind within so much time are told of in one notice; none: nobody is told.
    pub failures_every: Option<Duration>,
    /// What the server's process list calls us (MySQL connection attribute `program_name`).
    pub application: String,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            url: "sqlite:xc2.db".into(),
            password: None,
            media_query: DEFAULT_MEDIA_QUERY.into(),
            inventory_query: DEFAULT_INVENTORY_QUERY.into(),
            connect_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(60),
            connections_max: 4,
            upsert_rows: 512,
            create: true,
            failures_every: None,
            application: "xc2-analyzer".into(),
        }
    }
}

impl fmt::Debug for StoreSettings {
    /// The URL may hold a password: only its harmless parts are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreSettings")
            .field("url", &self.label())
            .field("password", &self.password)
            .field("media_query", &self.media_query)
            .field("inventory_query", &self.inventory_query)
            .field("connect_timeout", &self.connect_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .field("connections_max", &self.connections_max)
            .field("upsert_rows", &self.upsert_rows)
            .field("create", &self.create)
            .field("application", &self.application)
            .finish()
    }
}

impl StoreSettings {
    /// Whether the URL can be used at all; nothing is opened. The error is a sentence about it, without its password.
    pub fn check_url(&self) -> Result<(), String> {
        match Address::parse(self) {
            Err(StoreError::BadUrl { problem, .. }) => Err(problem),
            _ => Ok(()),
        }
    }

    /// The URL as a person knows it: without its password and its parameters.
    pub fn label(&self) -> String {
        Address::parse(self).map_or_else(|_| "(unusable)".into(), |address| address.label())
    }

    /// Whether it is a SQLite file that does not exist.
    pub fn is_absent_file(&self) -> bool {
        matches!(Address::parse(self), Ok(Address::Sqlite { path }) if !path.exists())
    }

    /// Whether the metadata comes from the default tables, so that they are ours to create.
    pub(super) fn default_metadata(&self) -> bool {
        self.media_query.trim() == DEFAULT_MEDIA_QUERY && self.inventory_query.trim() == DEFAULT_INVENTORY_QUERY
    }
}

/// What a URL says.
#[derive(Clone)]
pub(super) enum Address {
    Mysql {
        opts: Box<mysql_async::Opts>,
        /// A PEM bundle, from `ssl_ca`.
        ca: Option<PathBuf>,
    },
    Sqlite {
        path: PathBuf,
    },
}

impl Address {
    pub fn parse(settings: &StoreSettings) -> Result<Address, StoreError> {
        match settings.url.split_once(':') {
            Some(("sqlite", path)) => parse_sqlite(path),
            Some(("mysql", _)) => parse_mysql(settings),
            // A `mariadb:` URL, or one with a typing error, may hold a password: it is not repeated.
            _ => Err(StoreError::BadUrl {
                url: "[store] url".into(),
                problem: "is neither mysql://user@host:port/database nor sqlite:PATH".into(),
            }),
        }
    }

    /// For messages: without the password.
    pub fn label(&self) -> String {
        match self {
            Address::Mysql { opts, .. } => format!(
                "mysql://{}@{}:{}/{}",
                opts.user().unwrap_or_default(),
                opts.ip_or_hostname(),
                opts.tcp_port(),
                opts.db_name().unwrap_or_default()
            ),
            Address::Sqlite { path } => format!("sqlite:{}", path.display()),
        }
    }
}

fn parse_sqlite(path: &str) -> Result<Address, StoreError> {
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() {
        let problem = "names no file: write sqlite:PATH, such as sqlite:xc2.db".into();
        return Err(StoreError::BadUrl { url: "sqlite:".into(), problem });
    }
    Ok(Address::Sqlite { path: path.into() })
}

fn parse_mysql(settings: &StoreSettings) -> Result<Address, StoreError> {
    // Which part of a broken URL is the password can't be known, so that nothing of it is shown.
    let wrong = |problem: String| StoreError::BadUrl {
        url: "mysql://...".into(),
        problem: format!("{problem}; write mysql://user@host:port/database (in a password, percent-encode : / ? # @)"),
    };
    let mut url = url::Url::parse(&settings.url).map_err(|error| wrong(error.to_string()))?;
    let database = url.path().trim_start_matches('/');
    if url.fragment().is_some() || database.contains(['@', '/', ':']) {
        return Err(wrong("the URL has parts where none belong".into()));
    }
    if database.is_empty() {
        return Err(wrong("the URL names no database".into()));
    }
    if url.username().is_empty() {
        return Err(wrong("the URL names no user".into()));
    }
    let ca = url.query_pairs().find(|(key, _)| key == "ssl_ca").map(|(_, value)| PathBuf::from(value.as_ref()));
    let others: Vec<(String, String)> =
        url.query_pairs().filter(|(key, _)| key != "ssl_ca").map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
    url.set_query(None);
    if !others.is_empty() {
        url.query_pairs_mut().extend_pairs(others);
    }
    let opts = mysql_async::Opts::from_url(url.as_str()).map_err(|error| wrong(url_problem(&error)))?;
    let mut builder = mysql_async::OptsBuilder::from_opts(opts)
        // A server on this machine would otherwise be reached through its socket file, whatever the URL says.
        .prefer_socket(false)
        .tcp_keepalive(Some(Duration::from_secs(60)))
        .connect_attribute("program_name", settings.application.clone());
    if let Some(password) = &settings.password {
        builder = builder.pass(Some(password.reveal()));
    }
    Ok(Address::Mysql { opts: Box::new(builder.into()), ca })
}

fn url_problem(error: &mysql_async::UrlError) -> String {
    match error {
        // The value may be anything, and is not repeated.
        mysql_async::UrlError::InvalidParamValue { param, .. } => format!("parameter {param} has no such value"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn settings(url: &str) -> StoreSettings {
        StoreSettings { url: url.into(), ..StoreSettings::default() }
    }

    #[rstest]
    #[case("mysql://xc2:geheim@db:3307/ads", "mysql://xc2@db:3307/ads")]
    #[case("mysql://xc2@db/ads?require_ssl=true&ssl_ca=/etc/ca.pem", "mysql://xc2@db:3306/ads")]
    #[case("sqlite:xc2.db", "sqlite:xc2.db")]
    #[case("sqlite:///var/lib/xc2.db", "sqlite:/var/lib/xc2.db")]
    fn url_is_shown_without_its_password(#[case] url: &str, #[case] shown: &str) {
        assert_eq!(Address::parse(&settings(url)).unwrap().label(), shown);
        assert!(!format!("{:?}", settings(url)).contains("geheim"));
    }

    #[rstest]
    #[case("mysql://xc2:geheim@db:3306")]
    #[case("mysql://xc2:geheim@db:3306/")]
    #[case("mysql://:geheim@db:3306/ads")]
    #[case("mysql://xc2:ge/geheim@db:3306/ads")]
    #[case("mysql://xc2:12#geheim@db:3306/ads")]
    #[case("mysql://xc2:geheim@db:port/ads")]
    #[case("mysql://xc2@db/ads?no_such=geheim")]
    #[case("mysql://xc2@db/ads?require_ssl=geheim")]
    #[case("mariadb://xc2:geheim@db/ads")]
    #[case("geheim")]
    #[case("sqlite:")]
    fn unusable_url_is_refused_without_repeating_it(#[case] url: &str) {
        let Err(error) = Address::parse(&settings(url)) else { panic!("{url} was taken") };
        assert!(matches!(error, StoreError::BadUrl { .. }), "{error}");
        assert!(!error.to_string().contains("geheim"), "{error}");
        assert!(!format!("{error:?} {:?}", settings(url)).contains("geheim"));
    }

    #[test]
    fn password_of_its_own_overrides_the_urls() {
        let mut settings = settings("mysql://xc2:old@db/ads");
        settings.password = Some(Secret::new("new"));
        let Ok(Address::Mysql { opts, .. }) = Address::parse(&settings) else { panic!("a MySQL address") };
        assert_eq!(opts.pass(), Some("new"));
    }
}

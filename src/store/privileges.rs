//! Which privileges this user has on our tables, and which it lacks: for `check`.

use super::StoreError;
use super::session::{Session, SqlResult};
use super::settings::{Address, StoreSettings};
use crate::model::health::{HealthFact, HealthLevel, bad, good};

/// What `run` needs on every table, then what `migrate` needs besides.
const RUN: [&str; 3] = ["SELECT", "INSERT", "UPDATE"];
const MIGRATE: [&str; 2] = ["CREATE", "ALTER"];

/// What the server says of this user.
pub(super) struct Granted {
    /// `name@host`, as the server knows it.
    user: String,
    database: String,
    /// Lines of `SHOW GRANTS`.
    grants: Vec<String>,
}

const WHO: &str = "SELECT CURRENT_USER(), DATABASE()";

impl Granted {
    pub async fn read(session: &mut Session) -> SqlResult<Granted> {
        let mut granted = Granted { user: String::new(), database: String::new(), grants: Vec::new() };
        for row in session.query(WHO, Vec::new()).await? {
            granted.user = row.text(0)?.to_string();
            granted.database = row.text_or_null(1)?.map_or_else(String::new, |name| name.to_string());
        }
        for row in session.query("SHOW GRANTS", Vec::new()).await? {
            granted.grants.push(row.text(0)?.to_string());
        }
        Ok(granted)
    }

    /// Grants of single columns do not count. Those of roles are not resolved: with a role, what is missing is a warning.
    /// What `migrate` needs is missed only when it has something to do.
    pub fn fact(&self, tables: &[String], must_migrate: bool) -> HealthFact {
        const NAME: &str = "privileges";
        let missing = |wanted: &[&'static str]| -> Vec<&'static str> {
            wanted.iter().filter(|privilege| !self.has(privilege, tables)).copied().collect()
        };
        let (run, migrate) = (missing(&RUN), missing(&MIGRATE));
        let database = &self.database;
        let lacking = if must_migrate { [run.as_slice(), &migrate].concat() } else { run };
        if lacking.is_empty() {
            let detail = match migrate.as_slice() {
                [] => format!("enough for `run` and `migrate` on {database}"),
                migrate => format!("enough for `run` on {database}; `migrate` needs {} besides", migrate.join(", ")),
            };
            return good(NAME, detail);
        }
        let has_role = self.grants.iter().any(|grant| !grant.contains(" ON "));
        let (level, advice) = match has_role {
            true => {
                (HealthLevel::Warning, "grant them, unless one of the user's roles does: roles are not resolved here")
            }
            false => (HealthLevel::Failure, "grant them, as the database's administrator"),
        };
        let detail = format!("{} has no {} on {database}", self.user, lacking.join(", "));
        bad(NAME, level, detail, advice).fixed_by(self.statement(&lacking))
    }

    fn statement(&self, privileges: &[&str]) -> String {
        let (user, host) = self.user.rsplit_once('@').unwrap_or((&self.user, "%"));
        let text = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
        grant(privileges, &self.database, &format!("{}@{}", text(user), text(host)))
    }

    /// Everywhere, on the database, or on each table by itself.
    fn has(&self, privilege: &str, tables: &[String]) -> bool {
        let on = |table: Option<&String>| {
            self.grants.iter().filter_map(|grant| Scope::of(grant)).any(|scope| {
                let named =
                    scope.privileges.split(", ").any(|name| name == privilege || name.starts_with("ALL PRIVILEGES"));
                named && scope.covers(&self.database, table.map(String::as_str))
            })
        };
        // What is created is in no list yet: that takes a grant on the database.
        on(None) || (privilege != "CREATE" && !tables.is_empty() && tables.iter().all(|table| on(Some(table))))
    }
}

/// `to` as SQL writes it.
fn grant(privileges: &[&str], database: &str, to: &str) -> String {
    // In the name of a database that is granted on, `_` and `%` are wildcards.
    let database = database.replace('`', "``").replace('_', "\\_").replace('%', "\\%");
    format!("GRANT {} ON `{database}`.* TO {to};", privileges.join(", "))
}

/// What the database's administrator has to run before [`SqlStore::open`](super::SqlStore::open) can succeed, when
/// `error` says that: the database is not there, or this user may not enter it.
pub fn admission(settings: &StoreSettings, error: &StoreError) -> Option<String> {
    let (StoreError::Refused { problem, .. }, Ok(Address::Mysql { opts, .. })) = (error, Address::parse(settings))
    else {
        return None;
    };
    let database = opts.db_name()?;
    if problem.contains("(error 1049)") {
        return Some(format!("CREATE DATABASE `{}` CHARACTER SET utf8mb4;", database.replace('`', "``")));
    }
    // "Access denied for user 'xc2'@'10.0.%' to database 'ads' (error 1044)"
    let (whom, _) = problem.split_once(" to database ").filter(|_| problem.contains("(error 1044)"))?;
    let (_, whom) = whom.split_once("for user ")?;
    Some(grant(&[RUN.as_slice(), &MIGRATE].concat(), database, whom))
}

/// ``GRANT SELECT, INSERT ON `xc2`.* TO ...``; grants of a role have no ON.
struct Scope<'a> {
    privileges: &'a str,
    database: String,
    table: String,
}

impl Scope<'_> {
    fn of(grant: &str) -> Option<Scope<'_>> {
        let (privileges, rest) = grant.strip_prefix("GRANT ")?.split_once(" ON ")?;
        // MySQL: `ON PROCEDURE ..`, and of proxies: ON ''@''.
        let rest = rest.strip_prefix("TABLE ").unwrap_or(rest);
        let (database, rest) = name(rest)?;
        let (table, _) = name(rest.strip_prefix('.')?)?;
        Some(Scope { privileges, database, table })
    }

    fn covers(&self, database: &str, table: Option<&str>) -> bool {
        let of_database = self.database == "*" || is_like(&self.database, database);
        of_database && (self.table == "*" || table.is_some_and(|table| self.table == table))
    }
}

/// A quoted name or `*`, and what comes after it.
fn name(text: &str) -> Option<(String, &str)> {
    if let Some(rest) = text.strip_prefix('*') {
        return Some(("*".to_owned(), rest));
    }
    let quote = text.chars().next().filter(|first| matches!(first, '`' | '"'))?;
    let (mut found, mut rest) = (String::new(), &text[1..]);
    loop {
        let end = rest.find(quote)?;
        found += &rest[..end];
        rest = &rest[end + 1..];
        // A doubled quote is one of the name's own.
        let Some(more) = rest.strip_prefix(quote) else { return Some((found, rest)) };
        found.push(quote);
        rest = more;
    }
}

/// The pattern of a grant's database: `%` any text, `_` any character, `\` takes the next one as it is.
fn is_like(pattern: &str, text: &str) -> bool {
    let mut wanted = pattern.chars();
    match wanted.next() {
        None => text.is_empty(),
        Some('%') => {
            let rest = wanted.as_str();
            text.char_indices().map(|(at, _)| &text[at..]).chain([""]).any(|tail| is_like(rest, tail))
        }
        Some(first) => {
            let exact = if first == '\\' { wanted.next() } else { Some(first).filter(|first| *first != '_') };
            let mut found = text.chars();
            found.next().is_some_and(|found| exact.is_none_or(|exact| exact == found))
                && is_like(wanted.as_str(), found.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn granted(grants: &[&str]) -> Granted {
        let grants = grants.iter().map(|grant| (*grant).to_owned()).collect();
        Granted { user: "xc2@10.0.%".into(), database: "ads_prod".into(), grants }
    }

    #[rstest]
    #[case(&["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"], HealthLevel::Ok, "`run` and `migrate`")]
    #[case(&["GRANT USAGE ON *.* TO `x`", "GRANT SELECT, INSERT, UPDATE ON `ads\\_prod`.* TO `x`"], HealthLevel::Ok, "needs CREATE, ALTER")]
    #[case(&["GRANT ALL PRIVILEGES ON `ads_%`.* TO `x`"], HealthLevel::Ok, "`run` and `migrate`")]
    #[case(&["GRANT ALL PRIVILEGES ON `other`.* TO `x`"], HealthLevel::Failure, "no SELECT, INSERT, UPDATE on ads_prod")]
    #[case(&["GRANT ALL PRIVILEGES ON `ads\\_prod2`.* TO `x`"], HealthLevel::Failure, "no SELECT")]
    #[case(&["GRANT SELECT ON `ads_prod`.* TO `x`"], HealthLevel::Failure, "no INSERT, UPDATE on")]
    #[case(&["GRANT SELECT, INSERT, UPDATE ON `ads_prod`.`report_ad` TO `x`"], HealthLevel::Failure, "no SELECT")]
    #[case(&["GRANT SELECT, INSERT, UPDATE ON `ads_prod`.`a``b` TO `x`", "GRANT SELECT, INSERT, UPDATE ON `ads_prod`.`report_ad` TO `x`"], HealthLevel::Ok, "`run`")]
    #[case(&["GRANT SELECT (`a`), INSERT, UPDATE ON `ads_prod`.* TO `x`"], HealthLevel::Failure, "no SELECT on")]
    #[case(&["GRANT `writers`@`%` TO `x`"], HealthLevel::Warning, "SELECT, INSERT, UPDATE")]
    fn missing_privileges_are_named(#[case] grants: &[&str], #[case] level: HealthLevel, #[case] detail: &str) {
        let fact = granted(grants).fact(&["report_ad".into(), "a`b".into()], false);
        assert!(fact.level == level && fact.detail.contains(detail), "{fact:?}");
    }

    #[rstest]
    #[case(
        "Unknown database 'ads_prod' (error 1049): create it",
        Some("CREATE DATABASE `ads_prod` CHARACTER SET utf8mb4;")
    )]
    #[case(
        "Access denied for user 'xc2'@'10.0.%' to database 'ads_prod' (error 1044): grant",
        Some(r"GRANT SELECT, INSERT, UPDATE, CREATE, ALTER ON `ads\_prod`.* TO 'xc2'@'10.0.%';")
    )]
    #[case("Access denied for user 'xc2'@'10.0.0.1' (using password: YES) (error 1045)", None)]
    fn administrator_is_told_how_to_let_this_user_in(#[case] problem: &str, #[case] statement: Option<&str>) {
        let settings = StoreSettings { url: "mysql://xc2:geheim@db/ads_prod".into(), ..StoreSettings::default() };
        let error = StoreError::Refused { database: String::new(), problem: problem.into() };
        assert_eq!(admission(&settings, &error).as_deref(), statement);
    }

    #[test]
    fn statement_grants_what_is_missing_and_no_more() {
        let granted = granted(&["GRANT SELECT, CREATE ON `ads_prod`.* TO `x`"]);
        assert!(granted.fact(&[], true).fix.starts_with("GRANT INSERT, UPDATE, ALTER ON "));
        let fact = granted.fact(&["report_ad".into()], false);
        assert_eq!(fact.fix, r"GRANT INSERT, UPDATE ON `ads\_prod`.* TO 'xc2'@'10.0.%';");
    }
}

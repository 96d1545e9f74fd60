//! What an error of a MySQL or MariaDB server means for us. Everything is decided here, by number.
//!
//! Only errors that name the data's own fault may set objects aside; whatever a server, a disk, a network or an
//! operator did must not.

use mysql_async::{DriverError, Error, IoError};

use super::session::{Class, SqlError};

pub(super) fn classify(error: &Error) -> SqlError {
    match error {
        Error::Server(error) => {
            let (class, advice) = class_of(error.code, &error.state);
            SqlError::new(class, format!("{} (error {}){advice}", error.message.trim_end(), error.code))
        }
        Error::Io(IoError::Io(error)) => io(error),
        // A network that fails in the middle of a handshake is an `Io`: this is about keys and certificates.
        Error::Io(IoError::Tls(error)) => SqlError::new(Class::Refused, format!("TLS: {error}")),
        Error::Driver(error) => driver(error),
        Error::Url(error) => SqlError::new(Class::Refused, error.to_string()),
        Error::Other(error) => SqlError::new(Class::Unavailable, error.to_string()),
    }
}

/// A certificate that is not trusted comes as an I/O error too, and no waiting makes it better. So does a packet that the
/// driver does not send, since it knows the server's limit.
fn io(error: &std::io::Error) -> SqlError {
    let text = error.to_string();
    if error.kind() == std::io::ErrorKind::InvalidData && text.contains("certificate") {
        let advice = "name the server's own roots with ?ssl_ca=FILE in [store] url";
        return SqlError::new(Class::Refused, format!("TLS: {text}: {advice}"));
    }
    let advice = if text.contains("max_allowed_packet") { PACKET_ADVICE } else { "" };
    SqlError::new(Class::Unavailable, text + advice)
}

/// The class, and what to do when the server's own words do not say it.
fn class_of(code: u16, state: &str) -> (Class, &'static str) {
    match code {
        // Deadlock, lock wait timeout, "record has changed since last read", deadlock of user locks.
        1213 | 1205 | 1020 | 3058 => (Class::Conflict, ""),
        // Failed over: this connection leads to a server that only reads now. A fresh one leads to the writer.
        1290 | 1792 | 1836 => (Class::Unavailable, ": the server, or the transaction, only reads"),
        1153 | 2020 => (Class::Unavailable, PACKET_ADVICE),
        1114 | 1021 | 1030 | 1037 | 1038 | 1041 | 3675 => {
            (Class::Unavailable, ": the server is out of disk space, table space or memory; make room, nothing is lost")
        }
        1040 | 1203 | 1226 => {
            (Class::Unavailable, ": raise the server's or the user's limit of connections, or lower ours")
        }
        1461 => (Class::Unavailable, ": raise the server's max_prepared_stmt_count"),
        // Shutting down, killed, interrupted, or beyond the server's own time limit.
        1053 | 1077 | 1079 | 1317 | 1927 | 1969 | 3024 | 1129 => (Class::Unavailable, ""),
        1264 | 1690 => (Class::OutOfRange, ""),
        // A name longer than its column. Names of the reports' own columns are measured before they get here, which
        // leaves the object's key.
        1406 => (Class::OutOfRange, ""),
        1062 | 1586 => (Class::Duplicate, ""),
        1049 => (Class::Refused, ": create the database, or correct [store] url"),
        1045 | 1698 => (
            Class::Refused,
            ": check the user and the password in [store], and whether the server demands TLS (?require_ssl=true)",
        ),
        1044 | 1142 | 1143 | 1227 | 1370 => (Class::Refused, ": grant the privilege to the user in [store] url"),
        1130 => (Class::Refused, ": allow this host to connect"),
        1146 | 1054 | 1048 | 1136 | 1364 | 1366 | 1452 | 3105 | 1906 => (Class::Schema, ": run `xc2-analyzer migrate`"),
        _ => (class_of_state(state), ""),
    }
}

const PACKET_ADVICE: &str = ": raise the server's max_allowed_packet, or lower [store] upsert_rows";

/// For the hundreds of other codes, the SQLSTATE's class decides. What is in no class of its own (`HY000`) is mostly
/// a server in trouble: that is waited out.
fn class_of_state(state: &str) -> Class {
    match state.get(..2) {
        Some("40") => Class::Conflict,
        Some("28") => Class::Refused,
        // Not understood, or not allowed.
        Some("42" | "3D" | "0A") => Class::Refused,
        // Values or constraints that the tables of our own would not complain about: the tables are others.
        Some("21" | "22" | "23" | "44") => Class::Schema,
        _ => Class::Unavailable,
    }
}

fn driver(error: &DriverError) -> SqlError {
    let class = match error {
        DriverError::UnknownAuthPlugin { .. }
        | DriverError::MysqlOldPasswordDisabled
        | DriverError::CleartextPluginDisabled
        | DriverError::NoClientSslFlagFromServer
        | DriverError::NoKeyFound
        | DriverError::CantParseServerVersion { .. }
        | DriverError::MixedParams
        | DriverError::Params(_)
        | DriverError::StmtParamsMismatch { .. }
        | DriverError::StmtParamsNumberExceedsLimit { .. } => Class::Refused,
        _ => Class::Unavailable,
    };
    // `FromValue`, `FromRow` and `UnexpectedPacket` hold data; their `Display` does not show it.
    SqlError::new(class, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn certificate_that_is_not_trusted_is_no_outage() {
        let io = |kind, text: &str| Error::Io(IoError::Io(std::io::Error::new(kind, text.to_owned())));
        let refused = io(std::io::ErrorKind::InvalidData, "invalid peer certificate: UnknownIssuer");
        assert_eq!(classify(&refused).class, Class::Refused);
        assert_eq!(classify(&io(std::io::ErrorKind::ConnectionReset, "reset")).class, Class::Unavailable);
    }

    #[rstest]
    #[case(1213, "40001", Class::Conflict)]
    #[case(1205, "HY000", Class::Conflict)]
    #[case(1290, "HY000", Class::Unavailable)]
    #[case(1792, "25006", Class::Unavailable)]
    #[case(1836, "HY000", Class::Unavailable)]
    #[case(1040, "08004", Class::Unavailable)]
    #[case(1114, "HY000", Class::Unavailable)]
    #[case(1153, "08S01", Class::Unavailable)]
    #[case(1461, "42000", Class::Unavailable)]
    #[case(1226, "42000", Class::Unavailable)]
    #[case(3101, "40000", Class::Conflict)]
    #[case(1045, "28000", Class::Refused)]
    #[case(1049, "42000", Class::Refused)]
    #[case(1142, "42000", Class::Refused)]
    #[case(1064, "42000", Class::Refused)]
    #[case(1146, "42S02", Class::Schema)]
    #[case(1054, "42S22", Class::Schema)]
    #[case(1264, "22003", Class::OutOfRange)]
    #[case(1690, "22003", Class::OutOfRange)]
    #[case(1062, "23000", Class::Duplicate)]
    #[case(1292, "22007", Class::Schema)]
    #[case(1047, "08S01", Class::Unavailable)]
    #[case(1105, "HY000", Class::Unavailable)]
    fn error_number_decides_what_to_do(#[case] code: u16, #[case] state: &str, #[case] class: Class) {
        let server = mysql_async::ServerError { code, message: "so".into(), state: state.into() };
        assert_eq!(classify(&Error::Server(server)).class, class);
    }
}

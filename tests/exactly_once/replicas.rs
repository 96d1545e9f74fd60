//! Several processes share one queue and one database.

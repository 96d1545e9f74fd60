//! The process dies at every step of the protocol.

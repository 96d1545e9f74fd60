//! The network cuts, stalls, truncates and loses answers.

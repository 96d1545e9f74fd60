//! The database refuses, deadlocks, dies and fails over.

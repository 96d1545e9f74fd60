//! The pipeline itself on a simulated queue and store, by seed.

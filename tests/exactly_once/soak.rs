//! A random mix of everything, for as long as one likes.

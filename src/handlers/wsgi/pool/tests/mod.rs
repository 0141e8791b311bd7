//! The rules of a pool, in virtual time and without a process.

mod random;
mod requests;
mod workers;
mod world;

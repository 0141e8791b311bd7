//! The few Linux calls, over rustix: safe types, nothing of HTTP.

pub mod backlog;
pub mod culprit;
pub mod file;
pub mod fs;
pub mod pid_file;
pub mod privilege;
pub mod process;
pub mod socket;
pub mod spool_budget;
pub mod watch;
pub mod way;

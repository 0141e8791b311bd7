//! The server as its users meet it: the real binary, started on a free port with a folder and a
//! configuration of its own, and asked over sockets.
//!
//! Rules: no fixed port, no sleep where a deadline does, every server is stopped by its own pid.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

mod access;
mod access_log;
mod auth;
mod cgi;
mod cgi_among;
mod cgi_faults;
mod challenge;
mod closed;
mod conditional;
mod config;
#[cfg(feature = "demo")]
mod demo;
mod documents;
mod errors;
mod explain;
mod fairness;
mod framework;
mod framework_answers;
mod framework_edges;
mod hostile;
mod http1;
mod http2;
mod keepalive;
mod layers;
mod limits;
mod lingering;
mod names;
mod no_content;
mod own_handler;
mod pages;
mod panics;
mod paths;
mod pause;
mod peers;
mod pipelining;
mod ranges;
mod reload;
mod roots;
mod smuggling;
mod spool_total;
mod stalls;
mod static_files;
mod stop;
mod timeouts;
mod tls;
mod tls_checks;
mod tls_client;
mod tls_hostile;
mod tls_local;
mod tls_policy;
mod tls_records;
mod tls_renewal;
mod uploads;
mod vhosts;
mod wsgi;
mod wsgi_apart;
mod wsgi_faults;
mod wsgi_held;
mod wsgi_late;
mod wsgi_load;
mod wsgi_outlives;
mod wsgi_protocol;
mod wsgi_shapes;
mod wsgi_start;
mod wsgi_stuck;

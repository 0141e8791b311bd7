//! httpyserver: a single-threaded web server on one `mio::Poll`.
//!
//! A module imports only from modules above it in this list (`tests/layers.rs` checks it):
//!
//! | layer | what it knows |
//! |---|---|
//! | [`http`] | HTTP/1 as pure functions of bytes |
//! | [`conf`] | `web.conf`: text to a typed model, or to diagnostics with carets |
//! | [`sys`] | the few Linux calls, over rustix |
//! | [`event`] | what every moving thing may ask of the loop: tokens, timers, run queue, clock |
//! | [`net`] | bytes to and from a client; no HTTP words |
//! | [`tls`] | certificates: read, made, chosen among; no sockets |
//! | [`serve`] | the contract: `Handler`, `Response`, `Exchange` |
//! | [`handlers`] | files, uploads, redirects, fixed answers |
//! | [`app`] | the framework: applications in Rust |
//! | [`site`] | what the configuration means: hosts, routes, and how one is chosen |
//! | [`server`] | the loop, its connections, its logs |
//! | [`demo`] | the demo site: quotes from films |
//! | [`challenge`] | the stepwise HTTP server challenge |
//!
//! `ARCHITECTURE.md` follows a request through them.

pub mod app;
pub mod challenge;
pub mod conf;
#[cfg(feature = "demo")]
pub mod demo;
pub mod event;
pub mod handlers;
pub mod http;
pub mod net;
pub mod serve;
pub mod server;
pub mod site;
pub mod sys;
pub mod tls;

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
pub use app::{
    App, Blocking, Broadcast, Error, Event, Flash, Html, IntoMethods, IntoNext, IntoReply,
    IntoVerdict, Json, Next, Options, Out, Pairs, Reply, Request, Result, Session, Subscription,
    Upload, abort,
};
pub use askama;
pub use cookie::{self, Cookie};
pub use server::{Failure, Refusal, Running, Server, SiteServer};

/// The examples of the documents, compiled and run by `cargo test`.
#[cfg(doctest)]
#[doc = include_str!("../docs/framework.md")]
#[doc = include_str!("../docs/recipes.md")]
struct Documents;

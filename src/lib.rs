//! httpyserver: a single-threaded web server on one `mio::Poll`, and a framework for applications on it.
//!
//! ```no_run
//! use httpyserver::{App, Failure, Server};
//!
//! fn main() -> Result<(), Failure> {
//!     let app = App::new()
//!         .get("/", |_| "Hello, World!")
//!         .get("/hello/{name}", |request| format!("Hello, {}!", request.param_str("name")));
//!     Server::bind("127.0.0.1:8080").app(app).run()
//! }
//! ```
//!
//! # The library
//!
//! What programs use is re-exported here, with an example each: [`App`], [`Request`], [`Reply`] and what
//! belongs to them, [`Server`] to run them, [`testing`] to test them. `docs/framework.md` is the
//! tutorial, `docs/recipes.md` has pieces to take. The types of HTTP are those of the crate `http`
//! ([`Method`], [`StatusCode`], [`header`]), cookies those of [`cookie`].
//!
//! Answers that the framework has no words for are given by a [`serve::Handler`] of one's own: the
//! module [`serve`] says how one is written and tested.
//!
//! # The inside
//!
//! The other modules are public so that tests, benchmarks and fuzz targets reach them. They may change with
//! any version; what is said above of the library is not said of them.
//!
//! A module imports only from modules above it in this list (`tests/layers.rs` checks it):
//!
//! | layer | what it knows |
//! |---|---|
//! | [`http`] | what HTTP means, as pure functions of bytes |
//! | [`http1`] | one rendering of it: HTTP/1 heads, framing, chunks |
//! | [`http2`] | the other: frames, HPACK, windows |
//! | [`conf`] | `web.conf`: text to a typed model, or to diagnostics with carets |
//! | [`sys`] | the few Linux calls, over rustix |
//! | [`event`] | what every moving thing may ask of the loop: tokens, timers, run queue, clock |
//! | [`net`] | bytes to and from a client; no HTTP words |
//! | [`tls`] | certificates: read, made, chosen among; no sockets |
//! | [`serve`] | the contracts: `Handler`, `Response`, `Exchange`, `Service` |
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
pub mod http1;
pub mod http2;
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
pub use server::{Failure, Refusal, Running, Server, SiteServer, testing};
pub use site::IntoHandler;

/// The examples of the documents, compiled and run by `cargo test`.
#[cfg(doctest)]
#[doc = include_str!("../docs/framework.md")]
#[doc = include_str!("../docs/recipes.md")]
struct Documents;

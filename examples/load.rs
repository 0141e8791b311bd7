//! What the speed of the framework is measured with: a handler beside a cached file, event streams
//! that speak once a second, and work that keeps the helper threads busy.
//!
//! ```text
//! cargo run --release --example load FOLDER 8090   # serves FOLDER too
//! wrk -t1 -c64 http://127.0.0.1:8090/app/hello     # against /file.txt of the folder
//! scripts/bench-app                                # all that docs/framework.md tells
//! ```

use httpyserver::{App, Event, Failure, Next, Reply, Server};
use std::time::{Duration, Instant};

fn app() -> App {
    App::new()
        .get("/hello", |_| "Hello, World!")
        .get("/ticks", |_| {
            let mut n = 0u64;
            Reply::event_stream(move |out| {
                n += 1;
                out.event(&Event::data(n.to_string()));
                Next::After(Duration::from_secs(1))
            })
        })
        // As long as a password hash of cost 12, and as busy.
        .get("/hash", |request| {
            request.blocking(|| {
                let (until, mut n) = (Instant::now() + Duration::from_millis(200), 1u64);
                while Instant::now() < until {
                    n = std::hint::black_box(n.wrapping_mul(6_364_136_223_846_793_005) + 1);
                }
                n.to_string()
            })
        })
}

fn main() -> Result<(), Failure> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let port = std::env::args().nth(2).unwrap_or_else(|| "8090".into());
    let config = format!(
        "[server]\nlisten = [\"http://127.0.0.1:{port}\"]\n[log]\naccess = false\n\
         [limits]\nconnections = 20_000\n[[host]]\nroot = {folder:?}\n\
         [[host.route]]\npath = \"/app/\"\nhandler = \"load\"\n"
    );
    Server::from_text(config).app("load", app()).run()
}

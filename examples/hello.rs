//! The smallest application: `cargo run --example hello`, then http://127.0.0.1:8080/.

use httpyserver::{App, Failure, Server};

fn main() -> Result<(), Failure> {
    let app = App::new()
        .get("/", |_| "Hello, World!")
        .get("/hello/{name}", |request| format!("Hello, {}!", request.param_str("name")));
    Server::bind("127.0.0.1:8080").app(app).run()
}

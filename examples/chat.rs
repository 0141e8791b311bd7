//! A chat: what one says, all others see at once. `cargo run --example chat`, then open
//! http://127.0.0.1:8080/ in two windows.

use httpyserver::{App, Broadcast, Event, Failure, Html, Reply, Request, Result, Server};

const PAGE: &str = r#"<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Chat</title>
<h1>Chat</h1>
<form><input name="text" aria-label="Message" autofocus autocomplete="off"><button>Say</button></form>
<ul aria-live="polite"></ul>
<script>
  const list = document.querySelector("ul"), form = document.querySelector("form");
  new EventSource("events").onmessage = event => {
    const item = document.createElement("li");
    item.textContent = event.data;
    list.prepend(item);
  };
  form.onsubmit = event => {
    event.preventDefault();
    fetch("say", { method: "POST", body: new URLSearchParams(new FormData(form)) });
    form.reset();
  };
</script></html>
"#;

fn app() -> App {
    let room = Broadcast::new(50);
    let heard = room.clone();
    App::new()
        .get("/", |_| Html(PAGE))
        .post("/say", move |request: &mut Request<'_>| -> Result<()> {
            let text = request.form().require("text")?;
            room.send(Event::data(format!("{}: {text}", request.remote_addr())));
            Ok(())
        })
        .get("/events", move |request| {
            // A browser that was away sends the id of the last event it has seen.
            Reply::events(heard.subscribe(request.last_event_id().or(Some("all"))))
        })
}

fn main() -> Result<(), Failure> {
    Server::bind("127.0.0.1:8080").app(app()).run()
}

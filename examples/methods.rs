//! Methods of one's own, and answers to every failure: `cargo run --example methods`, then
//!
//! ```text
//! curl -X REPORT http://127.0.0.1:8080/notes
//! curl -X MOVE -d to=done http://127.0.0.1:8080/notes/1
//! curl -i -X OPTIONS http://127.0.0.1:8080/notes/1
//! curl http://127.0.0.1:8080/notes/7
//! printf 'garbage\r\n\r\n' | nc 127.0.0.1 8080
//! ```

use httpyserver::{
    App, Error, Failure, Json, Refusal, Reply, Request, Result, Server, StatusCode, abort,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The loop is one thread: no lock is needed.
type Notes = Rc<RefCell<BTreeMap<u32, String>>>;

fn app(notes: Notes) -> App {
    let (moved, reported) = (Rc::clone(&notes), Rc::clone(&notes));
    App::new()
        .route("REPORT", "/notes", move |_| format!("{} notes\n", reported.borrow().len()))
        .route("MOVE", "/notes/{id:uint}", move |request: &mut Request<'_>| -> Result<StatusCode> {
            let to = request.form().require("to")?.to_owned();
            let mut notes = moved.borrow_mut();
            let note = notes.get_mut(&request.param("id")?).ok_or_else(|| abort(404))?;
            *note = to;
            Ok(StatusCode::NO_CONTENT)
        })
        .get("/notes/{id:uint}", move |request: &mut Request<'_>| -> Result<Option<String>> {
            Ok(notes.borrow().get(&request.param("id")?).cloned())
        })
        .error_handler(404, |request, _| format!("no note at {}\n", request.path()))
        .default_error_handler(|_, error: &Error| Json([error.status().as_u16()]))
}

/// What no application is asked: broken requests, heads that are too long, time-outs.
fn refused(refusal: &Refusal<'_>) -> Option<Reply> {
    Some(Reply::text(format!("{}, by the server itself\n", refusal.status())))
}

fn main() -> Result<(), Failure> {
    let notes = Notes::default();
    notes.borrow_mut().insert(1, "to do".into());
    let app = app(notes);
    print!("{}", app.routes());
    Server::bind("127.0.0.1:8080").app(app).on_error(refused).run()
}

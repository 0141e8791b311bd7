//! The live page: quotes appear in it as others add them, by server-sent events.

use super::common::{Demo, ask, frame, page, with};
use super::store::Quote;
use super::view::{Card, LivePage, QuoteView, views};
use crate::app::{App, Event, Reply, Request};
use askama::Template;
use serde::Serialize;
use std::rc::Rc;

/// Somebody has added a quote.
pub const ADDED: &str = "added";
/// Somebody has changed one of theirs.
pub const CHANGED: &str = "changed";
const REMOVED: &str = "removed";

/// Quotes that stay on the page.
const MOST: u32 = 24;

/// Events kept for those who come again after a moment without connection. Who was away longer
/// reads the page again, which its script does anyway.
pub const BACKLOG: usize = 64;

#[derive(Serialize)]
struct News<'a> {
    id: i64,
    /// The quote as it stands in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<String>,
    /// What is said, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    film: Option<&'a str>,
}

pub fn routes(app: App, demo: &Rc<Demo>) -> App {
    app.get("/live", with(demo, live)).get("/live/events", with(demo, events))
}

/// Tells everybody of a quote that was added or changed. `root`: where the site is mounted.
pub fn tell(demo: &Demo, root: &str, what: &str, quote: &Quote) {
    let view = QuoteView::from(quote.clone());
    let html = Card { root, quote: &view }.render().ok();
    let news = News { id: quote.id, html, text: Some(&quote.text), film: Some(&quote.film) };
    demo.live.send(Event::json(&news).named(what));
}

/// Tells everybody that a quote is gone.
pub fn tell_removed(demo: &Demo, id: i64) {
    let news = News { id, html: None, text: None, film: None };
    demo.live.send(Event::json(&news).named(REMOVED));
}

fn live(demo: &Rc<Demo>, request: &mut Request<'_>) -> Reply {
    ask(
        demo,
        request,
        |site, _| Ok(site.store()?.list("", 1, MOST)?),
        |request, user, found| {
            let frame = frame(request, user.as_ref(), "live", false);
            Ok(page(&LivePage { frame, quotes: views(found.quotes), most: MOST }))
        },
    )
}

fn events(demo: &Rc<Demo>, request: &mut Request<'_>) -> Reply {
    Reply::events(demo.live.subscribe(request.last_event_id()))
}

//! The JSON interface: what the pages do, for programs.

use super::common::{Demo, failed, frame, login_of, page, with};
use super::draft::{Draft, FILM_MAX, Problem, TEXT_MAX, YEAR_MIN};
use super::live;
use super::pages::{PER_PAGE, keep, page_of, remove, search_of, this_year};
use super::picture::{PictureError, SIZE_MAX};
use super::site::{Data, Fail, Site, now};
use super::store::{Change, PictureChange, Quote, StoreError, User};
use super::view::{ApiPage, iso};
use crate::StatusCode;
use crate::app::{App, Error, Reply, Request, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::rc::Rc;
use std::sync::Arc;

pub fn routes(app: App, demo: &Rc<Demo>) -> App {
    app.get("/quotes", with(demo, list))
        .post("/quotes", with(demo, add))
        .get("/quotes/{id:int}", with(demo, show))
        .put("/quotes/{id:int}", with(demo, change))
        .delete("/quotes/{id:int}", with(demo, delete))
        .group("", |app| {
            app.body_limit(SIZE_MAX)
                .put("/quotes/{id:int}/picture", with(demo, set_picture))
                .delete("/quotes/{id:int}/picture", with(demo, remove_picture))
        })
        .default_error_handler(problem)
}

/// A quote, as programs see it.
#[derive(Serialize)]
struct QuoteJson {
    id: i64,
    url: String,
    text: String,
    film: String,
    year: Option<u16>,
    character: String,
    picture: Option<PictureJson>,
    added_by: Option<String>,
    added: String,
    changed: String,
}

#[derive(Serialize)]
struct PictureJson {
    url: String,
    width: u32,
    height: u32,
    alt: String,
}

impl QuoteJson {
    /// `root`: where the site is mounted.
    fn new(root: &str, quote: Quote) -> Self {
        let picture = quote.picture.map(|picture| PictureJson {
            url: format!("{root}/pictures/{}", picture.name),
            width: picture.width,
            height: picture.height,
            alt: picture.alt,
        });
        Self {
            id: quote.id,
            url: format!("{root}/api/quotes/{}", quote.id),
            text: quote.text,
            film: quote.film,
            year: quote.year,
            character: quote.character,
            picture,
            added_by: quote.user_name,
            added: iso(quote.added),
            changed: iso(quote.changed),
        }
    }
}

/// Who a request says it comes from.
enum Claim {
    Nobody,
    Login(String),
    Token(String),
}

impl Claim {
    /// Reads it. A session counts for a change only with the token of its forms: a page of another
    /// site can make a browser send the cookie, but not the header.
    fn read(request: &Request<'_>, changes: bool) -> Result<Self> {
        if let Some(header) = request.header("authorization") {
            let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
            if scheme.eq_ignore_ascii_case("bearer") {
                return Ok(Self::Token(token.trim().to_owned()));
            }
        }
        let Some(login) = login_of(request) else { return Ok(Self::Nobody) };
        if changes {
            request.check_csrf()?;
        }
        Ok(Self::Login(login))
    }

    fn user(&self, site: &Site) -> std::result::Result<Option<User>, Fail> {
        match self {
            Self::Nobody => Ok(None),
            Self::Login(login) => site.user(Some(login)),
            Self::Token(token) => site.user_of_token(token),
        }
    }
}

/// What a helper found: what was asked for, or why not.
enum Done<T> {
    Well(T),
    WhoAreYou,
    Wrong(Vec<Problem>),
    NoPicture(PictureError),
}

/// Work for a helper in the name of a user; then an answer.
fn as_user<T: Send + 'static>(
    demo: &Rc<Demo>,
    request: &Request<'_>,
    work: impl FnOnce(&Data, &User) -> std::result::Result<Done<T>, Fail> + Send + 'static,
    answer: impl FnOnce(&mut Request<'_>, T) -> Result + 'static,
) -> Result {
    let claim = Claim::read(request, true)?;
    let site = Arc::clone(&demo.site);
    let work = move || match claim.user(&site)? {
        Some(user) => work(site.data()?, &user),
        None => Ok(Done::WhoAreYou),
    };
    Ok(request.blocking(work).then(|request, done: std::result::Result<_, Fail>| -> Result {
        match done.map_err(failed)? {
            Done::Well(found) => answer(request, found),
            Done::WhoAreYou => Err(Error::new(401, "a login or a token is needed")
                .with_header("WWW-Authenticate", "Bearer realm=\"quotes\"")),
            Done::Wrong(problems) => Ok(unprocessable(&problems)),
            Done::NoPicture(PictureError::TooLarge) => Err(Error::new(413, "too large a picture")),
            Done::NoPicture(error) => Ok(problem_reply(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                Some(&error.to_string()),
                None,
            )),
        }
    }))
}

fn list(demo: &Rc<Demo>, request: &mut Request<'_>) -> Reply {
    let (search, number) = (search_of(request), page_of(request));
    let site = Arc::clone(&demo.site);
    let work = move || -> std::result::Result<_, Fail> {
        Ok(site.store()?.list(&search, number, PER_PAGE)?)
    };
    request.blocking(work).then(|request, found| -> Result {
        let (root, found) = (request.script_root(), found.map_err(failed)?);
        let quotes = found.quotes.into_iter().map(|quote| QuoteJson::new(&root, quote));
        Ok(Reply::json(&json!({
            "total": found.total,
            "page": found.number,
            "pages": found.count,
            "quotes": quotes.collect::<Vec<_>>(),
        })))
    })
}

fn show(demo: &Rc<Demo>, request: &mut Request<'_>) -> Result {
    let id = request.param::<i64>("id")?;
    let site = Arc::clone(&demo.site);
    let work = move || -> std::result::Result<_, Fail> { Ok(site.store()?.quote(id)?) };
    Ok(request.blocking(work).then(|request, quote| -> Result {
        Ok(Reply::json(&QuoteJson::new(&request.script_root(), quote.map_err(failed)?)))
    }))
}

/// The draft in a body: an object with its fields.
fn read_draft(request: &Request<'_>) -> Result<Draft> {
    // A struct would be read from a list, too, whose order is nobody's business.
    let object = request.json::<Map<String, Value>>()?;
    let draft = serde_json::from_value(Value::Object(object));
    draft.map_err(|error| Error::new(400, error.to_string()))
}

fn add(demo: &Rc<Demo>, request: &mut Request<'_>) -> Result {
    let draft = read_draft(request)?;
    let live = Rc::clone(demo);
    as_user(
        demo,
        request,
        move |data, user| {
            let checked = match draft.check(false, this_year()) {
                Ok(checked) => checked,
                Err(problems) => return Ok(Done::Wrong(problems)),
            };
            let change = checked.into_change(PictureChange::Remove);
            Ok(Done::Well(data.store.add(user.id, &change, now())?))
        },
        move |request, quote| {
            let root = request.script_root();
            live::tell(&live, &root, live::ADDED, &quote);
            let quote = QuoteJson::new(&root, quote);
            Ok(Reply::json(&quote)
                .with_status(StatusCode::CREATED)
                .with_header("Location", &quote.url))
        },
    )
}

fn change(demo: &Rc<Demo>, request: &mut Request<'_>) -> Result {
    let id = request.param::<i64>("id")?;
    let draft = read_draft(request)?;
    let live = Rc::clone(demo);
    as_user(
        demo,
        request,
        move |data, user| {
            let before = data.store.quote(id)?;
            let checked = match draft.check(before.picture.is_some(), this_year()) {
                Ok(checked) => checked,
                Err(problems) => return Ok(Done::Wrong(problems)),
            };
            let alt = checked.picture_alt.clone();
            let change = checked.into_change(PictureChange::Keep { alt });
            Ok(Done::Well(data.store.edit(id, user.id, |_| change, now())?.0))
        },
        move |request, quote| Ok(changed(&live, request, quote)),
    )
}

fn changed(demo: &Demo, request: &Request<'_>, quote: Quote) -> Reply {
    let root = request.script_root();
    live::tell(demo, &root, live::CHANGED, &quote);
    Reply::json(&QuoteJson::new(&root, quote))
}

fn delete(demo: &Rc<Demo>, request: &mut Request<'_>) -> Result {
    let id = request.param::<i64>("id")?;
    let live = Rc::clone(demo);
    as_user(
        demo,
        request,
        move |data, user| Ok(Done::Well(remove(data, id, user.id)?)),
        move |_, quote| {
            live::tell_removed(&live, quote.id);
            Ok(Reply::status_only(StatusCode::NO_CONTENT))
        },
    )
}

fn set_picture(demo: &Rc<Demo>, request: &mut Request<'_>) -> Result {
    let id = request.param::<i64>("id")?;
    // A small body is in memory, a large one in a file.
    let spooled = request.take_spooled();
    let bytes = if spooled.is_some() { Vec::new() } else { request.data()?.into_owned() };
    let alt = request.args().get("alt").unwrap_or_default().to_owned();
    let live = Rc::clone(demo);
    as_user(
        demo,
        request,
        move |data, user| {
            let before = data.store.quote(id)?;
            if before.user != Some(user.id) {
                return Err(StoreError::NotYours.into());
            }
            let draft = Draft { picture_alt: alt, ..Draft::of(&before) };
            let alt = match draft.check(true, this_year()) {
                Ok(checked) => checked.picture_alt,
                Err(problems) => return Ok(Done::Wrong(problems)),
            };
            let taken = match spooled {
                Some(upload) => data.pictures.take_upload(upload, &alt),
                None => data.pictures.take_bytes(&bytes, &alt),
            };
            let picture = match taken {
                Ok(picture) => picture,
                Err(PictureError::Io(error)) => return Err(error.into()),
                Err(refused) => return Ok(Done::NoPicture(refused)),
            };
            let name = picture.name.clone();
            let set = PictureChange::Set(picture);
            let edited =
                data.store.edit(id, user.id, |quote| Change::of_picture(quote, set), now());
            let (quote, old) = keep(data, Some(name), edited)?;
            if let Some(old) = old {
                data.pictures.remove(&old);
            }
            Ok(Done::Well(quote))
        },
        move |request, quote| Ok(changed(&live, request, quote)),
    )
}

fn remove_picture(demo: &Rc<Demo>, request: &mut Request<'_>) -> Result {
    let id = request.param::<i64>("id")?;
    let live = Rc::clone(demo);
    as_user(
        demo,
        request,
        move |data, user| {
            let without = |quote: &Quote| Change::of_picture(quote, PictureChange::Remove);
            let (quote, old) = data.store.edit(id, user.id, without, now())?;
            let Some(old) = old else { return Err(StoreError::NotFound.into()) };
            data.pictures.remove(&old);
            Ok(Done::Well(quote))
        },
        move |request, quote| {
            changed(&live, request, quote);
            Ok(Reply::status_only(StatusCode::NO_CONTENT))
        },
    )
}

/// What went wrong, as RFC 9457 has it.
fn problem(_: &mut Request<'_>, error: &Error) -> Reply {
    // The reason of a failure of ours is for the log.
    let detail = (error.status().as_u16() < 500).then(|| error.reason());
    problem_reply(error.status(), detail, None)
}

fn unprocessable(problems: &[Problem]) -> Reply {
    let detail = "Some fields are not right.";
    problem_reply(StatusCode::UNPROCESSABLE_ENTITY, Some(detail), Some(problems))
}

fn problem_reply(status: StatusCode, detail: Option<&str>, problems: Option<&[Problem]>) -> Reply {
    Reply::json(&problem_json(status, detail, problems))
        .with_status(status)
        .with_type("application/problem+json")
}

#[derive(Serialize)]
struct ProblemJson<'a> {
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problems: Option<&'a [Problem]>,
}

fn problem_json<'a>(
    status: StatusCode,
    detail: Option<&'a str>,
    problems: Option<&'a [Problem]>,
) -> ProblemJson<'a> {
    // Without a `type` it is "about:blank", and the title that of the status.
    let title = status.canonical_reason().unwrap_or("Error");
    ProblemJson { title, status: status.as_u16(), detail, problems }
}

/// The page that explains all this.
pub fn document(demo: &Rc<Demo>, request: &mut Request<'_>) -> Reply {
    super::common::ask(
        demo,
        request,
        |_, _| Ok(()),
        |request, user, ()| {
            let frame = frame(request, user.as_ref(), "api", false);
            let example = QuoteJson::new(&frame.root, example());
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            let film = [Problem { field: "film", message: "Name the film.".into() }];
            let problem = problem_json(status, Some("Some fields are not right."), Some(&film));
            let base = format!("{}://{}{}", request.scheme(), request.host(), frame.root);
            Ok(page(&ApiPage {
                base,
                per_page: PER_PAGE,
                example: serde_json::to_string_pretty(&example)?,
                problem: serde_json::to_string_pretty(&problem)?,
                text_max: TEXT_MAX,
                film_max: FILM_MAX,
                year_min: YEAR_MIN,
                frame,
            }))
        },
    )
}

fn example() -> Quote {
    Quote {
        id: 7,
        text: "Inconceivable!".into(),
        film: "The Princess Bride".into(),
        year: Some(1987),
        character: "Vizzini".into(),
        picture: None,
        user: Some(1),
        user_name: Some("anna".into()),
        added: 1_795_000_000,
        changed: 1_795_000_000,
    }
}

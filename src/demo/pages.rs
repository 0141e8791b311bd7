//! The pages of the quotes: to list, search, see, add, change and delete them.

use super::common::{Demo, ask, ask_as_user, frame, page, with};
use super::draft::{Checked, Draft, Problem};
use super::live;
use super::picture::{PictureError, SIZE_MAX};
use super::site::{Data, Fail, now};
use super::store::{Change, Picture, PictureChange, Quote, StoreError};
use super::view::{DeletePage, EditPage, ListPage, QuotePage};
use crate::StatusCode;
use crate::app::{App, Error, Reply, Request, Result, Upload};
use crate::http::date::civil;
use std::rc::Rc;

/// Quotes on a page of the list, here and in the JSON interface. It fills rows of one, two and three.
pub const PER_PAGE: u32 = 12;

/// Longer searches are cut.
const SEARCH_MAX: usize = 200;

/// What a form may send: a picture that is a little too large is told so on its page, one that is
/// far too large is refused before it is read.
const FORM_MAX: u64 = SIZE_MAX + (2 << 20);

pub fn routes(app: App, demo: &Rc<Demo>) -> App {
    app.get("/", with(demo, list))
        .get("/quotes/{id:int}", with(demo, show))
        .get("/quotes/{id:int}/delete", with(demo, ask_to_delete))
        .post("/quotes/{id:int}/delete", with(demo, delete))
        .group("", |app| {
            app.body_limit(FORM_MAX)
                .get("/quotes/new", with(demo, new))
                .post("/quotes/new", with(demo, add))
                .get("/quotes/{id:int}/edit", with(demo, edit))
                .post("/quotes/{id:int}/edit", with(demo, change))
        })
        .get("/pictures/{name}", with(demo, picture))
}

/// What a search asks for, cut to a sensible length.
pub fn search_of(request: &Request<'_>) -> String {
    request.args().get("q").unwrap_or_default().trim().chars().take(SEARCH_MAX).collect()
}

/// The page of a list that is asked for.
pub fn page_of(request: &Request<'_>) -> u64 {
    request.args().parse("page").unwrap_or(1)
}

/// The year, for what a film's may be.
pub fn this_year() -> u16 {
    civil(now().unsigned_abs()).year
}

fn list(demo: &Rc<Demo>, request: &mut Request<'_>) -> Reply {
    let (search, number) = (search_of(request), page_of(request));
    let sought = search.clone();
    ask(
        demo,
        request,
        move |site, _| Ok(site.store()?.list(&sought, number, PER_PAGE)?),
        |request, user, found| {
            let frame = frame(request, user.as_ref(), "list", false);
            Ok(page(&ListPage::new(frame, search, found)))
        },
    )
}

fn show(demo: &Rc<Demo>, request: &mut Request<'_>) -> Result {
    let id = request.param::<i64>("id")?;
    Ok(ask(
        demo,
        request,
        move |site, _| Ok(site.store()?.quote(id)?),
        |request, user, quote| {
            let own = user.as_ref().is_some_and(|user| quote.user == Some(user.id));
            let frame = frame(request, user.as_ref(), "", false);
            Ok(page(&QuotePage { frame, quote: quote.into(), own }))
        },
    ))
}

fn new(demo: &Rc<Demo>, request: &mut Request<'_>) -> Reply {
    ask_as_user(
        demo,
        request,
        |_, _| Ok(()),
        |request, user, ()| {
            let frame = frame(request, Some(&user), "new", true);
            Ok(page(&EditPage::new(frame, None, Draft::default())))
        },
    )
}

fn add(demo: &Rc<Demo>, request: &mut Request<'_>) -> Reply {
    let form = Form::read(request);
    let shown = form.draft.clone();
    let live = Rc::clone(demo);
    ask_as_user(
        demo,
        request,
        move |site, user| {
            let data = site.data()?;
            let (change, picture) = match form.check(data, None)? {
                Ok(change) => change,
                Err(problems) => return Ok(Err(problems)),
            };
            Ok(Ok(keep(data, picture, data.store.add(user.id, &change, now()))?))
        },
        move |request, user, added| match added {
            Ok(quote) => {
                live::tell(&live, &request.script_root(), live::ADDED, &quote);
                request.flash("Added. Thank you!");
                Ok(Reply::redirect(request.url_for(&format!("/quotes/{}", quote.id))))
            }
            Err(problems) => {
                let frame = frame(request, Some(&user), "new", true);
                Ok(wrong(EditPage { problems, ..EditPage::new(frame, None, shown) }))
            }
        },
    )
}

fn edit(demo: &Rc<Demo>, request: &mut Request<'_>) -> Result {
    let id = request.param::<i64>("id")?;
    Ok(ask_as_user(
        demo,
        request,
        move |site, user| own(site.data()?, id, user.id),
        |request, user, quote| {
            let frame = frame(request, Some(&user), "", true);
            let draft = Draft::of(&quote);
            Ok(page(&EditPage {
                picture: quote.picture,
                ..EditPage::new(frame, Some(quote.id), draft)
            }))
        },
    ))
}

fn change(demo: &Rc<Demo>, request: &mut Request<'_>) -> Result {
    let id = request.param::<i64>("id")?;
    let form = Form::read(request);
    let shown = form.draft.clone();
    let live = Rc::clone(demo);
    Ok(ask_as_user(
        demo,
        request,
        move |site, user| {
            let data = site.data()?;
            let before = own(data, id, user.id)?;
            let (change, picture) = match form.check(data, before.picture.as_ref())? {
                Ok(change) => change,
                Err(problems) => return Ok(Err((before.picture, problems))),
            };
            let changed = data.store.edit(id, user.id, |_| change, now());
            let (quote, old) = keep(data, picture, changed)?;
            if let Some(old) = old {
                data.pictures.remove(&old);
            }
            Ok(Ok(quote))
        },
        move |request, user, changed| match changed {
            Ok(quote) => {
                live::tell(&live, &request.script_root(), live::CHANGED, &quote);
                request.flash("Saved.");
                Ok(Reply::redirect(request.url_for(&format!("/quotes/{}", quote.id))))
            }
            Err((picture, problems)) => {
                let frame = frame(request, Some(&user), "", true);
                Ok(wrong(EditPage { picture, problems, ..EditPage::new(frame, Some(id), shown) }))
            }
        },
    ))
}

fn ask_to_delete(demo: &Rc<Demo>, request: &mut Request<'_>) -> Result {
    let id = request.param::<i64>("id")?;
    Ok(ask_as_user(
        demo,
        request,
        move |site, user| own(site.data()?, id, user.id),
        |request, user, quote| {
            let frame = frame(request, Some(&user), "", true);
            Ok(page(&DeletePage { frame, quote: quote.into() }))
        },
    ))
}

fn delete(demo: &Rc<Demo>, request: &mut Request<'_>) -> Result {
    let id = request.param::<i64>("id")?;
    let live = Rc::clone(demo);
    Ok(ask_as_user(
        demo,
        request,
        move |site, user| remove(site.data()?, id, user.id),
        move |request, _, quote| {
            live::tell_removed(&live, quote.id);
            request.flash("Deleted.");
            Ok(Reply::redirect(request.url_for("/")))
        },
    ))
}

fn picture(demo: &Rc<Demo>, request: &mut Request<'_>) -> Result {
    let found = demo.site.settings.picture(request.param_str("name"));
    let (path, format) = found.ok_or_else(|| Error::new(404, "no name of a picture"))?;
    // A picture never changes: another one has another name.
    Ok(Reply::file(path)
        .with_type(format.media_type())
        .with_header("Cache-Control", "public, max-age=31536000, immutable"))
}

fn wrong(template: EditPage) -> Reply {
    page(&template).with_status(StatusCode::UNPROCESSABLE_ENTITY)
}

/// A quote, if it belongs to `user`.
fn own(data: &Data, id: i64, user: i64) -> std::result::Result<Quote, Fail> {
    let quote = data.store.quote(id)?;
    if quote.user == Some(user) { Ok(quote) } else { Err(StoreError::NotYours.into()) }
}

/// Deletes a quote with its picture.
pub fn remove(data: &Data, id: i64, user: i64) -> std::result::Result<Quote, Fail> {
    let quote = data.store.delete(id, user)?;
    if let Some(picture) = &quote.picture {
        data.pictures.remove(&picture.name);
    }
    Ok(quote)
}

/// The outcome of a change for which `picture` was written: if it failed, the picture goes.
pub fn keep<T>(
    data: &Data,
    picture: Option<String>,
    outcome: std::result::Result<T, StoreError>,
) -> std::result::Result<T, Fail> {
    if let (Err(_), Some(picture)) = (&outcome, picture) {
        data.pictures.remove(&picture);
    }
    Ok(outcome?)
}

/// The form of a quote, as it was sent.
struct Form {
    draft: Draft,
    upload: Option<Upload>,
    remove_picture: bool,
}

/// A change, and the name of the picture that was written for it.
type Ready = (Change, Option<String>);

impl Form {
    fn read(request: &mut Request<'_>) -> Self {
        let draft = Draft::from_fields(|name| request.form().get(name));
        let remove_picture = request.form().get("remove_picture").is_some();
        // A browser sends an empty file without a name where none was chosen.
        let upload = request
            .take_file("picture")
            .filter(|upload| upload.size() > 0 || !upload.filename().is_empty());
        Self { draft, upload, remove_picture }
    }

    /// Checks all of it, and writes the picture if nothing is wrong.
    fn check(
        self,
        data: &Data,
        before: Option<&Picture>,
    ) -> std::result::Result<std::result::Result<Ready, Vec<Problem>>, Fail> {
        let keeps = before.is_some() && !self.remove_picture;
        let with_picture = self.upload.is_some() || keeps;
        let checked = match self.draft.check(with_picture, this_year()) {
            Ok(checked) => checked,
            Err(problems) => return Ok(Err(problems)),
        };
        let picture = match self.upload {
            Some(upload) => match data.pictures.take_upload(upload, &checked.picture_alt) {
                Ok(picture) => PictureChange::Set(picture),
                Err(PictureError::Io(error)) => return Err(error.into()),
                Err(refused) => {
                    let message = refused.to_string();
                    return Ok(Err(vec![Problem { field: "picture", message }]));
                }
            },
            None if keeps => PictureChange::Keep { alt: checked.picture_alt.clone() },
            None => PictureChange::Remove,
        };
        let written = match &picture {
            PictureChange::Set(picture) => Some(picture.name.clone()),
            PictureChange::Keep { .. } | PictureChange::Remove => None,
        };
        Ok(Ok((checked.into_change(picture), written)))
    }
}

impl Checked {
    /// The change that it asks for.
    pub fn into_change(self, picture: PictureChange) -> Change {
        let Self { text, film, year, character, picture_alt: _ } = self;
        Change { text, film, year, character, picture }
    }
}

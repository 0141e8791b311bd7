//! `redirect` and `respond`: answers that are the same for everybody.

use super::{Code, Keys, Kind, Nested, Own, Placed, Text, key};
use crate::conf::diagnostic::Diagnostic;
use crate::conf::model::{Redirect, Respond};
use crate::conf::read::{Item, Reader};
use crate::conf::rules;
use crate::http::Status;

pub(super) const REDIRECTS: Own<Redirect> = Own {
    wanted: "a string or a table { to, status }",
    read: redirect,
    show: |redirect| Some(REDIRECT.inline(redirect)),
};

fn redirect(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Redirect> {
    if item.value.is_table() {
        return Nested(&REDIRECT).read(reader, item);
    }
    let to = reader.string(item, REDIRECTS.wanted, rules::redirect_target)?;
    Some(Redirect::to(crate::conf::At::new(to, item.span.clone())))
}

pub(in crate::conf) static REDIRECT: Keys<Redirect> = Keys {
    title: "redirect",
    defaults: || Redirect::to(crate::conf::At::implied(String::new())),
    keys: &[
        key("to", at!(Redirect, to: Placed(Text(rules::redirect_target))))
            .does("a path, or a URL with http or https")
            .example(r#""/docs/{rest}""#)
            .needed(""),
        key("status", at!(Redirect, status: Code(&[301, 302, 303, 307, 308])))
            .does("its status")
            .example("308"),
    ],
};

pub(super) const RESPONDS: Own<Respond> = Own {
    wanted: "a string or a table { status, body, type }",
    read: respond,
    show: |respond| Some(RESPOND.inline(respond)),
};

fn respond(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Respond> {
    let Some(mut table) = item.value.as_table().and_then(|_| reader.table(item, &RESPOND)) else {
        let body = reader.string(item, RESPONDS.wanted, |text| Ok(text.to_owned()))?;
        return Some(Respond { body, ..Respond::default() });
    };
    let status = table.get("status").cloned();
    let mut respond = Respond::default();
    RESPOND.fill(reader, &mut table, &mut respond);
    table.finish(reader);
    if let Some(item) = status {
        fixed_status(reader, &item, &respond);
    }
    Some(respond)
}

/// A final status that needs nothing beside the body, and no body where none may be.
fn fixed_status(reader: &mut Reader<'_>, item: &Item<'_>, respond: &Respond) {
    let status = respond.status;
    let problem = if status.class() == 1 || status == Status::NOT_MODIFIED {
        "cannot be a fixed answer"
    } else if status.class() == 3 {
        "needs a place to go to: use `redirect`"
    } else if !status.may_have_body() && !respond.body.is_empty() {
        "has no body, yet one is given"
    } else {
        return;
    };
    let message = format!("{}: {} {problem}", item.title(), status.code());
    reader.report(Diagnostic::error("bad-value", message, item.span.clone()));
}

pub(in crate::conf) static RESPOND: Keys<Respond> = Keys {
    title: "respond",
    defaults: Respond::default,
    keys: &[
        key("status", at!(Respond, status: Code(&[])))
            .does("200 to 299, or 400 to 599")
            .example("503"),
        key("body", at!(Respond, body: Text(|text| Ok(text.to_owned()))))
            .does("the body")
            .example(r#""ok\n""#),
        key("type", at!(Respond, content_type: Text(rules::media_type)))
            .does("its media type")
            .example(r#""application/json""#),
    ],
};

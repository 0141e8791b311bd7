//! What a host says for those of its routes that do not say their own: `encoded_slashes`, `allow`
//! and `auth`.

use super::{
    Keys, Kind, List, Methods, Nested, Optional, OrFalse, Own, Path, Placed, STRINGS, Sort, Text,
    Word, key,
};
use crate::conf::diagnostic::Diagnostic;
use crate::conf::model::{Access, At, Auth, Client, EncodedSlashes, Users};
use crate::conf::read::{Item, Reader};
use crate::conf::rules;
use crate::conf::toml_text::{path, quote, table};
use crate::conf::users::{HOW, User, check_hash, check_name};
use crate::http::Method;
use toml::de::DeValue;

/// What a route has from its host, unless it says its own.
#[derive(Clone, Default)]
pub(in crate::conf) struct Inherited {
    pub access: Access,
    pub encoded_slashes: Option<EncodedSlashes>,
}

pub(in crate::conf) static INHERITED: Keys<Inherited> = Keys {
    title: "access",
    defaults: Inherited::default,
    keys: &[
        key("encoded_slashes", at!(Inherited, encoded_slashes: Optional(SLASHES)))
            .does("`%2F` in a path: refuse it (400), or keep it in a name")
            .example(r#""keep""#)
            .otherwise("`\"refuse\"`"),
        key("allow", at!(Inherited, access.allow: ALLOW))
            .does("the clients that may ask")
            .example(r#"["192.168.0.0/16", "127.0.0.1", "::1", "unix"]"#)
            .otherwise("everybody"),
        key("auth", at!(Inherited, access.auth: ASKED))
            .does("the users that may ask")
            .example(r#"{ users = "htpasswd", realm = "example" }"#)
            .otherwise("everybody"),
    ],
};

const SLASHES: Word<EncodedSlashes> =
    Word(&[("refuse", EncodedSlashes::Refuse), ("keep", EncodedSlashes::Keep)]);

const ALLOW: OrFalse<Placed<Clients>> =
    OrFalse(Placed(Clients), "an array of addresses and networks, or false");

/// A list that lets nobody in is a mistake, not a wish.
pub(in crate::conf) struct Clients;

impl Sort for Clients {
    fn wanted(&self) -> String {
        STRINGS.to_owned()
    }
}

impl Kind<Vec<Client>> for Clients {
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<Client>> {
        let before = reader.found.len();
        let clients: Vec<_> = List(rules::client).read(reader, item)?;
        if clients.is_empty() && before == reader.found.len() {
            let message = format!("{} lets nobody in", item.title());
            let help = "name addresses or networks; `allow = false` is for everybody";
            reader.report(Diagnostic::error("bad-network", message, item.span.clone()).help(help));
        }
        Some(clients)
    }

    fn show(&self, clients: &Vec<Client>) -> Option<String> {
        List(rules::client).show(clients)
    }
}

const ASKED: Own<Option<Auth>> = Own {
    wanted: "a table { users, realm, for }, or false",
    read: |reader, item| match item.value {
        DeValue::Boolean(false) => Some(None),
        DeValue::Table(_) => {
            let auth = Nested(&AUTH).read(reader, item)?;
            Some(Some(Auth { span: item.span.clone(), ..auth }))
        }
        _ => {
            reader.wrong_type(item, ASKED.wanted);
            None
        }
    },
    show: |auth| Some(auth.as_ref().map_or("false".to_owned(), |auth| AUTH.inline(auth))),
};

pub(in crate::conf) static AUTH: Keys<Auth> = Keys {
    title: "auth",
    defaults: Auth::default,
    keys: &[
        key("users", at!(Auth, users: USERS))
            .does("a file of `name:hash` lines, or a table")
            .example(r#""/etc/httpyserver/htpasswd""#)
            .needed("name a file of `name:hash` lines: `users = \"htpasswd\"`"),
        key("realm", at!(Auth, realm: Text(rules::realm)))
            .does("what browsers show")
            .example(r#""files""#),
        key("for", at!(Auth, methods: Optional(Methods(&Method::ROUTED))))
            .does("the methods that need a password; all others are open")
            .example(r#"["PUT", "POST", "DELETE"]"#)
            .otherwise("all"),
    ],
};

const USERS: Own<Users> =
    Own { wanted: "a file, or a table such as { ann = \"$2b$...\" }", read: users, show: shown };

/// A file, or names and hashes. What is wrong with a hash is said without the hash: it may be a
/// password.
fn users(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Users> {
    if item.value.is_str() {
        return Placed(Path).read(reader, item).map(Users::File);
    }
    let entries = reader.map(item, "users", USERS.wanted);
    if entries.is_empty() && item.value.is_table() {
        let message = format!("{} names nobody", item.title());
        reader.report(Diagnostic::error("bad-users", message, item.span.clone()).help(HOW));
    }
    let mut users = Vec::new();
    for entry in entries {
        let Some(hash) = entry.value.as_str() else {
            reader.wrong_type(&entry, "a hash");
            continue;
        };
        match check_name(entry.key).and_then(|()| check_hash(hash)) {
            Ok(()) => {
                let user = User { name: entry.key.to_owned(), hash: hash.to_owned() };
                users.push(At::new(user, entry.span));
            }
            Err(why) => {
                let message = format!("{} {why}", entry.title());
                reader.report(Diagnostic::error("bad-users", message, entry.span).help(HOW));
            }
        }
    }
    Some(Users::Inline(users))
}

fn shown(users: &Users) -> Option<String> {
    Some(match users {
        Users::File(file) => path(&file.value),
        // Whoever has a hash can try passwords at home.
        Users::Inline(users) => {
            table(users.iter().map(|user| (quote(&user.value.name), quote("(not shown)"))))
        }
    })
}

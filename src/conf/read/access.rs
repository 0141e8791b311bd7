//! `allow` and `auth`, of hosts and of routes: who may have what is answered.

use super::schema;
use super::table::{Item, Reader, Table};
use crate::conf::diagnostic::Diagnostic;
use crate::conf::model::{Access, At, Auth, Client, Users};
use crate::conf::rules;
use crate::conf::users::{HOW, User, check_hash, check_name};
use crate::http::{Method, MethodSet};
use toml::de::DeValue;

/// What a host or a route says itself. `Some(None)`: that what is around it does not hold.
pub(super) struct Own {
    allow: Option<Option<At<Vec<Client>>>>,
    auth: Option<Option<Auth>>,
}

/// What browsers show where nothing is said.
const REALM: &str = "restricted";

/// Takes the keys out of a table.
pub(super) fn access(reader: &mut Reader<'_>, table: &mut Table<'_>) -> Own {
    Own {
        allow: table.take("allow").map(|item| allow(reader, &item)),
        auth: table.take("auth").map(|item| auth(reader, &item)),
    }
}

impl Own {
    /// Together with what is said around it.
    pub(super) fn within(self, outer: &Access) -> Access {
        Access {
            allow: self.allow.unwrap_or_else(|| outer.allow.clone()),
            auth: self.auth.unwrap_or_else(|| outer.auth.clone()),
        }
    }
}

fn is_false(item: &Item<'_>) -> bool {
    matches!(item.value, DeValue::Boolean(false))
}

/// A list that lets nobody in is a mistake, not a wish.
fn allow(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<At<Vec<Client>>> {
    if is_false(item) {
        return None;
    }
    if item.value.as_bool().is_some() {
        reader.wrong_type(item, "an array of addresses and networks, or false");
        return None;
    }
    let before = reader.found.len();
    let clients = reader.strings(item, rules::client);
    if clients.is_empty() && before == reader.found.len() {
        let message = format!("{} lets nobody in", item.title());
        let help = "name addresses or networks; `allow = false` is for everybody";
        reader.report(Diagnostic::error("bad-network", message, item.span.clone()).help(help));
    }
    let clients = clients.into_iter().map(|client| client.value).collect();
    Some(At::new(clients, item.span.clone()))
}

fn auth(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Auth> {
    if is_false(item) {
        return None;
    }
    if !item.value.is_table() {
        reader.wrong_type(item, "a table { users, realm, for }, or false");
        return None;
    }
    let mut table = reader.table(item, &schema::AUTH)?;
    let (users, realm) = (table.take("users"), table.take("realm"));
    let methods = table.take("for").and_then(|item| reader.methods(&item, &Method::ROUTED));
    if users.is_none() && !table.has_rest() {
        let message = format!("{} needs `users`", item.title());
        let help = "name a file of `name:hash` lines: `users = \"htpasswd\"`";
        reader.report(Diagnostic::error("missing-key", message, item.span.clone()).help(help));
    }
    table.finish(reader);
    let rule = |text: &str| rules::realm(text).map(|()| text.to_owned());
    let realm = realm.and_then(|item| reader.string(&item, rule));
    Some(Auth {
        users: users.and_then(|item| self::users(reader, &item))?,
        realm: realm.unwrap_or_else(|| REALM.to_owned()),
        methods: methods.map(MethodSet::with_head),
        span: item.span.clone(),
    })
}

/// A file, or names and hashes. What is wrong with a hash is said without the hash: it may be a
/// password.
fn users(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Users> {
    if item.value.is_str() {
        return reader.path(item).map(Users::File);
    }
    let wanted = "a file, or a table such as { ann = \"$2b$...\" }";
    let entries = reader.map(item, "users", wanted);
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

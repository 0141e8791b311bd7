//! `allow`, of hosts and of routes: who may have what is answered.

use super::table::{Item, Reader, Table};
use crate::conf::diagnostic::Diagnostic;
use crate::conf::model::{Access, At, Client};
use crate::conf::rules;
use toml::de::DeValue;

/// What a host or a route says itself. `Some(None)`: that what is around it does not hold.
pub(super) struct Own {
    allow: Option<Option<At<Vec<Client>>>>,
}

/// Takes the keys out of a table.
pub(super) fn access(reader: &mut Reader<'_>, table: &mut Table<'_>) -> Own {
    Own { allow: table.take("allow").map(|item| allow(reader, &item)) }
}

impl Own {
    /// Together with what is said around it.
    pub(super) fn within(self, outer: &Access) -> Access {
        Access { allow: self.allow.unwrap_or_else(|| outer.allow.clone()) }
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

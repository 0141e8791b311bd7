//! `[server]`: addresses, and what concerns the process.

use super::{Boolean, Keys, Optional, OrFalse, Own, Path, Placed, STRINGS, Text, key};
use crate::conf::diagnostic::Diagnostic;
use crate::conf::model::{At, Listen, Server};
use crate::conf::read::{Item, Reader};
use crate::conf::rules;
use crate::conf::toml_text::list;

pub(in crate::conf) static SERVER: Keys<Server> = Keys {
    title: "[server]",
    defaults: Server::default,
    keys: &[
        key("listen", at!(Server, listen: LISTEN))
            .does("addresses to listen on")
            .example(r#"["http://127.0.0.1:80", "http://[::1]:80", "unix:/run/web.sock"]"#),
        key("user", at!(Server, user: USER))
            .does("the account to become after binding")
            .example(r#""www-data""#),
        key("pid_file", at!(Server, pid_file: Optional(Placed(Path))))
            .does("where to write the process id")
            .example(r#""/run/httpyserver/pid""#),
        key(
            "server_header",
            at!(Server, server_header: OrFalse(Text(rules::header_value), "a string or false")),
        )
        .does("the `Server` header; `false` sends none")
        .example("false"),
        key("h2", at!(Server, h2: Boolean)).does("speak HTTP/2 with clients that want to"),
    ],
};

/// An account of the system.
pub(super) const USER: Optional<Placed<Text<String>>> = Optional(Placed(Text(rules::file_name)));

const LISTEN: Own<Vec<At<Listen>>> = Own {
    wanted: STRINGS,
    read: listen,
    show: |listen| Some(list(listen.iter().map(|at| at.value.to_string()))),
};

fn listen(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<At<Listen>>> {
    let folder = reader.folder;
    let before = reader.found.len();
    let (ports, parts): (Vec<_>, Vec<_>) =
        item.elements().into_iter().partition(|part| part.value.is_integer());
    for part in ports {
        let port = part.value.as_integer().map_or("8080", |port| port.as_str());
        let message = format!("{} must be an address, found a number", part.title());
        let diagnostic = Diagnostic::error("wrong-type", message, part.span);
        reader.report(diagnostic.label(format!("write \"http://*:{port}\"")));
    }
    let read = parts.iter().map(|part| reader.strings(part, |text| rules::listen(text, folder)));
    let list: Vec<_> = read.flatten().collect();
    let mut taken = rules::Taken::default();
    for (n, later) in list.iter().enumerate() {
        let earlier = taken.take(&later.value, n).and_then(|n| list.get(n));
        if let Some(earlier) = earlier {
            let message = "this address is listened on already";
            reader.report(
                Diagnostic::error("duplicate-listen", message, later.span.clone())
                    .also(earlier.span.clone(), "the same address, or one that includes it"),
            );
        }
    }
    if list.is_empty() && before == reader.found.len() {
        let message = format!("{} needs at least one address", item.title());
        reader.report(Diagnostic::error("bad-listen", message, item.span.clone()));
    }
    Some(list)
}

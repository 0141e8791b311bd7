//! `[app.NAME]`: Python applications and their workers.

use super::cgi::variables;
use super::server::USER;
use super::{
    Boolean, Keys, Kind, Nested, Number, Optional, Own, Path, Placed, Size, Sparse, Text, Time, key,
};
use crate::conf::diagnostic::Diagnostic;
use crate::conf::model::{App, At, Program, Python, Recycle, Workers};
use crate::conf::read::{Item, Reader, Table};
use crate::conf::rules;
use crate::conf::toml_text::{quote, table};
use std::path::PathBuf;
use std::time::Duration;

pub(in crate::conf) static APP: Keys<App> = Keys {
    title: "[app.NAME]",
    defaults: || App::of(At::implied(String::new()), Program::Pages, PathBuf::new()),
    keys: &[
        key("wsgi", at!(App, program: variant!(Program::Wsgi: Placed(Text(rules::wsgi_callable)))))
            .does("module and callable, or a call of a factory")
            .example(r#""blog.wsgi:application""#)
            .otherwise("needed"),
        key("dir", at!(App, dir: Path))
            .does("the folder of its modules, and its working folder")
            .example(r#""/srv/blog""#)
            .otherwise("that of this file"),
        key("venv", at!(App, python: variant!(Python::Venv: Placed(Path))))
            .does("its virtual environment")
            .example(r#""/srv/blog/venv""#),
        key("python", at!(App, python: variant!(Python::Program: Placed(Path))))
            .does("its Python, instead of `venv`")
            .example(r#""/usr/bin/python3.12""#)
            .otherwise("the python3 in `PATH`"),
        key("workers", at!(App, workers: COUNT))
            .does("its processes; a number is both")
            .example("{ min = 2, max = 8 }")
            .otherwise("`2`"),
        key("queue", at!(App, queue: QUEUE)).does("requests that may wait; beyond, 503"),
        key("queue_timeout", at!(App, queue_timeout: Time::OUT)).does("how long they may wait"),
        key("timeout", at!(App, timeout: Time::OUT))
            .does("a worker that answers nothing for so long is replaced"),
        key("startup", at!(App, startup: Time::OUT)).does("time to load the application"),
        key("recycle", at!(App, recycle: Nested(&RECYCLE)))
            .does("when workers are replaced")
            .example(r#"{ requests = 5000, jitter = 500, memory = "300MiB", age = "1d" }"#),
        key("env", at!(App, env: ENV))
            .does("variables of its environment")
            .example(r#"{ DJANGO_SETTINGS_MODULE = "blog.settings" }"#),
        key("user", at!(App, user: USER))
            .does("the account of its workers")
            .example(r#""blog""#)
            .otherwise("the server's"),
        key("required", at!(App, required: Boolean))
            .does("end the server, with code 4, if it cannot be loaded"),
        key("reload", at!(App, reload: Boolean)).does("replace workers when a source changes"),
    ],
};

/// Requests that wait; each may have a body in memory.
const QUEUE: Number = Number { min: 0, max: 65_536 };

/// Processes of one application; more is a typo.
const WORKER: Number = Number { min: 1, max: 1024 };

const ENV: Own<Vec<(String, String)>> = Own {
    wanted: "a table such as { DJANGO_SETTINGS_MODULE = \"blog.settings\" }",
    read: |reader, item| variables(reader, item, "env", ENV.wanted, rules::variable_name),
    show: |env| Some(table(env.iter().map(|(name, value)| (quote(name), quote(value))))),
};

const COUNT: Own<Workers> = Own {
    wanted: "a whole number or a table { min, max }",
    read: workers,
    show: |workers| Some(WORKERS.inline(workers)),
};

fn workers(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Workers> {
    if item.value.is_integer() {
        return WORKER.read(reader, item).map(|n| Workers { min: n, max: n });
    }
    if !item.value.is_table() {
        reader.wrong_type(item, COUNT.wanted);
        return None;
    }
    let before = reader.found.len();
    let read = Nested(&WORKERS).read(reader, item)?;
    // No `max` is that of `min`.
    let max = if read.max == 0 { read.min } else { read.max };
    if max < read.min && before == reader.found.len() {
        let message = format!("{}: `max` is less than `min`", item.title());
        reader.report(Diagnostic::error("out-of-range", message, item.span.clone()));
    }
    Some(Workers { max, ..read })
}

pub(in crate::conf) static WORKERS: Keys<Workers> = Keys {
    title: "workers",
    defaults: || Workers { min: 1, max: 0 },
    keys: &[
        key("min", at!(Workers, min: WORKER)).does("so many always"),
        key("max", at!(Workers, max: WORKER))
            .does("so many when requests wait")
            .example("8")
            .otherwise("that of `min`"),
    ],
};

pub(in crate::conf) static RECYCLE: Keys<Recycle> = Keys {
    title: "recycle",
    defaults: Recycle::default,
    keys: &[
        key("requests", at!(Recycle, requests: Optional(ANSWERS)))
            .does("after so many answers")
            .example("5000"),
        key("jitter", at!(Recycle, jitter: Sparse(JITTER)))
            .does("and up to so many more")
            .example("500")
            .otherwise("`0`"),
        key("memory", at!(Recycle, memory: Optional(Size::from(1))))
            .does("when a worker occupies more")
            .example(r#""300MiB""#),
        key("age", at!(Recycle, age: Optional(AGE)))
            .does("when a worker is older")
            .example(r#""1d""#),
    ],
};

const ANSWERS: Number = Number { min: 1, max: u64::MAX };
const JITTER: Number = Number { min: 0, max: u32::MAX as u64 };
const AGE: Time = Time { min: Duration::from_secs(1), max: Time::MONTH };

/// An application, whose name is the key of the item.
pub(super) fn read(reader: &mut Reader<'_>, item: &Item<'_>, mut table: Table<'_>) -> App {
    if let (Some(venv), Some(python)) = (table.get("venv"), table.get("python")) {
        let message = "both `venv` and `python` say which Python it is";
        let diagnostic = Diagnostic::error("several-pythons", message, python.key_span.clone());
        reader.report(diagnostic.also(venv.key_span.clone(), "the first is here"));
    }
    if table.get("wsgi").is_none() && !table.has_unknown() {
        let message = format!("the application `{}` has no `wsgi`", item.key);
        let help = "add `wsgi = \"module:callable\"`";
        let diagnostic = Diagnostic::error("missing-key", message, item.key_span.clone());
        reader.report(diagnostic.help(help));
    }
    let here = reader.folder;
    let dir = if here.as_os_str().is_empty() { PathBuf::from(".") } else { here.to_owned() };
    // One without program is kept: a route that names it has made no mistake.
    let name = At::new(item.key.to_owned(), item.key_span.clone());
    let mut app = App::of(name, Program::Pages, dir);
    APP.fill(reader, &mut table, &mut app);
    table.finish(reader);
    app
}

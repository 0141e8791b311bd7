//! `[cgi]`, and the keys of a route with scripts.

use super::{Boolean, Keys, Nested, Number, Optional, Own, Size, Time, key};
use crate::conf::model::{At, Cgi, CgiLimits, Interpreter, Programs};
use crate::conf::read::{Item, Reader, faulty};
use crate::conf::rules::{self, Fault};
use crate::conf::toml_text::{path, quote, table};
use std::path::PathBuf;
use std::time::Duration;

pub(in crate::conf) static CGI: Keys<Programs> = Keys {
    title: "[cgi]",
    defaults: Programs::default,
    keys: &[
        key("interpreter", at!(Programs, interpreters: BY))
            .does("programs that run scripts")
            .example(r#"{ ".php" = "php-cgi" }"#),
        key("env", at!(Programs, env: ENV))
            .does("variables of their environment")
            .example(r#"{ LANG = "C.UTF-8" }"#),
    ],
};

const BY: Own<Vec<Interpreter>> = Own {
    wanted: "a table such as { \".php\" = \"php-cgi\" }",
    read: interpreters,
    show: |all| {
        let entry =
            |by: &Interpreter| (quote(&format!(".{}", by.extension)), path(&by.program.value));
        Some(table(all.iter().map(entry)))
    },
};

fn interpreters(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<Interpreter>> {
    let title = "[cgi] interpreter";
    let all = reader.by_extension(item, title, BY.wanted, "an interpreter", |reader, item| {
        let folder = reader.folder;
        // A bare name is looked for in PATH, and not in a folder.
        let program = reader.string(item, "a string", |text| {
            let path = rules::file_path(text)?;
            Ok(if text.contains('/') { folder.join(path) } else { text.into() })
        })?;
        Some(At::new(program, item.span.clone()))
    });
    let interpreter = |(extension, program)| Interpreter { extension, program };
    Some(all.into_iter().map(interpreter).collect())
}

const ENV: Own<Vec<(String, String)>> = Own {
    wanted: "a table such as { LANG = \"C.UTF-8\" }",
    read: |reader, item| variables(reader, item, "[cgi] env", ENV.wanted, rules::shell_variable),
    show: |env| Some(table(env.iter().map(|(name, value)| (name, quote(value))))),
};

/// Names and values of an environment.
pub(super) fn variables(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    title: &'static str,
    wanted: &str,
    name: fn(&str) -> Result<(), Fault>,
) -> Option<Vec<(String, String)>> {
    let mut variables = Vec::new();
    for item in reader.map(item, title, wanted) {
        if let Err(fault) = name(item.key) {
            reader.report(faulty(title, item.key, fault, item.key_span.clone()));
        } else if let Some(value) = reader.string(&item, "a string", rules::variable_value) {
            variables.push((item.key.to_owned(), value));
        }
    }
    Some(variables)
}

/// What may stand beside `cgi`.
pub(in crate::conf) static BESIDE_CGI: Keys<Cgi> = Keys {
    title: "cgi",
    defaults: || Cgi::of(At::implied(PathBuf::new())),
    keys: &[
        key("cgi_limits", at!(Cgi, limits: Nested(&CGI_LIMITS)))
            .does("what scripts may use")
            .example(r#"{ timeout = "20s", processes = 8 }"#),
        key("cgi_authorization", at!(Cgi, authorization: Boolean))
            .does("tell scripts the client's credentials"),
    ],
};

pub(in crate::conf) static CGI_LIMITS: Keys<CgiLimits> = Keys {
    title: "cgi_limits",
    defaults: CgiLimits::default,
    keys: &[
        key("timeout", at!(CgiLimits, timeout: Time::OUT))
            .does("how long a script may be silent, and a request may wait for one"),
        key("processes", at!(CgiLimits, processes: PROCESSES)).does("scripts at once"),
        key("queue", at!(CgiLimits, queue: QUEUE)).does("requests that may wait; beyond, 503"),
        key("memory", at!(CgiLimits, memory: Optional(MEMORY)))
            .does("address space of one process")
            .example(r#""256MiB""#)
            .otherwise("no limit"),
        key("cpu", at!(CgiLimits, cpu: Optional(CPU)))
            .does("processor time of one process")
            .example(r#""10s""#)
            .otherwise("no limit"),
    ],
};

/// Scripts at once; each is a process with three pipes.
const PROCESSES: Number = Number { min: 1, max: 10_000 };

/// Requests that wait for a process.
const QUEUE: Number = Number { min: 0, max: 1_000_000 };

/// A shell needs some to set the limit and become the script.
const MEMORY: Size = Size::from(16 * 1024 * 1024);

const CPU: Time = Time { min: Duration::from_secs(1), max: Time::MONTH };

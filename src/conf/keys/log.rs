//! `[log]`: the error log and the access log.

use super::{Keys, Kind, List, OrFalse, Placed, Sort, Word, key};
use crate::conf::model::{Level, Log, LogFormat, LogTarget};
use crate::conf::read::{Item, Reader};
use crate::conf::rules;
use crate::conf::toml_text::{path, quote};
use toml::de::DeValue;

pub(in crate::conf) static LOG: Keys<Log> = Keys {
    title: "[log]",
    defaults: Log::default,
    keys: &[
        key("level", at!(Log, level: LEVEL)).does("how much the error log is told"),
        key("error", at!(Log, error: Placed(Target)))
            .does("where errors go")
            .example(r#""/var/log/httpyserver/error.log""#),
        key(
            "access",
            at!(Log, access: OrFalse(Placed(Target), r#"a file, "stderr", "stdout" or false"#)),
        )
        .does("where the line of each request goes")
        .example("false"),
        key("format", at!(Log, format: FORMAT)).does("the form of these lines"),
        key("skip", at!(Log, skip: List(rules::route_path)))
            .does("paths whose requests are not logged")
            .example(r#"["/healthz"]"#),
    ],
};

const LEVEL: Word<Level> = Word(&[
    ("error", Level::Error),
    ("warning", Level::Warning),
    ("info", Level::Info),
    ("debug", Level::Debug),
]);

const FORMAT: Word<LogFormat> = Word(&[
    ("common", LogFormat::Common),
    ("combined", LogFormat::Combined),
    ("json", LogFormat::Json),
    ("pretty", LogFormat::Pretty),
]);

/// Where a log goes.
struct Target;

impl Sort for Target {
    fn wanted(&self) -> String {
        r#"a file, "stderr" or "stdout""#.to_owned()
    }

    fn fits(&self, value: &DeValue<'_>) -> bool {
        value.is_str()
    }
}

impl Kind<LogTarget> for Target {
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>) -> Option<LogTarget> {
        let folder = reader.folder;
        reader.string(item, &self.wanted(), |text| match text {
            "stderr" => Ok(LogTarget::Stderr),
            "stdout" => Ok(LogTarget::Stdout),
            _ => rules::file_path(text).map(|path| LogTarget::File(folder.join(path))),
        })
    }

    fn show(&self, value: &LogTarget) -> Option<String> {
        Some(match value {
            LogTarget::Stderr => quote("stderr"),
            LogTarget::Stdout => quote("stdout"),
            LogTarget::File(file) => path(file),
        })
    }
}

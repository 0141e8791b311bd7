//! The tables that are there once: `[server]` to `[compress]`.

use super::schema::{self, Schema};
use super::table::{Item, Reader, Table};
use crate::conf::diagnostic::Diagnostic;
use crate::conf::model::{
    At, Compress, Level, Limits, Log, LogFormat, LogTarget, Media, Server, Timeouts,
};
use crate::conf::rules::{self, Fault};
use std::collections::HashMap;
use std::time::Duration;
use toml::de::DeValue;

/// The longest time-out; more is a typo, and a timer that never fires in practice.
const TIMEOUT_MAX: Duration = Duration::from_secs(30 * 86_400);

/// Open connections; each has a descriptor, and Linux gives a process at most 2^20 by default.
const CONNECTIONS_MAX: u64 = 1_048_576;

/// Bytes of a head: places in it are 16 bits (see `HeadLimits`).
const HEAD_MAX: u64 = 65_535;

/// Fewer bytes than any browser's request has.
const HEAD_MIN: u64 = 256;

/// Bytes of a body that may wait in memory: every connection can have one.
const SPOOL_MAX: u64 = 64 * 1024 * 1024;

/// Less than this would let nothing wait.
const SPOOL_TOTAL_MIN: u64 = 1024 * 1024;

/// Header lines of a head (see `HeadLimits`).
const HEADERS_MAX: u64 = 255;

/// Runs `fill` over a table and reports the keys it did not take.
pub(super) fn with<T: Default>(
    reader: &mut Reader<'_>,
    item: Option<Item<'_>>,
    schema: &'static Schema,
    fill: impl FnOnce(&mut Reader<'_>, &mut Table<'_>, &mut T),
) -> T {
    let mut value = T::default();
    if let Some(item) = item
        && let Some(mut table) = reader.table(&item, schema)
    {
        fill(reader, &mut table, &mut value);
        table.finish(reader);
    }
    value
}

/// Puts what was read in the place of a default.
pub(super) fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// `[server]`
pub(super) fn server(reader: &mut Reader<'_>, item: Option<Item<'_>>) -> Server {
    with(reader, item, &schema::SERVER, |r, table, server: &mut Server| {
        if let Some(item) = table.take("listen") {
            listen(r, &item, server);
        }
        if let Some(item) = table.take("user") {
            let user = r.string(&item, rules::file_name);
            server.user = user.and(item.value.as_str()).map(|u| At::new(u.to_owned(), item.span));
        }
        if let Some(item) = table.take("pid_file") {
            server.pid_file = r.path(&item);
        }
        if let Some(item) = table.take("server_header") {
            set(&mut server.server_header, text_or_false(r, &item, rules::header_value));
        }
    })
}

fn listen(reader: &mut Reader<'_>, item: &Item<'_>, server: &mut Server) {
    let folder = reader.folder;
    let before = reader.found.len();
    let elements = item.value.as_array().map(|array| array.iter().map(|one| item.element(one)));
    let parts: Vec<_> = elements.map_or_else(|| vec![item.clone()], Iterator::collect);
    let (ports, parts): (Vec<_>, Vec<_>) =
        parts.into_iter().partition(|part| part.value.is_integer());
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
    server.listen = list;
}

/// `[timeouts]`
pub(super) fn timeouts(reader: &mut Reader<'_>, item: Option<Item<'_>>) -> Timeouts {
    with(reader, item, &schema::TIMEOUTS, |r, table, timeouts: &mut Timeouts| {
        let range = Duration::from_millis(1)..=TIMEOUT_MAX;
        for (key, place, range) in [
            ("handshake", &mut timeouts.handshake, range.clone()),
            ("header", &mut timeouts.header, range.clone()),
            ("body", &mut timeouts.body, range.clone()),
            ("idle", &mut timeouts.idle, range.clone()),
            ("write", &mut timeouts.write, range),
            // Nothing to wait for is a wish one can have here.
            ("shutdown", &mut timeouts.shutdown, Duration::ZERO..=TIMEOUT_MAX),
        ] {
            if let Some(item) = table.take(key) {
                set(place, r.duration(&item, range));
            }
        }
    })
}

/// `[limits]`
pub(super) fn limits(reader: &mut Reader<'_>, item: Option<Item<'_>>) -> Limits {
    with(reader, item, &schema::LIMITS, |r, table, limits: &mut Limits| {
        let whole = |n: u64| usize::try_from(n).ok();
        if let Some(item) = table.take("connections") {
            set(&mut limits.connections, r.integer(&item, 1..=CONNECTIONS_MAX).and_then(whole));
        }
        if let Some(item) = table.take("per_client") {
            limits.per_client = r.integer(&item, 1..=CONNECTIONS_MAX).and_then(whole);
        }
        if let Some(item) = table.take("request_line") {
            let size = r.size(&item, HEAD_MIN..=HEAD_MAX);
            set(&mut limits.head.request_line, size.and_then(whole));
        }
        if let Some(item) = table.take("header_bytes") {
            set(&mut limits.head.head, r.size(&item, HEAD_MIN..=HEAD_MAX).and_then(whole));
        }
        if let Some(item) = table.take("header_count") {
            set(&mut limits.head.count, r.integer(&item, 1..=HEADERS_MAX).and_then(whole));
        }
        if let Some(item) = table.take("body") {
            set(&mut limits.body, r.size(&item, 0..=u64::MAX));
        }
        if let Some(item) = table.take("spool_above") {
            set(&mut limits.spool_above, r.size(&item, 0..=SPOOL_MAX));
        }
        if let Some(item) = table.take("spool_total") {
            set(&mut limits.spool_total, r.size(&item, SPOOL_TOTAL_MIN..=u64::MAX));
        }
        if let Some(item) = table.take("min_rate") {
            set(&mut limits.min_rate, r.rate(&item));
        }
    })
}

/// `[log]`
pub(super) fn log(reader: &mut Reader<'_>, item: Option<Item<'_>>) -> Log {
    with(reader, item, &schema::LOG, |r, table, log: &mut Log| {
        if let Some(item) = table.take("level") {
            let words = [
                ("error", Level::Error),
                ("warning", Level::Warning),
                ("info", Level::Info),
                ("debug", Level::Debug),
            ];
            set(&mut log.level, r.choice(&item, &words));
        }
        if let Some(item) = table.take("error") {
            set(&mut log.error, target(r, &item, "a file, \"stderr\" or \"stdout\""));
        }
        if let Some(item) = table.take("access") {
            log.access = match item.value {
                DeValue::Boolean(false) => None,
                _ => target(r, &item, "a file, \"stderr\", \"stdout\" or false"),
            };
        }
        if let Some(item) = table.take("format") {
            let words = [
                ("common", LogFormat::Common),
                ("combined", LogFormat::Combined),
                ("json", LogFormat::Json),
                ("pretty", LogFormat::Pretty),
            ];
            set(&mut log.format, r.choice(&item, &words));
        }
        if let Some(item) = table.take("skip") {
            let rule = |text: &str| rules::route_path(text).map(|()| text.to_owned());
            log.skip = r.strings(&item, rule).into_iter().map(|at| at.value).collect();
        }
    })
}

fn target(reader: &mut Reader<'_>, item: &Item<'_>, wanted: &str) -> Option<At<LogTarget>> {
    let folder = reader.folder;
    let target = reader.string_or(item, wanted, |text| match text {
        "stderr" => Ok(LogTarget::Stderr),
        "stdout" => Ok(LogTarget::Stdout),
        _ => rules::file_path(text).map(|path| LogTarget::File(folder.join(path))),
    })?;
    Some(At::new(target, item.span.clone()))
}

/// `[media]`
pub(super) fn media(reader: &mut Reader<'_>, item: Option<Item<'_>>) -> Media {
    with(reader, item, &schema::MEDIA, |r, table, media: &mut Media| {
        let media_type = |text: &str| rules::media_type(text).map(|()| text.to_owned());
        if let Some(item) = table.take("default") {
            set(&mut media.default, r.string(&item, media_type));
        }
        if let Some(item) = table.take("charset") {
            set(&mut media.charset, text_or_false(r, &item, rules::charset));
        }
        let Some(item) = table.take("types") else { return };
        let wanted = "a table such as { md = \"text/markdown\" }";
        let mut places = HashMap::new();
        for item in r.map(&item, "media.types", wanted) {
            let Some(value) = r.string(&item, media_type) else { continue };
            let extension = match rules::extension(item.key) {
                Ok(extension) => extension,
                Err(fault) => {
                    let diagnostic = super::faulty("media.types", item.key, fault, item.key_span);
                    r.report(diagnostic);
                    continue;
                }
            };
            match places.insert(extension.clone(), item.key_span.clone()) {
                None => media.types.push((extension, value)),
                Some(earlier) => {
                    let message = format!("the extension `{extension}` has a type already");
                    r.report(
                        Diagnostic::error("duplicate-key", message, item.key_span)
                            .also(earlier, "here"),
                    );
                }
            }
        }
    })
}

/// `[compress]`
pub(super) fn compress(reader: &mut Reader<'_>, item: Option<Item<'_>>) -> Compress {
    with(reader, item, &schema::COMPRESS, |r, table, compress: &mut Compress| {
        if let Some(item) = table.take("dynamic") {
            let list = codings(r, &item, &["gzip", "br"]);
            compress.gzip = list.iter().any(|coding| coding.value == "gzip");
            if let Some(br) = list.iter().find(|coding| coding.value == "br") {
                r.report(coding_later("`br` is not computed in this version", br));
            }
        }
        if let Some(item) = table.take("static")
            && let Some(first) = codings(r, &item, &["gz", "br", "zst"]).first()
        {
            r.report(coding_later("compressed files are not looked for in this version", first));
        }
        if let Some(item) = table.take("min") {
            set(&mut compress.min, r.size(&item, 0..=u64::MAX));
        }
    })
}

fn codings(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    known: &[&'static str],
) -> Vec<At<&'static str>> {
    reader.strings(item, |text| {
        known.iter().copied().find(|coding| *coding == text).ok_or_else(|| Fault {
            name: "bad-value",
            why: format!("is none of {}", known.join(", ")),
            instead: schema::closest(text, known).map(str::to_owned),
        })
    })
}

fn coding_later(message: &str, at: &At<&str>) -> Diagnostic {
    Diagnostic::warning("not-yet", message, at.span.clone()).label("has no effect")
}

/// A string, or `false` for none at all.
fn text_or_false(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    rule: impl Fn(&str) -> Result<(), Fault>,
) -> Option<Option<String>> {
    if matches!(item.value, DeValue::Boolean(false)) {
        return Some(None);
    }
    let rule = |text: &str| rule(text).map(|()| text.to_owned());
    reader.string_or(item, "a string or false", rule).map(Some)
}

//! `[cgi]`, and the keys of a route with scripts.

use super::schema;
use super::table::{Item, Reader};
use crate::conf::diagnostic::Diagnostic;
use crate::conf::model::Action;
use crate::conf::model::{At, Cgi, CgiLimits, Files, Interpreter, Programs, Route};
use crate::conf::rules::{self, Fault};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::de::DeValue;

/// Scripts at once; each is a process with three pipes.
const PROCESSES_MAX: u64 = 10_000;

/// Requests that wait for a process.
const QUEUE_MAX: u64 = 1_000_000;

/// A shell needs some to set the limit and become the script.
const MEMORY_MIN: u64 = 16 * 1024 * 1024;

/// Longer is not meant.
const TIME_MAX: Duration = Duration::from_secs(30 * 86_400);

/// `[cgi]`
pub(super) fn programs(reader: &mut Reader<'_>, item: Option<Item<'_>>) -> Programs {
    let mut programs = Programs::default();
    let Some(mut table) = item.and_then(|item| reader.table(&item, &schema::CGI)) else {
        return programs;
    };
    if let Some(item) = table.take("interpreter") {
        interpreters(reader, &item, &mut programs);
    }
    if let Some(item) = table.take("env") {
        for item in reader.map(&item, "[cgi] env", "a table such as { LANG = \"C.UTF-8\" }") {
            let rule = |text: &str| no_nul(text).map(|()| text.to_owned());
            let value = reader.string(&item, rule);
            if let Err(fault) = variable(item.key) {
                let diagnostic = super::faulty("[cgi] env", item.key, fault, item.key_span);
                reader.report(diagnostic);
            } else if let Some(value) = value {
                programs.env.push((item.key.to_owned(), value));
            }
        }
    }
    table.finish(reader);
    programs
}

fn interpreters(reader: &mut Reader<'_>, item: &Item<'_>, programs: &mut Programs) {
    let wanted = "a table such as { \".php\" = \"php-cgi\" }";
    let mut places = HashMap::new();
    for item in reader.map(item, "[cgi] interpreter", wanted) {
        let folder = reader.folder;
        // A bare name is looked for in PATH, and not in a folder.
        let program = reader.string(&item, |text| {
            let path = rules::file_path(text)?;
            Ok(if text.contains('/') { folder.join(path) } else { text.into() })
        });
        let extension = match rules::extension(item.key.strip_prefix('.').unwrap_or(item.key)) {
            Ok(extension) => extension,
            Err(fault) => {
                let diagnostic = super::faulty("[cgi] interpreter", item.key, fault, item.key_span);
                reader.report(diagnostic);
                continue;
            }
        };
        if let Some(earlier) = places.insert(extension.clone(), item.key_span.clone()) {
            let message = format!("the extension `{extension}` has an interpreter already");
            let diagnostic = Diagnostic::error("duplicate-key", message, item.key_span);
            reader.report(diagnostic.also(earlier, "here"));
        } else if let Some(program) = program {
            let program = At::new(program, item.span);
            programs.interpreters.push(Interpreter { extension, program });
        }
    }
}

/// A name that a shell can say.
fn variable(name: &str) -> Result<(), Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let begins_well = !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit());
    if begins_well && name.bytes().all(plain) {
        return Ok(());
    }
    let why = "is no name of a variable: letters, digits and `_`".to_owned();
    Err(Fault { name: "bad-value", why, instead: None })
}

fn no_nul(text: &str) -> Result<(), Fault> {
    if !text.contains('\0') {
        return Ok(());
    }
    Err(Fault { name: "bad-value", why: "has a NUL in it".to_owned(), instead: None })
}

/// Whether `cgi` is for scripts among the files of `folder`: `true`, extensions, or that folder
/// itself.
pub(super) fn is_among(reader: &Reader<'_>, scripts: &Item<'_>, folder: Option<&Item<'_>>) -> bool {
    let place =
        |item: &Item<'_>| Some(reader.folder.join(item.value.as_str()?).components().collect());
    let (own, other): (Option<PathBuf>, _) = (place(scripts), folder.and_then(place));
    match scripts.value {
        DeValue::Boolean(_) | DeValue::Array(_) => true,
        _ => own.is_some() && own == other,
    }
}

/// `cgi = true`, or extensions, beside the folder of `files`.
pub(super) fn among(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    beside: &[Item<'_>],
    files: Option<Files>,
) -> Option<Cgi> {
    let files = files?;
    let mut cgi = of(reader, files.root.clone(), beside);
    if item.value.as_array().is_some() {
        let extensions = reader.strings(item, rules::extension);
        cgi.extensions = extensions.into_iter().map(|extension| extension.value).collect();
    }
    cgi.files = Some(files);
    Some(cgi)
}

/// `cgi = "..."` and the keys beside it.
pub(super) fn cgi(reader: &mut Reader<'_>, item: &Item<'_>, beside: &[Item<'_>]) -> Option<Cgi> {
    let root = reader.path(item);
    let cgi = of(reader, root.clone().unwrap_or(At::implied("".into())), beside);
    root.map(|_| cgi)
}

fn of(reader: &mut Reader<'_>, root: At<PathBuf>, beside: &[Item<'_>]) -> Cgi {
    let mut cgi = Cgi::of(root);
    for item in beside {
        match item.key {
            "cgi_limits" => cgi.limits = limits(reader, item),
            _ => cgi.authorization = reader.boolean(item).unwrap_or(false),
        }
    }
    cgi
}

fn limits(reader: &mut Reader<'_>, item: &Item<'_>) -> CgiLimits {
    let mut limits = CgiLimits::default();
    let Some(mut table) = reader.table(item, &schema::CGI_LIMITS) else { return limits };
    let whole = |n: u64| usize::try_from(n).ok();
    if let Some(item) = table.take("timeout") {
        let range = Duration::from_millis(1)..=TIME_MAX;
        limits.timeout = reader.duration(&item, range).unwrap_or(limits.timeout);
    }
    if let Some(item) = table.take("processes") {
        let number = reader.integer(&item, 1..=PROCESSES_MAX).and_then(whole);
        limits.processes = number.unwrap_or(limits.processes);
    }
    if let Some(item) = table.take("queue") {
        let number = reader.integer(&item, 0..=QUEUE_MAX).and_then(whole);
        limits.queue = number.unwrap_or(limits.queue);
    }
    if let Some(item) = table.take("memory") {
        limits.memory = reader.size(&item, MEMORY_MIN..=u64::MAX);
    }
    if let Some(item) = table.take("cpu") {
        limits.cpu = reader.duration(&item, Duration::from_secs(1)..=TIME_MAX);
    }
    table.finish(reader);
    limits
}

/// Nobody may write where scripts are started, or pages run: an upload would be a program.
pub(super) fn no_uploads_into(reader: &mut Reader<'_>, routes: &[&Route]) {
    let scripts = || {
        routes.iter().filter_map(|route| match &route.action {
            Action::Cgi(cgi) => Some(&cgi.root),
            Action::Pages(folder) => Some(folder),
            _ => None,
        })
    };
    let files = routes.iter().filter_map(|route| route.action.files());
    let uploads: Vec<&Files> = files.filter(|files| files.upload.is_some()).collect();
    if uploads.is_empty() {
        return;
    }
    // The first upload into each folder, and the first folder of scripts of each place.
    let first = uploads.iter().rev().map(|files| (&*files.root.value, *files));
    let first: HashMap<&Path, &Files> = first.collect();
    for folder in scripts() {
        if let Some(files) = folder.value.ancestors().find_map(|above| first.get(above)) {
            reader.report(upload_into(folder, files));
        }
    }
    let scripts: HashMap<&Path, _> =
        scripts().map(|folder| (&*folder.value, folder)).rev().collect();
    for files in uploads {
        // An upload into the folder itself was found from the other side.
        let above = files.root.value.ancestors().skip(1);
        if let Some(folder) = above.filter_map(|above| scripts.get(above)).next() {
            reader.report(upload_into(folder, files));
        }
    }
}

fn upload_into(folder: &At<PathBuf>, files: &Files) -> Diagnostic {
    let message = "programs are run from a folder that uploads can reach";
    let upload = files.upload.as_ref().map_or(0..0, |upload| upload.span.clone());
    Diagnostic::error("upload-into-cgi", message, folder.span.clone())
        .also(upload, "here, anybody who may upload could have programs run")
        .help("keep the two in folders that do not lie in one another")
}

//! Scripts among files, and scripts that uploads could reach.

use super::{Item, Reader};
use crate::conf::diagnostic::Diagnostic;
use crate::conf::model::{Action, At, Files, Route};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use toml::de::DeValue;

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

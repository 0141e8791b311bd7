//! What the tests of handlers are made with.

use super::entry::{Entry, Recipe, Source};
use super::{Disk, MediaTable};
use crate::conf;
use crate::event::Cx;
use crate::handlers::files::resolve::{Found, Tree};
use crate::http::Version;
use crate::http1::framing;
use crate::net::Bytes;
use crate::serve::{Body, Head, Part, Request, Response};
use crate::sys::fs::Root;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;

pub(crate) fn cx() -> Cx {
    Cx::new(mio::Poll::new().unwrap().registry().try_clone().unwrap())
}

/// A request as the connection would hand it over, for a route at `/`.
pub(crate) fn request(method: &str, target: &str, fields: &[(&str, &str)]) -> Request {
    let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let fields = [(&b"Host"[..], &b"h:80"[..])].into_iter().chain(fields);
    let mut request = Request::default();
    let line = (method.as_bytes(), target.as_bytes());
    request.head.assemble(line.0, line.1, Version::Http11, fields).unwrap();
    request.body_length = framing::frame(&request.head).unwrap().body;
    request.settle_path().unwrap();
    request.mount = 1;
    request
}

/// The entry of a file with this content, changed a while ago.
pub(crate) fn entry_of(dir: &Path, name: &str, content: &[u8]) -> Rc<Entry> {
    std::fs::write(dir.join(name), content).unwrap();
    age(&dir.join(name));
    let root = Root::open(dir).unwrap();
    let Found::File(file) = Disk { root: &root, scripts: None }.look(name.as_bytes()).unwrap()
    else {
        panic!()
    };
    let recipe = Recipe { cache_control: None, gzip: true, gzip_min: 1000 };
    let media = MediaTable::new(&conf::Media::default()).of_path(name.as_bytes());
    let source = Source {
        path: name.as_bytes(),
        file,
        certain: true,
        by_accept: false,
        media_type: media,
        before: None,
        now: 4_000_000_000,
    };
    Rc::new(Entry::new(source, &recipe).unwrap())
}

/// Makes a file look as if it was changed an hour ago.
pub(crate) fn age(path: &Path) {
    let file = std::fs::File::options().append(true).open(path).unwrap();
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(3600)).unwrap();
}

pub(crate) fn head_text(response: &Response) -> String {
    let bytes = match &response.head {
        Head::Fields(headers) => headers.as_bytes(),
        Head::Prepared(head) => head.http1(),
    };
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) fn body_bytes(response: &Response) -> Vec<u8> {
    let read = |slice: &crate::net::FileSlice| {
        let mut bytes = vec![0; slice.len as usize];
        slice.file.read_exact_at(&mut bytes, slice.offset).unwrap();
        bytes
    };
    match &response.body {
        Body::Empty => Vec::new(),
        Body::Bytes(bytes) => bytes.as_slice().to_vec(),
        Body::File(slice) => read(slice),
        Body::Parts(parts) => parts
            .iter()
            .flat_map(|part| match part {
                Part::Bytes(bytes) => Bytes::as_slice(bytes).to_vec(),
                Part::File(slice) => read(slice),
            })
            .collect(),
    }
}

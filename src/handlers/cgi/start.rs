//! Starting a script: its environment, its pipes, its process.

use super::locate::RunBy;
use super::running::Running;
use super::{Run, Scripts, diagnosis, head};
use crate::event::admission::Place;
use crate::event::{Cx, Owner, Parent, TaskId};
use crate::handlers::gateway::{
    Allowance, Environ, Feed, Relay, RequestBody, Silence, Spooled, StderrReader,
};
use crate::serve::Request;
use crate::sys::fs::Root;
use crate::sys::process::{self, Launch, Limits};
use mio::Interest;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;

/// Which script it is, and who runs it.
#[derive(Debug)]
pub(super) struct Which {
    /// Bytes of the request's rest that lead to it.
    pub(super) end: usize,
    /// Its name, where these lead to its folder.
    pub(super) index: Option<String>,
    /// Its interpreter.
    pub(super) by: Option<PathBuf>,
    /// The folder it was found in.
    pub(super) root: Rc<Root>,
    /// It answers for the whole path: that of a front controller.
    pub(super) stands_in: bool,
}

impl Which {
    /// What `locate` has found in `root`.
    pub(super) fn found(
        root: Rc<Root>,
        end: usize,
        by: Option<&RunBy>,
        index: Option<&str>,
    ) -> Self {
        let by = by.map(|by| by.program.clone());
        Self { end, by, index: index.map(str::to_owned), root, stands_in: false }
    }
}

/// A script to be started for a request.
pub(super) struct Start<'a> {
    pub(super) scripts: &'a Rc<Scripts>,
    pub(super) request: &'a Request,
    pub(super) which: &'a Which,
}

impl Start<'_> {
    /// Starts it. Its place is given back when its process has been collected.
    ///
    /// # Errors
    /// It is no program, or there is no room for another process.
    pub(super) fn run(
        &self,
        mut body: RequestBody,
        place: Option<Place>,
        task: TaskId,
        cx: &mut Cx,
    ) -> Result<Running, (io::Error, RequestBody)> {
        match self.try_run(&mut body, place, task, cx) {
            Ok(running) => Ok(running),
            Err(error) => Err((error, body)),
        }
    }

    fn try_run(
        &self,
        body: &mut RequestBody,
        place: Option<Place>,
        task: TaskId,
        cx: &mut Cx,
    ) -> io::Result<Running> {
        let (output, stdout) = pipe_from()?;
        let (errors, stderr) = pipe_from()?;
        let (stdin, pipe) = match &*body {
            RequestBody::Gathered(Spooled::File { file, .. }) => (file.try_clone()?.into(), None),
            body if body.length().is_none_or(|length| length == 0) => (Stdio::null(), None),
            _ => {
                let (read, write) = process::pipe()?;
                process::set_nonblocking(&write)?;
                (Stdio::from(read), Some(File::from(write)))
            }
        };
        let setup = &self.scripts.setup;
        let script = self.script();
        let folder = script.parent().unwrap_or(self.which.root.place()).to_owned();
        let environment = self.environment(&script, body.length());
        let (program, arguments) = match &self.which.by {
            Some(by) => (by.clone(), vec![script.into_os_string()]),
            None => (script, Vec::new()),
        };
        let limits = &setup.cgi.limits;
        let process = Launch {
            program,
            arguments,
            environment,
            folder,
            stdin,
            stdout,
            stderr,
            user: None,
            limits: Limits { memory: limits.memory, cpu: limits.cpu },
        }
        .spawn()?;
        let name = String::from_utf8_lossy(&self.name()).into_owned();
        let run = Rc::new(Run {
            name: format!("script {name} (pid {})", process.pid()).into(),
            waker: RefCell::new(Some(cx.waker(task))),
            dismissed: Cell::new(false),
            ended: Cell::new(None),
        });
        let tag = self.scripts.running.borrow_mut().insert((run.clone(), place));
        let tag = u32::try_from(tag).unwrap_or(u32::MAX);
        let child = cx.adopt(process, Parent { service: self.scripts.service.get(), tag });
        // A script takes longer to say something than we to get here: its pipes are waited for.
        let owner = Owner::Task(task);
        let source = |file: File| cx.source(file, owner, Interest::READABLE);
        let (output, errors) = match source(output).and_then(|out| Ok((out, source(errors)?))) {
            Ok(both) => both,
            Err(error) => {
                run.waker.take();
                cx.kill(child);
                return Err(error);
            }
        };
        let (gathered, reserved) = match std::mem::replace(body, RequestBody::None) {
            RequestBody::Gathered(Spooled::Memory(bytes)) => (Some(bytes), None),
            RequestBody::Gathered(Spooled::File { reserved, .. }) => (None, reserved),
            _ => (None, None),
        };
        Ok(Running {
            child,
            feed: pipe.map(|pipe| Feed::new(cx.sources().add_untried(pipe, owner), gathered)),
            output,
            stderr: StderrReader::new(errors, run.name.to_string(), LINE_MAX, Allowance::Run),
            relay: Relay::new(Rc::clone(&run.name), head::parse),
            silence: Silence::new(cx.now(), limits.timeout),
            run,
            _reserved: reserved,
            closed: None,
        })
    }

    /// Why the kernel has refused to start it, as far as that can be told.
    pub(super) fn diagnose(&self, error: &io::Error) -> Option<String> {
        match &self.which.by {
            None => diagnosis::diagnose(&self.which.root, &self.beneath(), error),
            Some(by) => Some(format!("it is run by {}", by.display())),
        }
    }

    pub(super) fn script(&self) -> PathBuf {
        self.which.root.place().join(OsStr::from_bytes(&self.beneath()))
    }

    /// Where it lies, relative to the folder of scripts.
    fn beneath(&self) -> Vec<u8> {
        let path = self.request.rest().get(..self.which.end).unwrap_or_default();
        let index = self.which.index.as_deref().unwrap_or_default();
        [path, index.as_bytes()].concat()
    }

    /// What follows the script in the normalised path.
    fn below(&self) -> &[u8] {
        self.request.rest().get(self.which.end..).unwrap_or_default()
    }

    /// The path up to the script.
    fn path(&self) -> &[u8] {
        let path = self.request.path();
        if self.which.stands_in {
            return path.get(..self.request.mount).unwrap_or(path);
        }
        path.get(..path.len().saturating_sub(self.below().len())).unwrap_or(path)
    }

    fn name(&self) -> Vec<u8> {
        [self.path(), self.which.index.as_deref().unwrap_or_default().as_bytes()].concat()
    }

    /// The same as it was sent, decoded once. Nothing follows the script of a folder; one that stands
    /// in has all that is below the route.
    pub(super) fn info(&self) -> Cow<'_, [u8]> {
        match self.which.index {
            _ if self.which.stands_in => {
                self.request.info_below(self.path().len().saturating_sub(1))
            }
            Some(_) => Cow::Borrowed(b""),
            None => self.request.info_below(self.path().len()),
        }
    }

    fn environment(&self, script: &Path, length: Option<u64>) -> Vec<(OsString, OsString)> {
        let setup = &self.scripts.setup;
        let environ = Environ {
            request: self.request,
            server_name: setup.server_name.as_deref(),
            script_name: &self.name(),
            path_info: &self.info(),
            content_length: length,
            authorization: setup.cgi.authorization,
        };
        let mut all = Vec::with_capacity(48);
        all.extend(self.scripts.env());
        let mut push = |name: &[u8], value: &[u8]| {
            all.push((OsString::from_vec(name.to_vec()), OsString::from_vec(value.to_vec())));
        };
        environ.each(&mut push);
        push(b"GATEWAY_INTERFACE", b"CGI/1.1");
        push(b"SCRIPT_FILENAME", script.as_os_str().as_bytes());
        // php-cgi runs nothing without it, so that nobody can ask for it by its own URL.
        push(b"REDIRECT_STATUS", b"200");
        let root = setup.places.iter().find(|(path, _)| path == "/").map(|(_, folder)| folder);
        push(
            b"DOCUMENT_ROOT",
            root.map_or(self.which.root.place(), PathBuf::as_path).as_os_str().as_bytes(),
        );
        if let Some(path) = translated(&setup.places, self.below()) {
            push(b"PATH_TRANSLATED", path.as_os_str().as_bytes());
        }
        all
    }
}

/// Where `info`, taken for a path of the host, lies on the disk (RFC 3875 §4.1.6). A guess for the
/// script's use; nothing is opened by it here.
fn translated(places: &[(String, PathBuf)], info: &[u8]) -> Option<PathBuf> {
    places.iter().filter(|_| !info.is_empty()).find_map(|(path, folder)| {
        let beneath = info.strip_prefix(path.as_bytes())?;
        Some(folder.join(OsStr::from_bytes(beneath)))
    })
}

/// Bytes of one line of the log; a longer one becomes several.
const LINE_MAX: usize = 2048;

/// A pipe to read from without waiting, and its other end.
fn pipe_from() -> io::Result<(File, Stdio)> {
    let (read, write) = process::pipe()?;
    process::set_nonblocking(&read)?;
    Ok((read.into(), write.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_translated_by_the_longest_route() {
        let places = [("/a/b/".to_owned(), "/srv/ab".into()), ("/".to_owned(), "/srv/www".into())];
        for (info, want) in [
            ("", None),
            ("/", Some("/srv/www/")),
            ("/x y/z", Some("/srv/www/x y/z")),
            ("/a/b/c", Some("/srv/ab/c")),
            ("/a/bc", Some("/srv/www/a/bc")),
        ] {
            let path = translated(&places, info.as_bytes());
            assert_eq!(path.as_deref().and_then(Path::to_str), want, "{info}");
        }
        assert_eq!(translated(&[], b"/x"), None);
    }
}

//! Files and scripts that lie together: a name says which of the two answers.

use super::CgiHandler;
use crate::handlers::files::resolve::is_hidden;
use crate::handlers::script_names::{Named, ScriptNames};
use crate::http::{HttpError, Method, MethodSet, Status};
use crate::serve::{Handler, Look, Plan, Request, TraceStep};
use std::rc::Rc;

/// A folder whose scripts are started, and whose other files are served.
pub struct Among {
    /// Its scripts.
    pub scripts: CgiHandler,
    /// Its files.
    pub files: Rc<dyn Handler>,
    /// Which are which.
    pub names: Rc<ScriptNames>,
    /// Whether one of the names that are tried in folders is a script's.
    pub has_index: bool,
    /// The script that answers what is no file.
    pub fallback: Option<String>,
    /// Whether files may be hidden ones.
    pub hidden: bool,
}

impl Among {
    /// Whether a script may answer, as far as the path tells: a file from the cache costs no look at
    /// the disk.
    fn may_be_script(&self, request: &Request) -> bool {
        let mut segments = request.rest().split(|b| *b == b'/');
        self.has_index && request.path().ends_with(b"/")
            || segments.any(|segment| self.names.judge(segment) == Named::Script)
    }

    fn may_be_file(&self, request: &Request) -> bool {
        let method = request.head.method();
        self.fallback.is_none()
            || self.files.methods().contains(method) && method != Method::Options
    }

    /// The script that stands in for what is no file. Hidden names are nobody's.
    fn stand_in(&self, request: &Request, error: &HttpError) -> Option<&str> {
        let is_no_file = [Status::NOT_FOUND, Status::FORBIDDEN].contains(&error.status);
        let is_hidden = !self.hidden && is_hidden(request.rest());
        self.fallback.as_deref().filter(|_| is_no_file && !is_hidden)
    }
}

impl Handler for Among {
    fn methods(&self) -> MethodSet {
        self.scripts.methods()
    }

    fn plan(&self, request: &Request, look: &mut Look<'_>) -> Result<Plan, HttpError> {
        let mut plan = Err(HttpError::new(Status::NOT_FOUND, "no such file"));
        if self.may_be_script(request) {
            plan = self.scripts.plan(request, look);
        }
        if matches!(&plan, Err(error) if error.status == Status::NOT_FOUND)
            && self.may_be_file(request)
        {
            if look.is_traced() && self.names.judge(request.rest()) == Named::Copy {
                let why = "by its name it has a script's text, which is not shown";
                look.note(|| TraceStep::new("file", "", why));
            }
            plan = self.files.plan(request, look);
        }
        match plan.as_ref().err().and_then(|error| self.stand_in(request, error)) {
            Some(script) => {
                let why = "`fallback`, for what is no file";
                look.note(|| TraceStep::new("script", script, why));
                self.scripts.plan_stand_in(script, request, look)
            }
            None => plan,
        }
    }
}

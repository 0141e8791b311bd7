//! What the program that embeds the server brings along: applications and handlers by name, and
//! what it says to failures.

use crate::app::{App, Options, Result};
use crate::serve::{ErrorHook, Handler};
use std::fmt;
use std::rc::Rc;

/// Applications and handlers that `handler = "name"` can mean.
#[derive(Clone, Default)]
pub struct Registry {
    entries: Vec<(String, Rc<Maker>)>,
    on_error: Option<ErrorHook>,
}

/// What `handler = "name"` can mean: an application, or a type that is a [`Handler`] itself.
///
/// ```
/// use httpyserver::serve::{Handler, HttpError, Look, Plan, Request, Response, Status};
/// use httpyserver::{Options, Result, Server};
///
/// struct Greeting(String);
///
/// impl Handler for Greeting {
///     fn plan(&self, _: &Request, _: &mut Look<'_>) -> std::result::Result<Plan, HttpError> {
///         Ok(Response::text(Status::OK, "text/plain", self.0.clone()).into())
///     }
/// }
///
/// fn greeting(options: &Options) -> Result<Greeting> {
///     Ok(Greeting(options.str("text")?.unwrap_or("Hi").to_owned()))
/// }
///
/// let config = "[server]\nlisten = [\"http://127.0.0.1:0\"]\n[[host]]\nhandler = \"greeting\"\n";
/// assert!(Server::from_text(config).handler("greeting", greeting).quiet().start().is_ok());
/// ```
pub trait IntoHandler {
    /// The handler of a route for one path (`exact`), or for one path and all below.
    ///
    /// # Errors
    /// What is wrong with it: patterns of an application.
    fn into_handler(self, exact: bool) -> std::result::Result<Rc<dyn Handler>, String>;
}

impl IntoHandler for App {
    fn into_handler(self, exact: bool) -> std::result::Result<Rc<dyn Handler>, String> {
        self.into_mounts().map(|mounts| mounts(exact))
    }
}

impl<H: Handler + 'static> IntoHandler for H {
    fn into_handler(self, _: bool) -> std::result::Result<Rc<dyn Handler>, String> {
        Ok(Rc::new(self))
    }
}

type Maker = dyn Fn(&Options) -> std::result::Result<Rc<dyn Handler>, String>;

impl Registry {
    /// Adds an application, or a handler of another kind, that is made of its options each time a
    /// configuration is loaded.
    pub fn add<M: IntoHandler>(
        &mut self,
        name: &str,
        make: impl Fn(&Options) -> Result<M> + 'static,
    ) {
        let maker = move |options: &Options| {
            let made = make(options).map_err(|error| error.reason().to_owned())?;
            options.finish().map_err(|error| error.reason().to_owned())?;
            made.into_handler(options.is_exact())
        };
        self.entries.push((name.to_owned(), Rc::new(maker)));
    }

    /// Adds an application that is there already, and stays when a configuration is loaded again.
    ///
    /// # Errors
    /// Its patterns are wrong.
    pub fn add_made(&mut self, name: &str, app: App) -> std::result::Result<(), String> {
        let handler = app.into_mounts()?;
        let maker = move |options: &Options| {
            options.finish().map_err(|error| error.reason().to_owned())?;
            Ok(handler(options.is_exact()))
        };
        self.entries.push((name.to_owned(), Rc::new(maker)));
        Ok(())
    }

    /// Adds a handler that is there already, and stays when a configuration is loaded again.
    pub fn add_handler(&mut self, name: &str, handler: Rc<dyn Handler>) {
        let maker = move |options: &Options| {
            options.finish().map_err(|error| error.reason().to_owned())?;
            Ok(Rc::clone(&handler))
        };
        self.entries.push((name.to_owned(), Rc::new(maker)));
    }

    /// Asks `hook` what to say to failures.
    pub fn on_error(&mut self, hook: ErrorHook) {
        self.on_error = Some(hook);
    }

    /// The hook for failures.
    pub(super) fn error_hook(&self) -> Option<&ErrorHook> {
        self.on_error.as_ref()
    }

    /// The maker of that name.
    pub(super) fn get(&self, name: &str) -> Option<&Rc<Maker>> {
        self.entries.iter().rev().find(|(own, _)| own == name).map(|(_, maker)| maker)
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

//! What the program that embeds the server brings along: applications by name, and what it says
//! to failures.

use crate::app::{App, Options, Result};
use crate::serve::{ErrorHook, Handler};
use std::fmt;
use std::rc::Rc;

/// Applications that `handler = "name"` can mean.
#[derive(Clone, Default)]
pub struct Registry {
    entries: Vec<(String, Rc<Maker>)>,
    on_error: Option<ErrorHook>,
}

type Maker = dyn Fn(&Options) -> std::result::Result<Rc<dyn Handler>, String>;

impl Registry {
    /// Adds an application that is made of its options, each time a configuration is loaded.
    pub fn add(&mut self, name: &str, make: impl Fn(&Options) -> Result<App> + 'static) {
        let maker = move |options: &Options| {
            let app = make(options).map_err(|error| error.reason().to_owned())?;
            options.finish().map_err(|error| error.reason().to_owned())?;
            let mounts = app.into_mounts()?;
            Ok(mounts(options.is_exact()))
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

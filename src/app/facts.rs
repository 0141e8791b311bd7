//! What a request may ask of the application that answers it.

use super::session::Sessions;

/// The parts of an application that requests know.
pub(super) struct Facts {
    /// In the order of its routes.
    pub(super) routes: Vec<RouteWords>,
    pub(super) sessions: Sessions,
}

/// A route, by its words.
pub(super) struct RouteWords {
    /// As it was written, with the prefixes of groups.
    pub(super) pattern: String,
    /// Of its parameters, in order.
    pub(super) names: Vec<Box<str>>,
}

impl Facts {
    pub(super) fn names(&self, route: usize) -> &[Box<str>] {
        self.routes.get(route).map(|route| &*route.names).unwrap_or_default()
    }

    pub(super) fn pattern(&self, route: usize) -> &str {
        self.routes.get(route).map(|route| &*route.pattern).unwrap_or_default()
    }
}

//! The handlers that are started, of the site that serves and of those before and after it.

use super::guarded::guarded;
use crate::conf::Level;
use crate::event::{Cx, Owner, PoolId};
use crate::serve::{Handler, Readiness, Scale};
use crate::site::Site;
use crate::sys::process::Ending;
use std::io;
use std::rc::Rc;

/// The handlers that are started, by the number of their pool, with the site they belong to: the
/// present one, and former ones whose last requests have not ended.
#[derive(Default)]
pub(super) struct HandlerPools {
    present: Option<SiteHandlers>,
    retiring: Vec<SiteHandlers>,
    /// Of a reload that waits for them.
    starting: Vec<(PoolId, Rc<dyn Handler>)>,
    next: u32,
}

pub(super) type SiteHandlers = (Rc<Site>, Vec<(PoolId, Rc<dyn Handler>)>);

impl HandlerPools {
    /// Starts the handlers of a site, beside those that serve.
    pub(super) fn start(&mut self, site: &Rc<Site>, cx: &mut Cx) -> io::Result<SiteHandlers> {
        let mut started: Vec<(PoolId, Rc<dyn Handler>)> = Vec::new();
        for handler in &site.handlers {
            let pool = PoolId(self.next);
            self.next = self.next.wrapping_add(1);
            let result = guarded(|| handler.start(pool, cx))
                .unwrap_or_else(|panicked| Err(io::Error::other(panicked.text)));
            if let Err(error) = result {
                self.discard(&(site.clone(), started), cx);
                return Err(error);
            }
            self.starting.push((pool, handler.clone()));
            started.push((pool, handler.clone()));
        }
        Ok((site.clone(), started))
    }

    /// Lets the handlers of a site serve; those of the one before retire.
    pub(super) fn commit(&mut self, started: SiteHandlers) {
        self.starting.clear();
        if let Some(former) = self.present.replace(started) {
            self.retiring.push(former);
        }
    }

    /// Gives up what was started and never served.
    pub(super) fn discard(&mut self, started: &SiteHandlers, cx: &mut Cx) {
        self.starting.clear();
        started.1.iter().for_each(|(_, handler)| call(cx, |cx| handler.stop(cx)));
    }

    /// Whether a handler is one that serves, not one that a reload has started.
    pub(super) fn serves(&self, pool: PoolId) -> bool {
        self.present.iter().any(|(_, handlers)| of(handlers, pool).is_some())
    }

    pub(super) fn turn(&self, pool: PoolId, cx: &mut Cx) {
        if let Some(handler) = self.of(pool) {
            call(cx, |cx| handler.turn(cx));
        }
    }

    pub(super) fn scale(&self, by: Scale, cx: &mut Cx) {
        let handlers = self.present.iter().flat_map(|(_, handlers)| handlers);
        handlers.for_each(|(_, handler)| call(cx, |cx| handler.scale(by, cx)));
    }

    /// Whether there are former ones, for which to look now and then.
    pub(super) fn has_retiring(&self) -> bool {
        !self.retiring.is_empty()
    }

    /// Stops the handlers of former sites whose last request has ended.
    pub(super) fn retire(&mut self, cx: &mut Cx) {
        let is_over = |(site, _): &mut SiteHandlers| Rc::strong_count(site) == 1;
        for former in self.retiring.extract_if(.., is_over) {
            for (_, handler) in &former.1 {
                call(cx, |cx| handler.stop(cx));
            }
            call(cx, |_| drop(former));
        }
    }

    /// Stops all. They still hear of what happens to them.
    pub(super) fn stop_all(&self, cx: &mut Cx) {
        for (_, handlers) in self.retiring.iter().chain(&self.present) {
            handlers.iter().for_each(|(_, handler)| call(cx, |cx| handler.stop(cx)));
        }
    }

    pub(super) fn event(&self, pool: PoolId, slot: u16, cx: &mut Cx) {
        if let Some(handler) = self.of(pool) {
            call(cx, |cx| handler.pool_event(slot, cx));
        }
    }

    pub(super) fn child_ended(&self, owner: Owner, ending: Ending, cx: &mut Cx) {
        if let Some(handler) = self.of(owner.pool) {
            call(cx, |cx| handler.child_ended(owner.tag, ending, cx));
        }
    }

    fn of(&self, pool: PoolId) -> Option<Rc<dyn Handler>> {
        let sites = self.present.iter().chain(&self.retiring).map(|(_, handlers)| handlers);
        let handler = sites.chain([&self.starting]).find_map(|handlers| of(handlers, pool));
        handler.cloned()
    }
}

/// The handler of that number: they are numbered as they are started.
fn of(handlers: &[(PoolId, Rc<dyn Handler>)], pool: PoolId) -> Option<&Rc<dyn Handler>> {
    let place = handlers.binary_search_by_key(&pool, |(id, _)| *id).ok()?;
    handlers.get(place).map(|(_, handler)| handler)
}

/// Calls into a handler. Requests that wait for what a panic has kept from happening have their own
/// timeouts.
fn call(cx: &mut Cx, call: impl FnOnce(&mut Cx)) {
    if let Err(panicked) = guarded(|| call(cx)) {
        cx.report(Level::Error, format!("a panic in a handler: {}", panicked.text));
    }
}

/// How far all of them have come.
pub(super) fn readiness((_, handlers): &SiteHandlers) -> Readiness {
    let mut all = Readiness::Ready;
    for (_, handler) in handlers {
        let ready = guarded(|| handler.readiness());
        match ready.unwrap_or_else(|panicked| Readiness::Failed(panicked.text)) {
            Readiness::Ready => {}
            Readiness::Starting => all = Readiness::Starting,
            failed @ Readiness::Failed(_) => return failed,
        }
    }
    all
}

//! The table of services that are started, of the site that serves and of those before and after it.

use super::guarded::guarded;
use crate::conf::Level;
use crate::event::{Cx, Parent, ServiceId};
use crate::serve::{Readiness, Scale, Service};
use crate::site::Site;
use crate::sys::process::Ending;
use std::io;
use std::rc::Rc;

/// The services that are started, by their numbers, with the site that they belong to: the present
/// one, and former ones whose last requests have not ended.
#[derive(Default)]
pub(super) struct ServiceTable {
    present: Option<SiteServices>,
    retiring: Vec<SiteServices>,
    /// Of a reload that waits for them.
    starting: Vec<(ServiceId, Rc<dyn Service>)>,
    next: u32,
}

pub(super) type SiteServices = (Rc<Site>, Vec<(ServiceId, Rc<dyn Service>)>);

impl ServiceTable {
    /// Starts the services of a site, beside those that serve.
    pub(super) fn start(&mut self, site: &Rc<Site>, cx: &mut Cx) -> io::Result<SiteServices> {
        let mut started: Vec<(ServiceId, Rc<dyn Service>)> = Vec::new();
        for service in &site.services {
            let id = ServiceId(self.next);
            self.next = self.next.wrapping_add(1);
            let result = guarded(|| service.start(id, cx))
                .unwrap_or_else(|panicked| Err(io::Error::other(panicked.text)));
            if let Err(error) = result {
                self.discard(&(site.clone(), started), cx);
                return Err(error);
            }
            self.starting.push((id, service.clone()));
            started.push((id, service.clone()));
        }
        Ok((site.clone(), started))
    }

    /// Lets the services of a site serve; those of the one before retire.
    pub(super) fn commit(&mut self, started: SiteServices) {
        self.starting.clear();
        if let Some(former) = self.present.replace(started) {
            self.retiring.push(former);
        }
    }

    /// Gives up what was started and never served.
    pub(super) fn discard(&mut self, started: &SiteServices, cx: &mut Cx) {
        self.starting.clear();
        started.1.iter().for_each(|(_, service)| call(cx, |cx| service.stop(cx)));
    }

    /// Whether a service is one that serves, not one that a reload has started.
    pub(super) fn serves(&self, id: ServiceId) -> bool {
        self.present.iter().any(|(_, services)| of(services, id).is_some())
    }

    pub(super) fn flush_batch(&self, id: ServiceId, cx: &mut Cx) {
        if let Some(service) = self.of(id) {
            call(cx, |cx| service.flush_batch(cx));
        }
    }

    pub(super) fn scale(&self, by: Scale, cx: &mut Cx) {
        let services = self.present.iter().flat_map(|(_, services)| services);
        services.for_each(|(_, service)| call(cx, |cx| service.scale(by, cx)));
    }

    /// Whether there are former ones, for which to look now and then.
    pub(super) fn has_retiring(&self) -> bool {
        !self.retiring.is_empty()
    }

    /// Stops the services of former sites whose last request has ended.
    pub(super) fn retire(&mut self, cx: &mut Cx) {
        let is_over = |(site, _): &mut SiteServices| Rc::strong_count(site) == 1;
        for former in self.retiring.extract_if(.., is_over) {
            for (_, service) in &former.1 {
                call(cx, |cx| service.stop(cx));
            }
            call(cx, |_| drop(former));
        }
    }

    /// Stops all. They still hear of what happens to them.
    pub(super) fn stop_all(&self, cx: &mut Cx) {
        for (_, services) in self.retiring.iter().chain(&self.present) {
            services.iter().for_each(|(_, service)| call(cx, |cx| service.stop(cx)));
        }
    }

    pub(super) fn event(&self, id: ServiceId, tag: u16, cx: &mut Cx) {
        if let Some(service) = self.of(id) {
            call(cx, |cx| service.on_event(tag, cx));
        }
    }

    pub(super) fn child_ended(&self, parent: Parent, ending: Ending, cx: &mut Cx) {
        if let Some(service) = self.of(parent.service) {
            call(cx, |cx| service.child_ended(parent.tag, ending, cx));
        }
    }

    fn of(&self, id: ServiceId) -> Option<Rc<dyn Service>> {
        let sites = self.present.iter().chain(&self.retiring).map(|(_, services)| services);
        let service = sites.chain([&self.starting]).find_map(|services| of(services, id));
        service.cloned()
    }
}

/// The service of that number: they are numbered as they are started.
fn of(services: &[(ServiceId, Rc<dyn Service>)], id: ServiceId) -> Option<&Rc<dyn Service>> {
    let place = services.binary_search_by_key(&id, |(id, _)| *id).ok()?;
    services.get(place).map(|(_, service)| service)
}

/// Calls into a service. Requests that wait for what a panic has kept from happening have their own
/// timeouts.
fn call(cx: &mut Cx, call: impl FnOnce(&mut Cx)) {
    if let Err(panicked) = guarded(|| call(cx)) {
        cx.report(Level::Error, format!("a panic in a handler: {}", panicked.text));
    }
}

/// How far all of them have come.
pub(super) fn readiness((_, services): &SiteServices) -> Readiness {
    let mut all = Readiness::Ready;
    for (_, service) in services {
        let ready = guarded(|| service.readiness());
        match ready.unwrap_or_else(|panicked| Readiness::Failed(panicked.text)) {
            Readiness::Ready => {}
            Readiness::Starting => all = Readiness::Starting,
            failed @ Readiness::Failed(_) => return failed,
        }
    }
    all
}

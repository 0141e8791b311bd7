//! What the operator orders by signals: another configuration, other log files, more workers; and
//! renewed certificates, which are taken up unasked.

use super::EventLoop;
use super::crowd::Crowd;
use super::guarded::guarded;
use super::services::{SiteServices, readiness};
use crate::conf::{Diagnostic, Level, summary};
use crate::serve::{Readiness, Scale};
use crate::server::acceptor::Bound;
use crate::server::control::Order;
use crate::server::harvester::Harvester;
use crate::server::load::{Failure, Loaded, cannot_listen, cannot_listen_everywhere};
use crate::server::watch::CertificateWatch;
use crate::tls::{Plan, Secured};
use std::rc::Rc;
use std::time::Instant;

/// A reload that waits for its services: everything else about it is done.
pub(super) struct Pending {
    loaded: Loaded,
    bound: Bound,
    services: SiteServices,
}

impl EventLoop {
    pub(super) fn obey(&mut self, order: Order) {
        match order {
            Order::Reload if self.stopping.is_some() => {
                self.cx.report(Level::Warning, "not reloaded: the server stops");
            }
            Order::Reload => self.reload(),
            Order::Reopen => self.reopen(),
            Order::Report => self.report(),
            Order::More => self.services.scale(Scale::More, &mut self.cx),
            Order::Fewer => self.services.scale(Scale::Fewer, &mut self.cx),
            Order::Stop if self.stopping.is_some() => self.hurry(),
            Order::Stop => self.stop(Some(self.cx.now() + self.site.timeouts.shutdown)),
            // Whoever asked for a stop in time gets it.
            Order::StopPatiently if self.stopping.is_some() => {}
            Order::StopPatiently => self.stop(None),
        }
    }

    /// Builds everything new before anything old is touched. A failure changes nothing.
    fn reload(&mut self) {
        self.give_reload_up("another one begins");
        let former = self.tls.as_ref().map(|(_, secured)| &**secured);
        let loaded = guarded(|| self.reloader.load(former)).unwrap_or_else(|panicked| {
            Err(Failure::Start(format!("a panic while it was loaded: {}", panicked.text)))
        });
        match loaded.and_then(|loaded| self.prepare(loaded)) {
            // Most sites are ready at once.
            Ok(pending) => {
                self.pending = Some(pending);
                self.settle_reload();
            }
            Err(failure) => self.not_reloaded(&failure),
        }
    }

    /// Binds and starts what was loaded, beside what serves now.
    fn prepare(&mut self, loaded: Loaded) -> Result<Pending, Failure> {
        let listen = &loaded.listen;
        let bound = self
            .acceptor
            .bind(listen, &self.kernel)
            .map_err(|(at, error)| cannot_listen(&at, &error))?;
        let services = self.services.start(&loaded.site, &mut self.cx)?;
        Ok(Pending { loaded, bound, services })
    }

    /// Puts what was prepared in the place of what served before, once it is ready.
    pub(super) fn settle_reload(&mut self) {
        let Some(pending) = self.pending.take() else { return };
        match readiness(&pending.services) {
            Readiness::Starting => self.pending = Some(pending),
            Readiness::Failed(what) => {
                self.services.discard(&pending.services, &mut self.cx);
                self.not_reloaded(&Failure::Start(what));
            }
            Readiness::Ready => match self.swap(pending) {
                Ok(warnings) => {
                    let text = format!("reloaded\n{warnings}");
                    self.cx.report(Level::Info, text.trim_end());
                }
                Err(failure) => self.not_reloaded(&failure),
            },
        }
    }

    pub(super) fn give_reload_up(&mut self, why: &str) {
        if let Some(pending) = self.pending.take() {
            self.services.discard(&pending.services, &mut self.cx);
            self.cx.report(Level::Warning, format!("the reload is given up: {why}"));
        }
    }

    fn not_reloaded(&mut self, failure: &Failure) {
        let text = format!("not reloaded, what served before goes on\n{failure}");
        self.cx.report(Level::Error, text.trim_end());
    }

    /// Returns the warnings.
    fn swap(&mut self, pending: Pending) -> Result<String, Failure> {
        let Pending { loaded, bound, services } = pending;
        let Loaded { site, listen, access, errors, connections_max, warnings, tls, .. } = loaded;
        let warnings = cannot_listen_everywhere(&bound) + &warnings;
        if let Err(error) = self.acceptor.adopt(&listen, bound, &self.kernel) {
            self.services.discard(&services, &mut self.cx);
            return Err(error.into());
        }
        self.https_port = self.acceptor.https_port();
        self.services.commit(services);
        self.access.flush();
        self.errors.finish(&self.cx.clock);
        (self.access, self.errors) = (access, errors);
        self.cx.clock.set_server(site.server_header.as_deref());
        self.cx.spool.set_limit(site.limits.spool_total);
        self.harvester = Harvester::new(&site.timeouts, self.cx.now());
        self.connections_max = connections_max;
        site.closed.inherit(&self.site.closed);
        self.site = site;
        self.watch = watch(tls.as_ref(), self.cx.now());
        self.tls = tls;
        Ok(warnings)
    }

    /// Takes up renewed certificate files. If they do not load, the old ones stay.
    pub(super) fn renew_certificates(&mut self) {
        if !self.watch.take_due(self.cx.now()) {
            return;
        }
        let Some((plan, secured)) = &mut self.tls else { return };
        // Before anybody is shown a certificate, nobody is shown its key.
        self.site.closed.refresh_all();
        // Links may have been turned, folders moved: the files may lie elsewhere now.
        if let Some(unwatched) = self.watch.follow(&plan.folders(), self.cx.sources()) {
            let text = "what changes here is noticed within a minute, not at once:";
            self.cx.report(Level::Warning, format!("{text}{unwatched}"));
        }
        let changed = plan.has_changed(secured);
        if changed == Ok(false) {
            self.watch.settle();
            return;
        }
        let mut found = Vec::new();
        let renewed = plan.load(Some(secured), true, &mut found);
        let with = |text: String, found: &[Diagnostic]| text + &summary(found);
        match renewed {
            Ok(renewed) => {
                let (level, text) = match renewed.is_as(secured) {
                    // Only the text around them is another one.
                    true if found.is_empty() => (Level::Info, STAY.to_owned()),
                    true => (Level::Warning, STAY.to_owned()),
                    false => (Level::Info, format!("certificate files have changed: {renewed}")),
                };
                *secured = Rc::new(renewed);
                self.watch.settle();
                self.cx.report(level, with(text, &found));
            }
            Err(errors) => {
                let text = match changed {
                    Ok(_) => "certificate files have changed and do not load; the old ones stay",
                    Err(_) => "certificate files do not load; the old ones stay",
                };
                let text = with(text.into(), &errors);
                if self.watch.is_news(&text) {
                    self.cx.report(Level::Error, text);
                }
            }
        }
    }

    fn reopen(&mut self) {
        for result in [self.access.reopen(), self.errors.reopen()] {
            if let Err(error) = result {
                self.cx.report(Level::Error, format!("cannot reopen a log file: {error}"));
            }
        }
    }

    fn report(&mut self) {
        let (open, dropped) = (self.table.len(), self.access.dropped() + self.errors.dropped());
        let idle = self.table.iter_mut().filter(|connection| connection.is_idle()).count();
        let text = format!("{open} connections, {idle} of them idle; {dropped} log lines dropped");
        let Crowd { full, per_client, .. } = &self.crowd;
        let text = format!("{text}; {full} times full, {per_client} refused for their address");
        self.cx.report(Level::Info, text);
        self.cx.report(Level::Info, self.stalls.report());
    }
}

/// What is said of certificates that were looked at and are the same.
const STAY: &str = "certificates stay as they are";

/// When to look at the files of the certificates again: never, where HUP is to take them up.
pub(super) fn watch(tls: Option<&(Plan, Rc<Secured>)>, now: Instant) -> CertificateWatch {
    match tls {
        Some((plan, _)) if plan.is_watched() => CertificateWatch::new(now),
        _ => CertificateWatch::default(),
    }
}

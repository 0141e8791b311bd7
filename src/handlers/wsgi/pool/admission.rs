//! Which request may wait, and for how long?

use super::{Client, Command, Failure, Place, Pool, RequestId, WorkerSlot};

impl Pool {
    /// A request may wait, or is answered with an error at once.
    pub(super) fn admit(&mut self, request: RequestId, client: Client) {
        match self.refusal(client) {
            Some(why) => self.fail_waiting(request, why),
            None => {
                self.requests.push(request, client, self.now);
                self.commands.push_back(Command::Schedule);
            }
        }
    }

    /// Why another request of a client may not wait.
    fn refusal(&mut self, client: Client) -> Option<Failure> {
        if self.is_stopped {
            return Some(Failure::Stopped);
        }
        if let Some(why) = self.down() {
            return Some(why);
        }
        // Those that came in this turn are handed out at its end.
        let free = if self.requests.queue.len() < self.app.queue { 0 } else { self.room() };
        match self.requests.queue.make_room(client, free) {
            Ok(None) => {}
            Ok(Some(other)) => self.fail_waiting(other, Failure::QueueFull),
            Err(_) => return Some(Failure::QueueFull),
        }
        None
    }

    /// Nobody waits for a request any more.
    pub(super) fn leave(&mut self, request: RequestId) {
        match self.requests.get(request).map(|known| known.place) {
            Some(Place::Queued) => self.release(request),
            Some(Place::Sent(..)) => self.end_in_flight(request),
            None => {}
        }
        // Its worker may have waited for what the client would take.
        self.commands.push_back(Command::Schedule);
    }

    /// What its worker goes on to say to a request is of no interest: if the worker has not begun it, it
    /// will not, and otherwise it ends at its next piece.
    pub(super) fn end_in_flight(&mut self, request: RequestId) {
        let Some(Place::Sent(worker, id)) = self.requests.get(request).map(|known| known.place)
        else {
            return;
        };
        if let Some(slot) = self.slot_mut(worker) {
            slot.flights.end(id);
        }
        self.commands.push_back(Command::MarkGone { worker, id });
    }

    /// Answers one with an error that is in no flight.
    pub(super) fn fail_waiting(&mut self, request: RequestId, why: Failure) {
        self.commands.push_back(Command::Fail { request, why });
        self.release(request);
    }

    /// Forgets a request that is in no flight.
    pub(super) fn release(&mut self, request: RequestId) {
        self.requests.remove(request);
        self.commands.push_back(Command::Release { request });
    }

    /// Answers those that have waited too long.
    pub(super) fn expire(&mut self) {
        while let Some(request) = self.requests.queue.pop_expired(self.now) {
            let why = if self.was_ready { Failure::NoneFree } else { Failure::NoneReady };
            self.fail_waiting(request, why);
        }
        // Where no worker will answer, nobody has to wait.
        while let Some(why) = self.down() {
            let Some(waiting) = self.requests.queue.pop(|_| true) else { break };
            self.fail_waiting(waiting.item, why);
        }
    }

    /// What is said while no worker can answer, if that is so: the application cannot be loaded.
    fn down(&self) -> Option<Failure> {
        if self.problem.is_none() || self.slots().any(WorkerSlot::is_ready) {
            return None;
        }
        let wait = self.not_before.map_or(0, |at| at.saturating_duration_since(self.now).as_secs());
        Some(Failure::CannotLoad(wait + 1))
    }
}

//! A password that nobody has checked yet. bcrypt is slow on purpose, so a helper does it; the
//! request goes on when the password was right.

use super::lock::Lock;
use crate::conf::Level;
use crate::event::admission::{Admission, Limits, Order, Place, QueueLimits, Refusal, TaskQueue};
use crate::event::{Cx, Helped, TaskId};
use crate::http::{Credentials, HttpError, Status};
use crate::serve::{Exchange, ExchangeIo, Request, Step};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// Passwords that are checked at once, and that wait. A check costs a core for a tenth of a second and more, so
/// that guessing could keep all others from getting in: who guesses at many passwords only keeps itself
/// waiting. One helper is left for work of other kinds.
const LIMITS: Limits = Limits {
    places: 3,
    places_per_client: 2,
    queue: QueueLimits {
        waiting: 64,
        waiting_per_client: 16,
        // Far longer than the others take.
        longest: Some(Duration::from_secs(60)),
        order: Order::Turns,
    },
};

/// Bytes of a name that are told; no user has a longer one.
const NAME_SHOWN: usize = 255;

/// Credentials on their way.
pub struct Check {
    lock: Rc<Lock>,
    credentials: Credentials,
    state: State,
}

enum State {
    New,
    Waiting(Place),
    Started {
        /// Held while it counts.
        place: Place,
        right: Helped<bool>,
    },
}

impl Check {
    pub(super) fn new(lock: Rc<Lock>, credentials: Credentials) -> Self {
        Self { lock, credentials, state: State::New }
    }

    /// Checks it here and now, which takes a while: for explanations. Returns the user.
    ///
    /// # Errors
    /// 401: it is wrong.
    pub fn make(&self, request: &Request) -> Result<Rc<str>, HttpError> {
        let (hash, is_user) = self.lock.hash(self.credentials.user());
        let right = bcrypt::verify(self.credentials.password(), &hash).unwrap_or(false);
        match right && is_user {
            true => Ok(self.credentials.user().into()),
            false => Err(self.wrong(request)),
        }
    }

    /// The queue of a site.
    pub(super) fn queue() -> TaskQueue {
        TaskQueue::new(Admission::new(LIMITS))
    }

    fn wrong(&self, request: &Request) -> HttpError {
        let (user, peer) = (self.credentials.user(), request.peer);
        // A name may be as long as a head. Whoever shows it escapes what has to be.
        let ends = user.char_indices().map(|(at, c)| at + c.len_utf8());
        let end = ends.take_while(|end| *end <= NAME_SHOWN).last().unwrap_or(0);
        let shown = user.get(..end).unwrap_or_default();
        let more = if shown.len() < user.len() { "..." } else { "" };
        self.lock.refuse(format!("wrong user name or password for \"{shown}\"{more} from {peer}"))
    }

    /// Has a helper compare the password.
    fn start(&self, place: Place, task: TaskId, cx: &mut Cx) -> Result<State, HttpError> {
        let (hash, is_user) = self.lock.hash(self.credentials.user());
        let password = self.credentials.password().to_owned();
        let work = place.hold();
        let right = Helped::begin(task, cx, move || {
            let is_right = bcrypt::verify(&password, &hash).unwrap_or(false) && is_user;
            // The place is free before anybody can know.
            drop(work);
            is_right
        });
        Ok(State::Started { place, right: right.map_err(|_| busy(Refusal::Full))? })
    }

    fn step(&mut self, io: &mut ExchangeIo<'_>, cx: &mut Cx) -> Result<Option<Step>, HttpError> {
        match std::mem::replace(&mut self.state, State::New) {
            State::New => {
                let client = io.request.peer.network();
                let place = Place::enter(self.lock.queue(), client, io.task, cx).map_err(busy)?;
                self.state = State::Waiting(place);
            }
            State::Waiting(place) => {
                // Somebody else's check may have been for the same.
                if let Some(user) = self.lock.recall(&self.credentials, cx.now()) {
                    return Ok(Some(Step::Admitted(user)));
                }
                match place.poll(cx.now()) {
                    Poll::Pending => {
                        let again = place.look_again(cx.now()).map(|at| io.until(at));
                        let there = place.until_there();
                        self.state = State::Waiting(place);
                        return Ok(Some(Step::Wait(there.or(again))));
                    }
                    Poll::Ready(Err(refusal)) => return Err(busy(refusal)),
                    Poll::Ready(Ok(())) => self.state = self.start(place, io.task, cx)?,
                }
            }
            State::Started { place, right } => match right.poll() {
                Poll::Ready(Some(true)) => {
                    self.lock.remember(&self.credentials, cx.now());
                    return Ok(Some(Step::Admitted(self.credentials.user().into())));
                }
                Poll::Ready(Some(false)) => {
                    let error = self.wrong(io.request);
                    cx.complain(Level::Warning, error.reason.to_string());
                    return Err(error);
                }
                Poll::Pending => {
                    let until = right.until_done();
                    self.state = State::Started { place, right };
                    return Ok(Some(Step::Wait(until)));
                }
                Poll::Ready(None) => {
                    let why = "a password could not be checked";
                    return Err(HttpError::new(Status::INTERNAL_SERVER_ERROR, why));
                }
            },
        }
        Ok(None)
    }
}

/// Its body is neither read nor asked for: whoever is let in will do that.
impl Exchange for Check {
    fn advance(&mut self, io: &mut ExchangeIo<'_>, cx: &mut Cx) -> Result<Step, HttpError> {
        loop {
            if let Some(step) = self.step(io, cx)? {
                return Ok(step);
            }
        }
    }
}

fn busy(refusal: Refusal) -> HttpError {
    let (status, reason) = match refusal {
        Refusal::FullOfClient => {
            (Status::TOO_MANY_REQUESTS, "too many passwords of this client wait")
        }
        _ => (Status::SERVICE_UNAVAILABLE, "too many passwords wait to be checked"),
    };
    HttpError::new(status, reason).with_header("Retry-After", "2")
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

//! A password that nobody has checked yet. bcrypt is slow on purpose, so a helper does it; the
//! request goes on when the password was right.

use super::lock::Lock;
use crate::conf::Level;
use crate::event::admission::{Admission, Limits, Order, Place, QueueLimits, Refusal};
use crate::event::{ConnId, Cx};
use crate::http::{Credentials, HttpError, Status};
use crate::serve::{Exchange, ExchangeIo, Request, Step};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

/// Which requests have their passwords checked now, and which wait. A check costs a core for a tenth of a
/// second and more, so that guessing could keep all others from getting in: who guesses at many passwords
/// only keeps itself waiting.
pub(super) type VerifyQueue = RefCell<Admission<ConnId>>;

/// One helper is left for work of other kinds.
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
        right: Receiver<bool>,
        /// Dropped when nobody wants to know any more.
        _wanted: Arc<()>,
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
    pub(super) fn queue() -> VerifyQueue {
        RefCell::new(Admission::new(LIMITS))
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
    fn start(&self, place: Place, id: ConnId, cx: &mut Cx) -> Result<State, HttpError> {
        let (hash, is_user) = self.lock.hash(self.credentials.user());
        let password = self.credentials.password().to_owned();
        let (sender, right) = sync_channel(1);
        let (wanted, work) = (Arc::new(()), place.hold());
        let still_wanted: Weak<()> = Arc::downgrade(&wanted);
        let task = move || {
            if still_wanted.strong_count() > 0 {
                let is_right = bcrypt::verify(&password, &hash).unwrap_or(false) && is_user;
                // The place is free before anybody can know.
                drop(work);
                let _ = sender.try_send(is_right);
            }
        };
        cx.help(id, Box::new(task)).map_err(|_| busy(Refusal::Full))?;
        Ok(State::Started { place, right, _wanted: wanted })
    }

    fn step(&mut self, io: &mut ExchangeIo<'_>, cx: &mut Cx) -> Result<Option<Step>, HttpError> {
        match std::mem::replace(&mut self.state, State::New) {
            State::New => {
                let client = io.request.peer.network();
                let place = Place::enter(self.lock.queue(), client, io.id, cx).map_err(busy)?;
                self.state = State::Waiting(place);
            }
            State::Waiting(place) => {
                // Somebody else's check may have been for the same.
                if let Some(user) = self.lock.recall(&self.credentials, cx.now()) {
                    return Ok(Some(Step::Admitted(user)));
                }
                match place.poll(cx.now()) {
                    Poll::Pending => {
                        *io.timer = place.look_again(cx.now());
                        *io.wake_expected = true;
                        self.state = State::Waiting(place);
                        return Ok(Some(Step::Wait));
                    }
                    Poll::Ready(Err(refusal)) => return Err(busy(refusal)),
                    Poll::Ready(Ok(())) => {
                        *io.timer = None;
                        self.state = self.start(place, io.id, cx)?;
                    }
                }
            }
            State::Started { place, right, _wanted } => match right.try_recv() {
                Ok(true) => {
                    self.lock.remember(&self.credentials, cx.now());
                    return Ok(Some(Step::Admitted(self.credentials.user().into())));
                }
                Ok(false) => {
                    let error = self.wrong(io.request);
                    cx.complain(Level::Warning, error.reason.to_string());
                    return Err(error);
                }
                Err(TryRecvError::Empty) => {
                    *io.wake_expected = true;
                    self.state = State::Started { place, right, _wanted };
                    return Ok(Some(Step::Wait));
                }
                Err(TryRecvError::Disconnected) => {
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

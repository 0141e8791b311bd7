//! From one to many: events for everybody who listens.

use crate::event::TaskWaker;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

/// One event of an event stream.
///
/// ```
/// use httpyserver::Event;
///
/// let event = Event::json(&vec![1, 2]).named("numbers");
/// assert_eq!((event.data.as_str(), event.name.as_deref()), ("[1,2]", Some("numbers")));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// What a client sends as `Last-Event-ID` when it comes again. A [`Broadcast`] gives its own.
    pub id: Option<String>,
    /// Its kind; without one it is a `message`.
    pub name: Option<String>,
    /// Its text, several lines as it may be.
    pub data: String,
}

impl Event {
    /// An event with this text.
    ///
    /// ```
    /// use httpyserver::Event;
    ///
    /// assert_eq!(Event::data("hello").data, "hello");
    /// ```
    pub fn data(text: impl Into<String>) -> Self {
        Self { data: text.into(), ..Self::default() }
    }

    /// An event with this value as JSON. What cannot be written as JSON is `null`.
    ///
    /// ```
    /// use httpyserver::Event;
    ///
    /// assert_eq!(Event::json(&("a", 1)).data, r#"["a",1]"#);
    /// ```
    pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> Self {
        Self::data(serde_json::to_string(value).unwrap_or_else(|_| "null".into()))
    }

    /// With a kind.
    ///
    /// ```
    /// use httpyserver::Event;
    ///
    /// assert_eq!(Event::data("7").named("score").name.as_deref(), Some("score"));
    /// ```
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// As it is sent. Line ends within a field would end it, so that they begin another one.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut line = |field: &str, value: &str| {
            // Writing to a Vec does not fail.
            let _ = writeln!(out, "{field}: {value}");
        };
        let one_line = |text: &str| text.replace(['\r', '\n', '\0'], " ");
        if let Some(id) = &self.id {
            line("id", &one_line(id));
        }
        if let Some(name) = &self.name {
            line("event", &one_line(name));
        }
        let text = self.data.replace("\r\n", "\n");
        for part in text.split(['\n', '\r']) {
            line("data", part);
        }
        out.push(b'\n');
    }
}

/// Sends events to all its subscriptions, and remembers the last ones for those who come later or
/// again. On the loop only: what a helper thread has found out is sent after it, in `then`.
///
/// ```
/// use httpyserver::{Broadcast, Event};
///
/// let live = Broadcast::new(2);
/// for n in 1..=3 {
///     live.send(Event::data(n.to_string()));
/// }
/// let mut late = live.subscribe(Some("all"));
/// let seen: Vec<_> = std::iter::from_fn(|| late.next().map(|event| event.data.clone())).collect();
/// assert_eq!(seen, ["2", "3"]); // the backlog is 2
/// assert!(live.subscribe(None).next().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Broadcast(Rc<RefCell<Inner>>);

#[derive(Debug)]
struct Inner {
    backlog: VecDeque<Rc<Event>>,
    kept: usize,
    /// The number of the first event in the backlog.
    first: u64,
    /// Tells the events of this run of the program from those of the one before.
    epoch: u64,
    waiting: HashMap<u64, Rc<TaskWaker>>,
    subscriptions: u64,
}

/// A place in what a [`Broadcast`] sends. See [`Broadcast::subscribe`].
///
/// ```
/// use httpyserver::{Broadcast, Event, Subscription};
///
/// let news = Broadcast::new(10);
/// let mut place: Subscription = news.subscribe(None);
/// news.send(Event::data("one"));
/// assert_eq!(place.next().unwrap().data, "one");
/// ```
#[derive(Debug)]
pub struct Subscription {
    inner: Rc<RefCell<Inner>>,
    number: u64,
    next: u64,
}

impl Broadcast {
    /// A broadcast that remembers the last `kept` events, at least one. Who is slower than that
    /// misses some.
    ///
    /// ```
    /// use httpyserver::{Broadcast, Event};
    ///
    /// let news = Broadcast::new(1);
    /// news.send(Event::data("one"));
    /// news.send(Event::data("two"));
    /// assert_eq!(news.subscribe(Some("all")).next().unwrap().data, "two");
    /// ```
    pub fn new(kept: usize) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(Rc::new(RefCell::new(Inner {
            backlog: VecDeque::new(),
            kept: kept.max(1),
            first: 0,
            epoch: since.as_millis() as u64,
            waiting: HashMap::new(),
            subscriptions: 0,
        })))
    }

    /// Sends an event to everybody, and returns the id it was given.
    ///
    /// ```
    /// use httpyserver::{Broadcast, Event};
    ///
    /// let news = Broadcast::new(10);
    /// let mut place = news.subscribe(None);
    /// let id = news.send(Event::data("one"));
    /// assert_eq!(place.next().unwrap().id, Some(id));
    /// ```
    pub fn send(&self, mut event: Event) -> String {
        let mut inner = self.0.borrow_mut();
        let number = inner.end();
        let id = format!("{:x}-{number}", inner.epoch);
        event.id = Some(id.clone());
        if inner.backlog.len() == inner.kept {
            inner.backlog.pop_front();
            inner.first += 1;
        }
        inner.backlog.push_back(Rc::new(event));
        for (_, waker) in inner.waiting.drain() {
            waker.wake();
        }
        id
    }

    /// A subscription to what is sent from now on; with the id of an event, to what was sent after
    /// it as far as it is remembered; with any other text (`"all"`, or an id from before the program
    /// was started), to all that is remembered.
    ///
    /// ```
    /// use httpyserver::{Broadcast, Event};
    ///
    /// let news = Broadcast::new(10);
    /// let first = news.send(Event::data("one"));
    /// news.send(Event::data("two"));
    /// assert!(news.subscribe(None).next().is_none());
    /// assert_eq!(news.subscribe(Some(&first)).next().unwrap().data, "two");
    /// assert_eq!(news.subscribe(Some("all")).next().unwrap().data, "one");
    /// ```
    pub fn subscribe(&self, after: Option<&str>) -> Subscription {
        let mut inner = self.0.borrow_mut();
        let next = match after {
            None => inner.end(),
            Some(id) => inner.after(id),
        };
        inner.subscriptions += 1;
        Subscription { inner: Rc::clone(&self.0), number: inner.subscriptions, next }
    }

    /// How many wait for an event now.
    ///
    /// ```
    /// use httpyserver::{App, Broadcast, Reply};
    ///
    /// let news = Broadcast::new(10);
    /// let (heard, count) = (news.clone(), news.clone());
    /// let app = App::new()
    ///     .get("/", move |_| Reply::events(heard.subscribe(None)))
    ///     .get("/count", move |_| count.waiting().to_string());
    /// let client = app.test();
    /// client.get("/").until_idle(); // comes, waits, and leaves
    /// assert_eq!(client.get("/count").send().text(), "0");
    /// ```
    pub fn waiting(&self) -> usize {
        self.0.borrow().waiting.len()
    }
}

impl Inner {
    /// The number that the next event will have.
    fn end(&self) -> u64 {
        self.first + self.backlog.len() as u64
    }

    fn after(&self, id: &str) -> u64 {
        let number = id.split_once('-').and_then(|(epoch, number)| {
            let same = u64::from_str_radix(epoch, 16) == Ok(self.epoch);
            number.parse::<u64>().ok().filter(|_| same)
        });
        // An id that was never given is somebody's invention: it gets what everybody gets.
        let number = number.filter(|number| *number < self.end());
        number.map_or(self.first, |number| (number + 1).max(self.first))
    }
}

impl Subscription {
    /// The next event, if it was sent already.
    ///
    /// ```
    /// use httpyserver::{Broadcast, Event};
    ///
    /// let news = Broadcast::new(10);
    /// let mut place = news.subscribe(None);
    /// assert!(place.next().is_none());
    /// news.send(Event::data("one"));
    /// assert_eq!(place.next().unwrap().data, "one");
    /// assert!(place.next().is_none());
    /// ```
    #[allow(clippy::should_implement_trait)] // an iterator that has ended stays at its end
    pub fn next(&mut self) -> Option<Rc<Event>> {
        let inner = self.inner.borrow();
        self.next = self.next.max(inner.first);
        let event = inner.backlog.get(usize::try_from(self.next - inner.first).ok()?)?;
        self.next += 1;
        Some(Rc::clone(event))
    }

    /// The next event; without one, a task that is woken as soon as there is.
    pub(super) fn next_or_wake(&mut self, waker: &Rc<TaskWaker>) -> Option<Rc<Event>> {
        let event = self.next();
        if event.is_none() {
            self.inner.borrow_mut().waiting.insert(self.number, Rc::clone(waker));
        }
        event
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.inner.borrow_mut().waiting.remove(&self.number);
    }
}

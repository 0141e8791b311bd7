//! Answers in time: driven by the clock, or by events.

use super::broadcast::{Event, Subscription};
use super::out::{IntoNext, Next, Out, Producer};
use super::reply::{Body, Waiter};
use super::{IntoReply, Reply, Result};
use crate::event::TaskWaker;
use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

struct Closure<F> {
    produce: F,
    is_events: bool,
}

impl<F, N> Producer for Closure<F>
where
    F: FnMut(&mut Out<'_>) -> N,
    N: IntoNext,
{
    fn produce(&mut self, out: &mut Out<'_>) -> Result<Next> {
        (self.produce)(out).into_next()
    }

    fn heartbeat(&self) -> Option<Duration> {
        self.is_events.then_some(HEARTBEAT)
    }

    fn is_endless(&self) -> bool {
        self.is_events
    }
}

/// An event stream of a subscription.
struct Events(Subscription);

impl Producer for Events {
    fn produce(&mut self, out: &mut Out<'_>) -> Result<Next> {
        while let Some(event) = out.next(&mut self.0) {
            out.event(&event);
            if out.buffer.len() >= PIECE {
                return Ok(Next::More);
            }
        }
        Ok(Next::Wait)
    }

    fn heartbeat(&self) -> Option<Duration> {
        Some(HEARTBEAT)
    }

    fn is_endless(&self) -> bool {
        true
    }
}

struct LongPoll<F> {
    subscription: Subscription,
    patience: Duration,
    answer: Option<F>,
}

impl<F, R> Waiter for LongPoll<F>
where
    F: FnOnce(&[Rc<Event>]) -> R,
    R: IntoReply,
{
    fn poll(&mut self, waker: &Rc<TaskWaker>, over: bool) -> Option<Reply> {
        let mut events = Vec::new();
        while let Some(event) = self.subscription.next_or_wake(waker) {
            events.push(event);
        }
        if events.is_empty() && !over {
            return None;
        }
        Some(self.answer.take()?(&events).into_reply())
    }

    fn patience(&self) -> Duration {
        self.patience
    }
}

impl Reply {
    /// Bytes in time: `produce` is called, writes something, and says when to be called again. It
    /// is not called while the client takes nothing, so that a slow client costs no memory.
    ///
    /// ```
    /// use httpyserver::{App, Next, Reply};
    /// use std::io::Write;
    ///
    /// let app = App::new().get("/", |_| {
    ///     let mut lines = ["one", "two"].into_iter();
    ///     Reply::stream("text/plain", move |out| -> std::io::Result<Next> {
    ///         let Some(line) = lines.next() else { return Ok(Next::End) };
    ///         writeln!(out, "{line}")?;
    ///         Ok(Next::More)
    ///     })
    /// });
    /// assert_eq!(app.test().get("/").send().text(), "one\ntwo\n");
    /// ```
    pub fn stream<F, N>(content_type: impl Into<Cow<'static, str>>, produce: F) -> Self
    where
        F: FnMut(&mut Out<'_>) -> N + 'static,
        N: IntoNext,
    {
        Self::of_body(Body::Stream(Box::new(Closure { produce, is_events: false })))
            .with_type(content_type)
    }

    /// An event stream (`text/event-stream`) made by a closure.
    ///
    /// ```
    /// use httpyserver::{App, Event, Next, Reply};
    /// use std::time::Duration;
    ///
    /// let app = App::new().get("/clock", |_| {
    ///     let mut n = 0;
    ///     Reply::event_stream(move |out| {
    ///         n += 1;
    ///         out.event(&Event::data(n.to_string()));
    ///         if n < 2 { Next::After(Duration::from_millis(1)) } else { Next::End }
    ///     })
    /// });
    /// assert_eq!(app.test().get("/clock").send().text(), "data: 1\n\ndata: 2\n\n");
    /// ```
    pub fn event_stream<F, N>(produce: F) -> Self
    where
        F: FnMut(&mut Out<'_>) -> N + 'static,
        N: IntoNext,
    {
        Self::of_events(Box::new(Closure { produce, is_events: true }))
    }

    /// An event stream of what a [`Broadcast`](super::Broadcast) sends: what was missed, then what
    /// comes.
    ///
    /// ```
    /// use httpyserver::{App, Broadcast, Event, Reply};
    ///
    /// let live = Broadcast::new(100);
    /// let (sender, receiver) = (live.clone(), live);
    /// let client = App::new()
    ///     .post("/say", move |request| -> httpyserver::Result<String> {
    ///         Ok(sender.send(Event::data(request.text()?)))
    ///     })
    ///     .get("/events", move |request| Reply::events(receiver.subscribe(request.last_event_id())))
    ///     .test();
    /// client.post("/say").body("hello").send();
    /// let answer = client.get("/events").header("Last-Event-ID", "all").until_idle();
    /// assert!(answer.text().ends_with("data: hello\n\n"));
    /// ```
    pub fn events(subscription: Subscription) -> Self {
        Self::of_events(Box::new(Events(subscription)))
    }

    fn of_events(producer: Box<dyn Producer>) -> Self {
        let mut reply = Self::of_body(Body::Stream(producer)).with_type("text/event-stream");
        reply.set_header("Cache-Control", "no-cache");
        // Proxies that gather answers before they pass them on would gather this one for ever.
        reply.set_header("X-Accel-Buffering", "no");
        reply
    }

    /// Waits until a subscription has something, for at most `patience`, and answers with what
    /// there then is: long polling.
    ///
    /// ```
    /// use httpyserver::{App, Broadcast, Event, Json, Reply};
    /// use std::time::Duration;
    ///
    /// let live = Broadcast::new(100);
    /// live.send(Event::data("first"));
    /// let app = App::new().get("/poll", move |request| {
    ///     let since = request.args().get("since").or(Some("all"));
    ///     Reply::long_poll(live.subscribe(since), Duration::from_secs(25), |events| {
    ///         Json(events.iter().map(|event| event.data.clone()).collect::<Vec<_>>())
    ///     })
    /// });
    /// assert_eq!(app.test().get("/poll").send().text(), r#"["first"]"#);
    /// ```
    pub fn long_poll<F, R>(subscription: Subscription, patience: Duration, answer: F) -> Self
    where
        F: FnOnce(&[Rc<Event>]) -> R + 'static,
        R: IntoReply,
    {
        let answer = Some(answer);
        Self::of_body(Body::Waiting(Box::new(LongPoll { subscription, patience, answer })))
    }
}

/// Between two signs of life: below the idle time-outs of proxies, which are a minute or half.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Events written before the client is asked whether it keeps up.
const PIECE: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::App;

    /// Says something, and waits for long.
    struct Quiet;

    impl Producer for Quiet {
        fn produce(&mut self, out: &mut Out<'_>) -> Result<Next> {
            out.event(&Event::data("hello"));
            Ok(Next::After(Duration::from_secs(3600)))
        }

        fn heartbeat(&self) -> Option<Duration> {
            Some(Duration::from_millis(2))
        }
    }

    #[test]
    fn an_event_stream_that_waits_for_the_clock_gives_signs_of_life() {
        let client = App::new().get("/", |_| Reply::of_events(Box::new(Quiet))).test();
        let text = client.get("/").for_at_most(Duration::from_millis(500)).text();
        assert!(text.starts_with("data: hello\n\n:\n\n:\n\n"), "{text}");
        assert_eq!(text.matches("hello").count(), 1, "{text}");
    }
}

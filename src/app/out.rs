//! What makes the bytes of a stream, where it writes them, and when it is called again.

use super::broadcast::{Event, Subscription};
use super::{Error, Result};
use crate::event::TaskWaker;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

/// When a stream is called again.
///
/// ```
/// use httpyserver::{App, Next, Reply};
/// use std::io::Write;
/// use std::time::Duration;
///
/// let app = App::new().get("/", |_| {
///     let mut left = 3;
///     Reply::stream("text/plain", move |out| -> std::io::Result<Next> {
///         left -= 1;
///         write!(out, "{left} ")?;
///         Ok(if left > 0 { Next::After(Duration::from_millis(1)) } else { Next::End })
///     })
/// });
/// assert_eq!(app.test().get("/").send().text(), "2 1 0 ");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// As soon as the client has taken enough of what was written. After a call that wrote nothing,
    /// others have their turn first.
    More,
    /// After a while.
    After(Duration),
    /// When a subscription that was found empty has something ([`Out::next`]).
    Wait,
    /// Not at all: that was all.
    End,
}

/// What a stream may return.
///
/// ```
/// use httpyserver::{App, Next, Reply};
///
/// let app = App::new()
///     .get("/a", |_| Reply::stream("text/plain", |_| Next::End))
///     .get("/b", |_| Reply::stream("text/plain", |_| Ok::<_, std::io::Error>(Next::End)));
/// let client = app.test();
/// assert_eq!(client.get("/a").send().text(), client.get("/b").send().text());
/// ```
pub trait IntoNext {
    /// When it is called again.
    ///
    /// # Errors
    /// The stream has failed, and is cut off.
    fn into_next(self) -> Result<Next>;
}

impl IntoNext for Next {
    fn into_next(self) -> Result<Next> {
        Ok(self)
    }
}

impl<E: Into<Error>> IntoNext for Result<Next, E> {
    fn into_next(self) -> Result<Next> {
        self.map_err(Into::into)
    }
}

/// Where a stream writes. What is written is sent when the closure returns.
///
/// ```
/// use httpyserver::{App, Next, Reply};
/// use std::io::Write;
///
/// let app = App::new().get("/count", |_| {
///     let mut n = 0;
///     Reply::stream("text/plain", move |out| {
///         n += 1;
///         writeln!(out, "{n}")?;
///         Ok::<_, std::io::Error>(if n < 3 { Next::More } else { Next::End })
///     })
/// });
/// assert_eq!(app.test().get("/count").send().text(), "1\n2\n3\n");
/// ```
pub struct Out<'a> {
    pub(super) buffer: &'a mut Vec<u8>,
    pub(super) waker: &'a Rc<TaskWaker>,
}

impl Out<'_> {
    /// Writes an event of an event stream.
    ///
    /// ```
    /// use httpyserver::{App, Event, Next, Reply};
    ///
    /// let app = App::new().get("/", |_| {
    ///     Reply::event_stream(|out| {
    ///         out.event(&Event::data("7").named("score"));
    ///         Next::End
    ///     })
    /// });
    /// assert_eq!(app.test().get("/").send().text(), "event: score\ndata: 7\n\n");
    /// ```
    pub fn event(&mut self, event: &Event) {
        event.write(self.buffer);
    }

    /// Writes a line that clients of an event stream ignore: it shows that somebody is there.
    ///
    /// ```
    /// use httpyserver::{App, Next, Reply};
    ///
    /// let app = App::new().get("/", |_| {
    ///     Reply::event_stream(|out| {
    ///         out.comment("still here");
    ///         Next::End
    ///     })
    /// });
    /// assert_eq!(app.test().get("/").send().text(), ": still here\n\n");
    /// ```
    pub fn comment(&mut self, text: &str) {
        for line in text.split(['\r', '\n']) {
            self.buffer.extend_from_slice(b": ");
            self.buffer.extend_from_slice(line.as_bytes());
            self.buffer.push(b'\n');
        }
        self.buffer.push(b'\n');
    }

    /// The next event of a subscription; without one, the stream may return [`Next::Wait`] and is
    /// called again when there is.
    ///
    /// ```
    /// use httpyserver::{App, Broadcast, Event, Next, Reply};
    /// use std::io::Write;
    ///
    /// let news = Broadcast::new(10);
    /// let heard = news.clone();
    /// let app = App::new()
    ///     .get("/news", move |_| {
    ///         let mut subscription = heard.subscribe(Some("all"));
    ///         Reply::stream("text/plain", move |out| {
    ///             while let Some(event) = out.next(&mut subscription) {
    ///                 writeln!(out, "{}", event.data)?;
    ///             }
    ///             Ok::<_, std::io::Error>(Next::Wait)
    ///         })
    ///     });
    /// news.send(Event::data("it works"));
    /// assert_eq!(app.test().get("/news").until_idle().text(), "it works\n");
    /// ```
    pub fn next(&mut self, subscription: &mut Subscription) -> Option<Rc<Event>> {
        subscription.next_or_wake(self.waker)
    }
}

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What makes a stream's bytes.
pub(super) trait Producer {
    /// Writes some.
    fn produce(&mut self, out: &mut Out<'_>) -> Result<Next>;

    /// How long silence may last before something is sent that means nothing.
    fn heartbeat(&self) -> Option<Duration> {
        None
    }

    /// Whether it may end whenever the server does: its clients come again.
    fn is_endless(&self) -> bool {
        false
    }
}

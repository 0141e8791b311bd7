//! Descriptors that the poll knows, whose they are, and what may succeed on them.
//!
//! The sockets of clients are not among them: their tokens name their connections, which keep their
//! readiness beside their buffers.

use super::{Readiness, ServiceId, Target, TaskId, Until};
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;

/// Who is told of events of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A task: it is advanced.
    Task(TaskId),
    /// A service, which knows the source by a number.
    Service(ServiceId, u16),
    /// The program of this number among `Children`.
    Child(u32),
    /// The watch over the folders of the certificates.
    Certificates,
}

/// The name of a source in its token. The generation tells the tenants of a slot apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceId {
    /// The slot.
    pub index: u32,
    /// 24 bits, counted up with each source.
    pub generation: u32,
}

/// All sources.
#[derive(Clone)]
pub struct Sources(Rc<Table>);

struct Table {
    registry: Registry,
    slots: RefCell<Slots>,
}

#[derive(Default)]
struct Slots {
    /// Each with its generation.
    slab: Slab<(u32, Rc<State>)>,
    generation: u32,
}

/// What the table and the source itself know of it.
struct State {
    owner: Cell<Owner>,
    readiness: Cell<Readiness>,
}

/// A descriptor in the table of sources, and in the poll once, for all directions that matter, for
/// life. Reading and writing through it clear its readiness when they meet WouldBlock; giving it to
/// another owner costs no system call. When it is dropped, it leaves the table, and closing the
/// descriptor takes it out of the poll.
pub struct Source<F> {
    io: F,
    id: SourceId,
    state: Rc<State>,
    sources: Sources,
    is_registered: bool,
}

impl Sources {
    /// None yet, in the poll of `registry`.
    pub fn new(registry: Registry) -> Self {
        Self(Rc::new(Table { registry, slots: RefCell::default() }))
    }

    /// The registry, for what is no source: listeners, signals, sockets of clients.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// Adds a descriptor that never waits. It is not tried before an event tells that there is something.
    ///
    /// # Errors
    /// What `epoll_ctl` says: no memory, too many watches.
    pub fn add<F: AsFd>(&self, io: F, owner: Owner, interest: Interest) -> io::Result<Source<F>> {
        let mut source = self.add_untried(io, owner);
        source.register(interest)?;
        source.state.readiness.take();
        Ok(source)
    }

    /// Adds a descriptor that is tried before the poll hears of it: see [`Source::register`].
    pub fn add_untried<F: AsFd>(&self, io: F, owner: Owner) -> Source<F> {
        let slots = &mut *self.0.slots.borrow_mut();
        slots.generation = (slots.generation + 1) % SourceId::GENERATIONS;
        let generation = slots.generation;
        let state =
            Rc::new(State { owner: Cell::new(owner), readiness: Cell::new(Readiness::UNTRIED) });
        let index = slots.slab.insert((generation, Rc::clone(&state)));
        let id = SourceId { index: u32::try_from(index).unwrap_or(u32::MAX), generation };
        Source { io, id, state, sources: self.clone(), is_registered: false }
    }

    /// Notes what a source has become ready for. Returns its owner; `None`: it is gone.
    pub fn mark(&self, id: SourceId, ready: Readiness) -> Option<Owner> {
        let slots = self.0.slots.borrow();
        let (generation, state) = slots.slab.get(id.index as usize)?;
        if *generation != id.generation {
            return None;
        }
        state.change(|readiness| readiness.add(ready));
        Some(state.owner.get())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.slots.borrow().slab.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl SourceId {
    /// The generations there are before they begin again.
    pub const GENERATIONS: u32 = 1 << 24;
}

impl<F> Source<F> {
    /// What it is.
    pub fn get_ref(&self) -> &F {
        &self.io
    }

    /// Whether a read may succeed.
    pub fn is_readable(&self) -> bool {
        self.state.readiness.get().is_readable()
    }

    /// Whether a write may succeed.
    pub fn is_writable(&self) -> bool {
        self.state.readiness.get().is_writable()
    }

    /// Has it read even without an event: its last bytes may not have made one yet.
    pub fn assume_readable(&self) {
        self.state.change(Readiness::set_readable);
    }

    /// A read has taken all there was: the next data make an event. Not so when the peer has closed,
    /// for that event has come together with the last data.
    pub fn note_short_read(&self) {
        if !self.state.readiness.get().is_closed() {
            self.state.change(Readiness::clear_readable);
        }
    }

    /// A write has filled what there was room for.
    pub fn note_short_write(&self) {
        self.state.change(Readiness::clear_writable);
    }

    /// Tells somebody else of its events from now on. What it was found ready for stays.
    pub fn give_to(&self, owner: Owner) {
        self.state.owner.set(owner);
    }

    /// What its owner waits for until there is something to read.
    pub fn until_readable(&self) -> Until {
        if self.is_readable() { Until::over() } else { Until::armed() }
    }

    /// What its owner waits for until it takes something.
    pub fn until_writable(&self) -> Until {
        if self.is_writable() { Until::over() } else { Until::armed() }
    }

    /// Reads by `call`, if that may succeed. Otherwise, and if it does not, WouldBlock.
    ///
    /// # Errors
    /// Those of `call`.
    pub fn read_by<T>(&mut self, call: impl FnMut(&mut F) -> io::Result<T>) -> io::Result<T> {
        match self.is_readable() {
            true => self.attempt(call, Readiness::clear_readable),
            false => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// As `read_by`, writing.
    ///
    /// # Errors
    /// Those of `call`.
    pub fn write_by<T>(&mut self, call: impl FnMut(&mut F) -> io::Result<T>) -> io::Result<T> {
        match self.is_writable() {
            true => self.attempt(call, Readiness::clear_writable),
            false => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn attempt<T>(
        &mut self,
        mut call: impl FnMut(&mut F) -> io::Result<T>,
        clear: fn(&mut Readiness),
    ) -> io::Result<T> {
        loop {
            match call(&mut self.io) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.state.change(clear);
                    return Err(error);
                }
                result => return result,
            }
        }
    }
}

impl State {
    fn change(&self, change: impl FnOnce(&mut Readiness)) {
        let mut readiness = self.readiness.get();
        change(&mut readiness);
        self.readiness.set(readiness);
    }
}

impl<F: AsFd> Source<F> {
    /// Has the poll tell of it from now on, if it does not yet.
    ///
    /// # Errors
    /// As [`Sources::add`].
    pub fn register(&mut self, interest: Interest) -> io::Result<()> {
        if !self.is_registered {
            let token = Target::Source(self.id).token();
            let fd = self.io.as_fd().as_raw_fd();
            self.sources.registry().register(&mut SourceFd(&fd), token, interest)?;
            self.is_registered = true;
        }
        Ok(())
    }
}

impl<F: Read> Read for Source<F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.read_by(|io| io.read(into))
    }
}

impl<F: Write> Write for Source<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_by(|io| io.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.io.flush()
    }
}

impl<F> Drop for Source<F> {
    fn drop(&mut self) {
        self.sources.0.slots.borrow_mut().slab.try_remove(self.id.index as usize);
    }
}

impl<F: fmt::Debug> fmt::Debug for Source<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("io", &self.io).field("id", &self.id).finish()
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("len", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ConnId, Event};
    use mio::{Events, Poll};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    fn task(index: u32) -> Owner {
        Owner::Task(TaskId { conn: ConnId { index, generation: 1 }, stream: 0 })
    }

    /// The owners of what happens within a moment.
    fn owners(poll: &mut Poll, sources: &Sources) -> Vec<Owner> {
        let mut events = Events::with_capacity(8);
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        let owner = |event| {
            let Event { target, readiness } = Event::of(event)?;
            let Target::Source(id) = target else { return None };
            sources.mark(id, readiness)
        };
        events.iter().filter_map(owner).collect()
    }

    #[test]
    fn a_source_clears_its_own_readiness_and_changes_hands() {
        let mut poll = Poll::new().unwrap();
        let sources = Sources::new(poll.registry().try_clone().unwrap());
        let (near, mut far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let mut source = sources.add(near, task(1), Interest::READABLE).unwrap();
        let mut piece = [0; 8];
        assert!(!source.is_readable() && !source.until_readable().is_over());
        assert!(source.read(&mut piece).is_err());
        far.write_all(b"one").unwrap();
        assert_eq!(owners(&mut poll, &sources), [task(1)]);
        assert!(source.until_readable().is_over());
        assert_eq!(source.read(&mut piece).unwrap(), 3);
        assert!(source.is_readable(), "only WouldBlock says that there is no more");
        assert_eq!(source.read(&mut piece).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(!source.is_readable());
        source.give_to(task(2));
        far.write_all(b"two").unwrap();
        assert_eq!(owners(&mut poll, &sources), [task(2)]);
        far.write_all(b"three").unwrap();
        drop(source);
        assert!(sources.is_empty() && owners(&mut poll, &sources).is_empty());
    }

    #[test]
    fn an_event_of_a_former_source_reaches_nobody() {
        let mut poll = Poll::new().unwrap();
        let sources = Sources::new(poll.registry().try_clone().unwrap());
        let (near, mut far) = UnixStream::pair().unwrap();
        // The descriptor stays open elsewhere, and with it its place in the poll.
        let former = sources.add(near.try_clone().unwrap(), task(1), Interest::READABLE).unwrap();
        drop(former);
        let (other, _other_far) = UnixStream::pair().unwrap();
        let present = sources.add_untried(other, task(2));
        far.write_all(b"late").unwrap();
        assert!(owners(&mut poll, &sources).is_empty());
        assert!(present.is_readable() && sources.len() == 1);
    }
}

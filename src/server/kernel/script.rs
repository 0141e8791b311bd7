//! A kernel that does what a test says. Time passes when it is told to; what happens is told at the
//! next wait, once, as an edge-triggered poll tells it.

use super::{Arrival, ListenSocket};
use crate::conf::Place;
use crate::event::{Clock, ConnId, Event, Readiness, Target};
use crate::net::{SharedScript, Transport};
use crate::server::control::Order;
use crate::sys::socket::ListenAddress;
use mio::{Poll, Registry};
use std::cell::{RefCell, RefMut};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The kernel of a simulation: the loop and its test hold it together.
#[derive(Clone)]
pub struct Scripted {
    state: Rc<RefCell<State>>,
    /// For what needs a registry. Nothing of it is ever waited for.
    poll: Rc<Poll>,
}

struct State {
    now: Instant,
    wall: SystemTime,
    events: Vec<Event>,
    orders: Vec<Order>,
    queues: Vec<Rc<RefCell<Waiting>>>,
    /// Clients whose sockets are watched, and under which name.
    watched: Vec<(SharedScript, ConnId)>,
    /// Ports on which somebody else listens.
    taken: Vec<u16>,
}

/// Those who wait at a listener. It is closed when it is dropped.
#[derive(Debug)]
pub struct Queue {
    waiting: Rc<RefCell<Waiting>>,
    address: ListenAddress,
}

#[derive(Debug)]
struct Waiting {
    port: u16,
    /// The number by which the loop knows the listener, once it watches it.
    number: Option<u32>,
    clients: VecDeque<io::Result<Arrival>>,
    is_open: bool,
}

impl Scripted {
    /// A kernel where nothing has happened yet.
    pub fn new() -> Self {
        let state = State {
            now: Instant::now(),
            wall: UNIX_EPOCH + Duration::from_secs(1_791_640_536),
            events: Vec::new(),
            orders: Vec::new(),
            queues: Vec::new(),
            watched: Vec::new(),
            taken: Vec::new(),
        };
        Self { state: Rc::new(RefCell::new(state)), poll: Rc::new(Poll::new().unwrap()) }
    }

    fn state(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }

    /// Lets time pass.
    pub fn pass(&self, span: Duration) {
        let mut state = self.state();
        state.now += span;
        state.wall += span;
    }

    /// A client comes to the listener of that port. It is refused where there is none.
    pub fn connect(&self, port: u16, peer: SocketAddr, transport: Transport) {
        self.queue(port, Ok(Arrival { transport, peer: Some(peer) }));
    }

    /// The next call of `accept` fails.
    pub fn fail_accept(&self, port: u16, error: io::Error) {
        self.queue(port, Err(error));
    }

    fn queue(&self, port: u16, client: io::Result<Arrival>) {
        let mut state = self.state();
        let number = state.open(port).and_then(|queue| {
            let mut queue = queue.borrow_mut();
            queue.clients.push_back(client);
            queue.number
        });
        if let Some(number) = number {
            let readiness = Readiness::of_script(true, false, false, false);
            state.events.push(Event { target: Target::Listener(number), readiness });
        }
    }

    /// How many wait to be accepted.
    pub fn waiting(&self, port: u16) -> usize {
        self.state().open(port).map_or(0, |queue| queue.borrow().clients.len())
    }

    /// Whether somebody listens.
    pub fn is_listening(&self, port: u16) -> bool {
        self.state().open(port).is_some()
    }

    /// From now on somebody else has that port.
    pub fn take_port(&self, port: u16) {
        self.state().taken.push(port);
    }

    /// Something has happened to a client's socket: all that it is ready for is told. Nothing is if
    /// it is not watched.
    pub fn edge(&self, client: &SharedScript) {
        let mut state = self.state();
        let id = state.watched.iter().find(|(other, _)| other.is(client)).map(|(_, id)| *id);
        if let Some(id) = id {
            state.events.push(edge(client, id));
        }
    }

    /// Has something told.
    pub fn tell(&self, event: Event) {
        self.state().events.push(event);
    }

    /// Whether something is to be told of a client.
    pub fn has_edge(&self, id: ConnId) -> bool {
        self.state().events.iter().any(|event| event.target == Target::Connection(id))
    }

    /// Whether something is to be told.
    pub fn has_events(&self) -> bool {
        !self.state().events.is_empty()
    }

    /// The name under which a client's socket is watched.
    pub fn id_of(&self, client: &SharedScript) -> Option<ConnId> {
        self.state().watched.iter().find(|(other, _)| other.is(client)).map(|(_, id)| *id)
    }

    /// Orders something, as a signal does.
    pub fn order(&self, order: Order) {
        let mut state = self.state();
        state.orders.push(order);
        let readiness = Readiness::of_script(true, false, false, false);
        state.events.push(Event { target: Target::Signals, readiness });
    }

    pub(super) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    pub(super) fn take_events(&self, into: &mut Vec<Event>) {
        into.append(&mut self.state().events);
    }

    pub(super) fn tick(&self, clock: &mut Clock) {
        let state = self.state();
        clock.set(state.now, state.wall);
    }

    /// The present.
    pub fn now(&self) -> Instant {
        self.state().now
    }

    pub(super) fn take_orders(&self) -> Vec<Order> {
        std::mem::take(&mut self.state().orders)
    }

    pub(super) fn listen(&self, place: &Place) -> io::Result<ListenSocket> {
        let address = match place {
            Place::Any { port } => SocketAddr::from((Ipv4Addr::UNSPECIFIED, *port)),
            Place::Addr(address) => *address,
            Place::Unix(_) => return Err(ErrorKind::Unsupported.into()),
        };
        let (port, mut state) = (address.port(), self.state());
        if state.taken.contains(&port) || state.open(port).is_some() {
            return Err(ErrorKind::AddrInUse.into());
        }
        let waiting = Waiting { port, number: None, clients: VecDeque::new(), is_open: true };
        let waiting = Rc::new(RefCell::new(waiting));
        state.queues.push(Rc::clone(&waiting));
        Ok(ListenSocket::Scripted(Queue { waiting, address: ListenAddress::Ip(address) }))
    }

    pub(super) fn watch_client(&self, transport: &Transport, id: ConnId) -> io::Result<()> {
        let client = transport.script().clone();
        let mut state = self.state();
        // As epoll does, for what is ready when it is asked to watch.
        let event = edge(&client, id);
        state.events.push(event);
        state.watched.push((client, id));
        Ok(())
    }
}

impl State {
    fn open(&self, port: u16) -> Option<&Rc<RefCell<Waiting>>> {
        self.queues.iter().find(|queue| queue.borrow().is_open && queue.borrow().port == port)
    }
}

/// What a socket is ready for, as epoll tells it at each event: all of it.
fn edge(client: &SharedScript, id: ConnId) -> Event {
    let script = client.get();
    let (readable, writable) = (!script.incoming.is_empty(), script.room != Some(0));
    let readiness = Readiness::of_script(readable, writable, script.has_ended(), script.is_gone());
    Event { target: Target::Connection(id), readiness }
}

impl Queue {
    pub(super) fn watch(&self, number: u32) {
        self.waiting.borrow_mut().number = Some(number);
    }

    pub(super) fn accept(&self) -> io::Result<Arrival> {
        let next = self.waiting.borrow_mut().clients.pop_front();
        next.unwrap_or_else(|| Err(ErrorKind::WouldBlock.into()))
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.borrow().clients.is_empty()
    }

    pub(super) fn address(&self) -> &ListenAddress {
        &self.address
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.is_open = false;
        waiting.clients.clear();
    }
}

//! Seeded clients, and what must hold whatever they do.

use super::client::{Client, Piece};
use super::encryption::Encryption;
use super::rng::Rng;
use super::stage::{FILE_LEN, SHARED_LEN};
use super::{ClientId, Ended, PORT, World, stage};
use crate::event::{CHUNK, Event, Readiness, Target};
use crate::net::{Incoming, Keys};
use crate::server::connection::Timeout;
use crate::server::connection::look::{FOREVER, Look};
use crate::server::control::Order;
use crate::site::Site;
use std::rc::Rc;
use std::time::Duration;

#[test]
fn whatever_clients_do() {
    all_runs(300, None);
}

#[test]
fn whatever_clients_do_by_tls() {
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        all_runs(100, Some(&Keys::new(versions)));
    }
}

fn all_runs(runs: u64, keys: Option<&Keys>) {
    let number = |name| std::env::var(name).ok().map(|n| n.parse::<u64>().expect(name));
    if let Some(seed) = number("HTTPYSERVER_SEED") {
        return run(seed, keys);
    }
    for seed in 0..number("HTTPYSERVER_SIM_RUNS").unwrap_or(runs) {
        run(seed, keys);
    }
}

/// Says which seed it was.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to see it again: HTTPYSERVER_SEED={}", self.0);
        }
    }
}

fn run(seed: u64, keys: Option<&Keys>) {
    let named = Seed(seed);
    let mut rng = Rng::new(seed);
    let patient = rng.chance(70);
    let mut play = Play::new(&mut rng, patient, keys);
    for _ in 0..rng.below(400) {
        play.act(&mut rng);
        play.check_step();
    }
    play.finish();
    play.check_end();
    drop(named);
}

/// A world and its clients.
struct Play {
    world: World,
    clients: Vec<(ClientId, Client)>,
    /// What stands between each client and its socket, where TLS is spoken.
    encryptions: Vec<Encryption>,
    /// Clients of whose socket the kernel has something to tell.
    edges: Vec<ClientId>,
    /// Nobody is reaped: the answers are all complete.
    patient: bool,
    /// In the end the server stops.
    stops: bool,
    mood: Mood,
}

fn set_timeouts(site: &mut Site, patient: bool) {
    let short = |ms| Duration::from_millis(ms);
    let timeouts = &mut site.timeouts;
    if patient {
        timeouts.handshake = short(300_000);
        (timeouts.header, timeouts.body) = (short(300_000), short(300_000));
        (timeouts.idle, timeouts.write) = (short(300_000), short(300_000));
        site.limits.min_rate = 0;
    } else {
        timeouts.handshake = short(150);
        (timeouts.header, timeouts.body) = (short(150), short(100));
        (timeouts.idle, timeouts.write) = (short(200), short(100));
    }
}

/// How the clients of a run are: most like to send and to take, some hardly do.
struct Mood {
    sends: usize,
    takes: usize,
    pause_ms: usize,
}

impl Mood {
    fn random(rng: &mut Rng) -> Self {
        let eager = [100, 100, 100, 20, 5];
        Self { sends: rng.pick(&eager), takes: rng.pick(&eager), pause_ms: rng.pick(&[3, 30, 90]) }
    }

    fn sends(&self, rng: &mut Rng) -> bool {
        rng.chance(self.sends)
    }

    fn takes(&self, rng: &mut Rng) -> bool {
        rng.chance(self.takes)
    }

    fn pause(&self, rng: &mut Rng) -> Duration {
        Duration::from_millis(rng.below(self.pause_ms) as u64)
    }
}

impl Play {
    fn new(rng: &mut Rng, patient: bool, keys: Option<&Keys>) -> Self {
        let mut world = World::new(|site| set_timeouts(site, patient));
        let (mut clients, mut encryptions) = (Vec::new(), Vec::new());
        for n in 0..1 + rng.below(3) {
            let id = match keys {
                None => world.come([10, 0, 0, 1]),
                Some(keys) => {
                    let (tls, session) = keys.connect_both();
                    encryptions.push(Encryption::new(session));
                    world.come_by_tls(tls)
                }
            };
            let client = Client::random(rng, 1 + 100 * n, &world.stage);
            if rng.chance(80) {
                world.script(id).room = Some(rng.size());
            }
            clients.push((id, client));
        }
        let mood = Mood::random(rng);
        Self {
            world,
            clients,
            encryptions,
            edges: Vec::new(),
            patient,
            stops: rng.chance(50),
            mood,
        }
    }

    /// Something happens.
    fn act(&mut self, rng: &mut Rng) {
        let which = rng.below(self.clients.len());
        let id = self.clients[which].0;
        match rng.below(100) {
            0..25 if self.mood.sends(rng) => self.arrive(which, rng.size() + 1, rng.chance(3)),
            25..45 if self.mood.takes(rng) => self.make_room(id, rng.size()),
            45..65 => self.deliver(),
            65..85 => self.world.turn(),
            85..93 => self.world.pass(self.mood.pause(rng)),
            93..95 => self.world.wake(id, rng.below(4) as u32),
            95..97 => self.world.grant(),
            97..98 => self.rumour(id),
            98..99 => self.reload(),
            _ => self.world.settle(),
        }
    }

    /// Up to `n` bytes more arrive; `sure`: also from a client that hesitates.
    fn arrive(&mut self, which: usize, n: usize, sure: bool) {
        if !self.encryptions.is_empty() {
            return self.arrive_encrypted(which, n, sure);
        }
        let (id, client) = &mut self.clients[which];
        let mut script = self.world.script(*id);
        match client.outbox.front_mut() {
            None => return,
            Some(Piece::Hesitate) if !sure => return,
            Some(Piece::Hesitate) => {}
            Some(Piece::End) => script.incoming.push_back(Incoming::End),
            Some(Piece::Reset) => script.reset(),
            Some(Piece::Bytes(bytes)) if bytes.len() > n => {
                script.arrive(&bytes[..n]);
                bytes.drain(..n);
                self.edges.push(*id);
                return;
            }
            Some(Piece::Bytes(bytes)) if bytes.is_empty() => {}
            Some(Piece::Bytes(bytes)) => script.arrive(bytes),
        }
        client.outbox.pop_front();
        self.edges.push(*id);
    }

    /// The same by TLS: what is said goes to the client's session, and what that makes of it arrives.
    fn arrive_encrypted(&mut self, which: usize, n: usize, sure: bool) {
        let (id, client) = &mut self.clients[which];
        let encryption = &mut self.encryptions[which];
        let deaf = !self.world.is_open(*id) || self.world.script(*id).closed_by_us;
        encryption.listen(&self.world.script(*id).sent);
        let mut edge = false;
        match client.outbox.front_mut() {
            None => {}
            Some(Piece::Hesitate) if !sure => {}
            Some(Piece::Hesitate) => drop(client.outbox.pop_front()),
            Some(Piece::Bytes(bytes)) => {
                encryption.say(&bytes[..n.min(bytes.len())]);
                bytes.drain(..n.min(bytes.len()));
                if bytes.is_empty() {
                    client.outbox.pop_front();
                }
            }
            Some(Piece::End | Piece::Reset) if !encryption.is_silent() && !deaf => {}
            Some(Piece::End) => {
                self.world.script(*id).incoming.push_back(Incoming::End);
                client.outbox.pop_front();
                edge = true;
            }
            Some(Piece::Reset) => {
                self.world.script(*id).reset();
                client.outbox.pop_front();
                edge = true;
            }
        }
        encryption.listen(&self.world.script(*id).sent);
        if !self.world.script(*id).has_ended() {
            edge |= encryption.arrive(&self.world, *id, n);
        }
        if edge {
            self.edges.push(*id);
        }
    }

    /// Whether all that a client has said has arrived.
    fn has_arrived(&self, which: usize) -> bool {
        let id = self.clients[which].0;
        let deaf = !self.world.is_open(id) || self.world.script(id).has_ended();
        deaf || self.encryptions.get(which).is_none_or(Encryption::is_silent)
    }

    /// The client takes something, which is an event only if a write has met the end before.
    fn make_room(&mut self, id: ClientId, n: usize) {
        let script = &mut *self.world.script(id);
        let Some(room) = &mut script.room else { return };
        *room += n;
        if *room > 0 && std::mem::take(&mut script.blocked) {
            self.edges.push(id);
        }
    }

    /// The poll returns.
    fn deliver(&mut self) {
        for id in std::mem::take(&mut self.edges) {
            self.world.deliver(id);
        }
    }

    /// Another site, which is as the one before.
    fn reload(&self) {
        let (stage, patient) = (self.world.stage.clone(), self.patient);
        self.world.prepare(move || {
            let mut site = stage::site(&stage);
            set_timeouts(&mut site, patient);
            Ok((site, PORT))
        });
        self.world.kernel.order(Order::Reload);
    }

    /// Bits that mean nothing.
    fn rumour(&self, id: ClientId) {
        if let Some(id) = self.world.id(id) {
            let readiness = Readiness::UNTRIED;
            self.world.kernel.tell(Event { target: Target::Connection(id), readiness });
        }
    }

    /// What must hold after every step.
    fn check_step(&mut self) {
        let now = self.world.kernel.now();
        for (id, _) in &self.clients {
            let is_told = self.world.id(*id).is_some_and(|id| self.world.kernel.has_edge(id));
            let waits_for_event = is_told || self.edges.contains(id);
            let Some(connection) = self.world.connection(*id) else { continue };
            let Look { pending, owes, ready, wants_input, .. } = connection.look(now);
            let look = connection.look(now);
            assert!(pending < CHUNK + FILE_LEN.max(SHARED_LEN) + 1024, "{pending} bytes queued");
            if look.is_queued {
                continue;
            }
            let (readable, writable) = (ready.is_readable(), ready.is_writable());
            assert!(!(wants_input && readable), "could receive, and rests");
            assert!(!(owes && writable), "could send, and rests");
            assert!(pending > 0 || !look.has_queue, "an empty queue is kept");
            assert!(look.has_exchange || look.has_deadline, "no deadline");
            assert!(look.has_exchange || look.timeout != Timeout::None, "no timeout");
            assert_eq!(look.received.0, look.received.1);
            let script = self.world.script(*id);
            let unheard = wants_input && !readable && !script.incoming.is_empty();
            let unseen = owes && script.room != Some(0) && !script.blocked;
            assert!(waits_for_event || !unheard, "an event was lost");
            assert!(waits_for_event || !unseen, "room was not noticed");
        }
    }

    /// Everything arrives, everything is taken, everybody is told, and time passes.
    fn finish(&mut self) {
        let everybody: Vec<_> = self.clients.iter().map(|(id, _)| *id).collect();
        for _ in 0..ROUNDS_MAX {
            for (which, id) in everybody.iter().enumerate() {
                if self.world.script(*id).room.take().is_some() {
                    self.edges.push(*id);
                }
                self.arrive(which, usize::MAX, true);
                // Who hears that nothing more comes says so too.
                let mut script = self.world.script(*id);
                if script.closed_by_us && !script.has_ended() && self.patient {
                    script.incoming.push_back(Incoming::End);
                    self.clients[which].1.outbox.clear();
                    self.edges.push(*id);
                }
            }
            self.deliver();
            self.world.grant();
            self.world.settle();
            self.check_step();
            self.world.pass(Duration::from_millis(20));
            self.world.settle();
            let told = self.clients.iter().all(|(_, client)| client.outbox.is_empty());
            let told = told && (0..self.clients.len()).all(|which| self.has_arrived(which));
            if told && self.edges.is_empty() && self.all_rest() {
                return;
            }
        }
        panic!("no progress: {:?}", self.world.event_loop.table.iter_mut().collect::<Vec<_>>());
    }

    fn all_rest(&mut self) -> bool {
        let now = self.world.kernel.now();
        let rests = |look: Look| !look.owes && !look.is_busy;
        self.world.event_loop.table.iter_mut().all(|connection| rests(connection.look(now)))
            && everybody_closed_is_heard(&self.world, &self.clients)
    }

    /// What must hold in the end.
    fn check_end(mut self) {
        for (which, (id, client)) in self.clients.iter().enumerate() {
            let reset = client.outbox.is_empty() && self.world.script(*id).reset;
            let reaped = self.world.reaped(*id).is_some();
            let mut sent = self.world.script(*id).sent.clone();
            if let Some(encryption) = self.encryptions.get_mut(which) {
                encryption.listen(&sent);
                assert!(!encryption.broken, "what was sent is no TLS");
                sent.clone_from(&encryption.heard);
            }
            if let Err(why) = client.check(&sent, !reset && !reaped) {
                let sent = String::from_utf8_lossy(&sent[sent.len().saturating_sub(300)..]);
                eprintln!("{:#?}", self.world.log_lines());
                let (outbox, s) = (&client.outbox, self.world.script(*id));
                eprintln!("{outbox:?} {:?} {} {}", s.incoming, s.reset, s.closed_by_us);
                panic!("{id:?}: {why}\nasked:\n{}\ngot at last:\n{sent}", client.asked());
            }
        }
        // Whoever is left goes by its own time, or with the server.
        if self.stops {
            self.world.order(Order::Stop);
            self.world.wait(self.world.event_loop.site.timeouts.shutdown);
            assert!(self.world.ended.is_some(), "it does not end");
            assert!(!self.patient || self.world.ended == Some(Ended::Finished));
        }
        self.world.wait(FOREVER * 2);
        assert!(self.world.event_loop.table.is_empty(), "somebody lives for ever");
        self.check_exchanges();
        self.check_log();
        let file = self.world.stage.file.clone();
        let site = self.world.event_loop.site.clone();
        drop(self.world);
        assert_eq!(Rc::strong_count(&site), 1, "a site is kept");
        drop(site);
        assert_eq!(Rc::strong_count(&file), 1, "a file is kept open");
    }

    fn check_exchanges(&self) {
        let stage = &self.world.stage;
        let (begun, over) = (stage.begun.get(), stage.over.get());
        assert_eq!(stage.dropped.get(), begun, "an exchange lives on");
        assert_eq!(over + stage.aborts.borrow().len(), begun, "ended otherwise or twice");
    }

    /// Each request that was handled is written down, and none twice.
    fn check_log(&mut self) {
        let lines = self.world.log_lines();
        for n in self.world.stage.handled.borrow().iter() {
            let tag = format!("\"query\":\"n={n}&");
            let count = lines.iter().filter(|line| line.contains(&tag)).count();
            assert_eq!(count, 1, "lines of request {n}: {lines:#?}");
        }
    }
}

/// Whether every client that was told that nothing more comes has been heard in turn.
fn everybody_closed_is_heard(world: &World, clients: &[(ClientId, Client)]) -> bool {
    clients.iter().all(|(id, _)| {
        let open = world.is_open(*id);
        let script = world.script(*id);
        !(open && script.has_ended())
    })
}

/// Rounds of 20 ms in which everything comes to its end.
const ROUNDS_MAX: usize = 2000;

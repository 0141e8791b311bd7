//! Seeded clients, and what must hold whatever they do.

use super::World;
use super::client::{Client, Piece};
use super::encryption::Encryption;
use super::rng::Rng;
use super::stage::{FILE_LEN, SHARED_LEN};
use crate::event::{CHUNK, ConnId};
use crate::net::{Incoming, Keys};
use crate::server::connection::link::FOREVER;
use crate::server::connection::{ClientConnection, Protocol, Timeout};
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
    clients: Vec<(ConnId, Client)>,
    /// What stands between each client and its socket, where TLS is spoken.
    encryptions: Vec<Encryption>,
    /// Clients of whose socket the kernel has something to tell.
    edges: Vec<ConnId>,
    /// Nobody is reaped: the answers are all complete.
    patient: bool,
    mood: Mood,
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
        let mut world = World::new(|site| {
            let short = |ms| Duration::from_millis(ms);
            let timeouts = &mut site.timeouts;
            if patient {
                timeouts.handshake = short(3_600_000);
                (timeouts.header, timeouts.body) = (short(3_600_000), short(3_600_000));
                (timeouts.idle, timeouts.write) = (short(3_600_000), short(3_600_000));
                site.limits.min_rate = 0;
            } else {
                timeouts.handshake = short(150);
                (timeouts.header, timeouts.body) = (short(150), short(100));
                (timeouts.idle, timeouts.write) = (short(200), short(100));
            }
        });
        let (mut clients, mut encryptions) = (Vec::new(), Vec::new());
        for n in 0..1 + rng.below(3) {
            let id = match keys {
                None => world.connect(),
                Some(keys) => {
                    let (tls, session) = keys.connect_both();
                    encryptions.push(Encryption::new(session));
                    world.connect_by_tls(tls)
                }
            };
            let client = Client::random(rng, 1 + 100 * n, &world.stage);
            if rng.chance(80) {
                world.script(id).room = Some(rng.size());
            }
            clients.push((id, client));
        }
        let mood = Mood::random(rng);
        Self { world, clients, encryptions, edges: Vec::new(), patient, mood }
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
            95..97 => self.grant(),
            97..98 => self.rumour(id),
            _ if !self.patient => self.world.sweep(),
            _ => self.world.settle(),
        }
    }

    /// Up to `n` bytes more arrive; `sure`: also from a client that hesitates.
    fn arrive(&mut self, which: usize, n: usize, sure: bool) {
        if !self.encryptions.is_empty() {
            return self.arrive_encrypted(which, n, sure);
        }
        let (id, client) = &mut self.clients[which];
        let script = self.world.script(*id);
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
            edge |= encryption.arrive(&mut self.world, *id, n);
        }
        if edge {
            self.edges.push(*id);
        }
    }

    /// Whether all that a client has said has arrived.
    fn has_arrived(&mut self, which: usize) -> bool {
        let id = self.clients[which].0;
        let deaf = !self.world.is_open(id) || self.world.script(id).has_ended();
        deaf || self.encryptions.get(which).is_none_or(Encryption::is_silent)
    }

    /// The client takes something, which is an event only if a write has met the end before.
    fn make_room(&mut self, id: ConnId, n: usize) {
        let script = self.world.script(id);
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

    /// Those who wait for somebody are told.
    fn grant(&self) {
        for waker in self.world.stage.waiting.take() {
            self.world.stage.granted.borrow_mut().insert(waker.task());
            waker.wake();
        }
    }

    /// Bits that mean nothing.
    fn rumour(&mut self, id: ConnId) {
        if let Some(connection) = self.world.table.get(id) {
            connection.ready_mut().set_readable();
            connection.ready_mut().set_writable();
            super::enqueue(connection, &mut self.world.cx);
        }
    }

    /// What must hold after every step.
    fn check_step(&mut self) {
        let far = self.world.cx.now() + FOREVER / 2;
        for (id, _) in &self.clients {
            let waits_for_event = self.edges.contains(id);
            let Some(connection) = self.world.table.get(*id) else { continue };
            let (link, Protocol::Http1(http1)) = (&connection.link, &connection.protocol);
            let pending = link.pending() as usize;
            let owes = link.owes();
            assert!(pending < CHUNK + FILE_LEN.max(SHARED_LEN) + 1024, "{pending} bytes queued");
            if link.queued {
                continue;
            }
            let wants = http1.wants_input(link);
            let ready = link.ready;
            let (readable, writable) = (ready.is_readable(), ready.is_writable());
            assert!(!(wants && readable), "could receive, and rests");
            assert!(!(owes && writable), "could send, and rests");
            assert!(pending > 0 || !link.has_queued(), "an empty queue is kept");
            let exempt = http1.has_exchange();
            assert!(exempt || link.deadline < far, "no deadline");
            assert!(exempt || link.timeout != Timeout::None, "not guilty of anything");
            assert_eq!(link.recv.holds_memory(), !link.recv.is_empty());
            let script = self.world.script(*id);
            let unheard = wants && !readable && !script.incoming.is_empty();
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
                let script = self.world.script(*id);
                if script.closed_by_us && !script.has_ended() && self.patient {
                    script.incoming.push_back(Incoming::End);
                    self.clients[which].1.outbox.clear();
                    self.edges.push(*id);
                }
            }
            self.deliver();
            self.grant();
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
        panic!("no progress: {:?}", self.world.table.iter_mut().collect::<Vec<_>>());
    }

    fn all_rest(&mut self) -> bool {
        let rests = |connection: &mut ClientConnection| {
            let Protocol::Http1(http1) = &connection.protocol;
            !connection.link.owes() && !http1.is_busy()
        };
        self.world.table.iter_mut().all(rests)
            && everybody_closed_is_heard(&mut self.world, &self.clients)
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
        self.world.wait(FOREVER * 2);
        assert!(self.world.table.is_empty(), "somebody lives for ever");
        self.check_exchanges();
        self.check_log();
        let file = self.world.stage.file.clone();
        let site = self.world.site.clone();
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
fn everybody_closed_is_heard(world: &mut World, clients: &[(ConnId, Client)]) -> bool {
    clients.iter().all(|(id, _)| {
        let open = world.is_open(*id);
        let script = world.script(*id);
        !(open && script.has_ended())
    })
}

/// Rounds of 20 ms in which everything comes to its end.
const ROUNDS_MAX: usize = 2000;

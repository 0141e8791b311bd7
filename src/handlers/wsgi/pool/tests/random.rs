//! Seeded worlds: whatever clients and workers do, what `World` checks holds, and everything ends.
//!
//! `HTTPYSERVER_SIM_RUNS=100000` looks for longer, `HTTPYSERVER_SEED=17` looks at one run again.

use super::super::{Event, WorkerId};
use super::world::{Said, World};
use crate::conf::App;
use crate::http::mutation::Random;
use crate::serve::Scale;
use std::time::Duration;

#[test]
fn whatever_clients_and_workers_do() {
    let number = |name| std::env::var(name).ok().map(|n| n.parse::<u64>().expect(name));
    if let Some(seed) = number("HTTPYSERVER_SEED") {
        return run(seed);
    }
    (0..number("HTTPYSERVER_SIM_RUNS").unwrap_or(300)).for_each(run);
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

fn run(seed: u64) {
    let named = Seed(seed);
    let random = &mut Random::new(seed);
    let min = 1 + random.below(3);
    let mut world = World::new(min, min + random.below(3), |app| settings(app, random));
    world.permits = 1 + random.below(4);
    world.on(Event::Begin);
    if random.below(2) == 0 {
        world.all_ready();
        if world.pool.app.recycle.requests.is_none() && random.below(2) == 0 {
            world.hasten(WorkerId(0));
        }
    }
    for _ in 0..random.below(400) {
        act(&mut world, random);
    }
    // Workers do nothing any more, and clients that held some are gone: all others get an answer.
    let held = |world: &World| world.requests.iter().position(|it| it.is_full && !it.is_released);
    while let Some(n) = held(&world) {
        world.requests[n].is_full = false;
        world.leave(n);
    }
    if random.below(2) == 0 {
        world.advance(Duration::from_secs(120));
        assert!(world.requests.iter().all(|asked| asked.outcome.is_some()), "somebody waits");
    }
    world.on(Event::Stop);
    world.advance(Duration::from_secs(20));
    assert!(world.workers.is_empty(), "a stop does not end");
    assert!(world.requests.iter().all(|asked| asked.is_released));
    drop(named);
}

fn settings(app: &mut App, random: &mut Random) {
    app.queue = 1 + random.below(12);
    app.queue_timeout = Duration::from_secs(1 + random.below(10) as u64);
    app.timeout = Duration::from_secs(1 + random.below(5) as u64);
    app.startup = Duration::from_secs(1 + random.below(9) as u64);
    app.reload = random.below(3) == 0;
    app.recycle.requests = (random.below(3) == 0).then_some(20);
    app.recycle.age = (random.below(3) == 0).then_some(Duration::from_secs(30));
    app.recycle.memory = (random.below(3) == 0).then_some(1000);
}

fn act(world: &mut World, random: &mut Random) {
    match random.below(100) {
        0..20 => {
            let clients: Vec<u8> = (0..random.below(12)).map(|_| random.below(4) as u8).collect();
            world.ask_all(&clients);
        }
        20..25 if !world.requests.is_empty() => world.leave(random.below(world.requests.len())),
        25..28 => world.on(Event::Scale([Scale::More, Scale::Fewer][random.below(2)])),
        28..30 => world.is_broken = random.below(4) == 0,
        30..50 => {
            let longest = [2, 8, 30, 300, 3000][random.below(5)];
            world.advance_ms(random.below(longest) as u64);
        }
        _ if !world.workers.is_empty() => {
            let workers: Vec<WorkerId> = world.workers.keys().copied().collect();
            work(world, workers[random.below(workers.len())], random);
        }
        _ => {}
    }
}

/// A worker does something.
fn work(world: &mut World, worker: WorkerId, random: &mut Random) {
    let Some(played) = world.workers.get_mut(&worker) else { return };
    if played.is_loading() {
        match random.below(20) {
            0..12 => world.says(worker, &[Said::Ready]),
            12 => world.says(worker, &[Said::Failed]),
            13 => world.end(worker, "exit code 1"),
            14 => played.starved = Duration::from_millis(random.below(5000) as u64),
            _ => {}
        }
        return;
    }
    let at = played.at;
    match random.below(100) {
        0..15 => world.look(worker),
        15..30 => _ = world.run(worker),
        30..60 => _ = world.begin(worker),
        60..80 => world.finish(worker),
        80..85 => {
            if let Some((id, _)) = at {
                let said =
                    if played.has_head { Said::Data(id, false) } else { Said::Head(id, false) };
                played.has_head = true;
                world.says(worker, &[said]);
            }
        }
        85..88 => {
            if let Some((_, request)) = at {
                let asked = &mut world.requests[request];
                asked.is_full = !asked.is_full && asked.outcome.is_none();
                asked.taken += random.below(200_000) as u64;
                world.on(Event::Scheduled);
            }
        }
        88..90 => world.on(Event::Full { worker, is_full: random.below(2) == 0 }),
        90..94 => {
            // Its second thread gives back what was not begun, the last one first.
            let back: Vec<_> =
                played.todo.drain(..).rev().map(|(id, _)| Said::Returned(id)).collect();
            world.says(worker, &back);
        }
        94 => played.is_stubborn = true,
        95 => played.memory = random.below(2000) as u64,
        96 => world.end(worker, "signal 11"),
        97 => world.says(worker, &[Said::Changed]),
        98 => {
            let id = at.map_or(1, |(id, _)| id) + random.below(3) as u32;
            let wrong = [Said::Ready, Said::Failed, Said::Nothing(id), Said::File(id)];
            world.says(worker, &[wrong[random.below(wrong.len())]]);
        }
        _ => {}
    }
}

//! How many workers there are, and which ones are started, replaced and retired when.

use super::super::slot::Stage;
use super::super::{Event, Failure, WorkerId};
use super::world::{Said, World};
use crate::serve::{Readiness, Scale};
use std::time::Duration;

const A: WorkerId = WorkerId(0);
const B: WorkerId = WorkerId(1);

/// Seconds from the beginning until each start.
fn starts(world: &World) -> Vec<f64> {
    let seconds = |at: &_| (world.since_began(*at).as_secs_f64() * 10.0).round() / 10.0;
    world.starts.iter().map(seconds).collect()
}

#[test]
fn workers_are_started_in_turns() {
    let mut world = World::new(6, 6, |_| {});
    assert_eq!(world.pool.readiness(), Readiness::Starting);
    world.on(Event::Begin);
    assert_eq!(world.starts.len(), 4, "so many may load at once");
    world.says(A, &[Said::Ready]);
    assert_eq!((world.starts.len(), world.pool.readiness()), (5, Readiness::Starting));
    world.all_ready();
    assert_eq!((world.workers.len(), world.pool.readiness()), (6, Readiness::Ready));
    assert!(world.has_logged("6 workers ready in 0.0 s, Python 3"));
}

#[test]
fn one_that_loads_for_long_lets_others_load() {
    let mut world = World::new(6, 6, |_| {});
    world.on(Event::Begin);
    world.advance_ms(4999);
    assert_eq!(world.starts.len(), 4);
    world.advance_ms(1);
    assert_eq!(world.starts.len(), 6);
}

#[test]
fn starts_that_fail_are_tried_more_and_more_seldom() {
    for (reload, want) in [
        (false, [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 61.5].as_slice()),
        (true, &[0.0, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5]),
    ] {
        let mut world = World::new(1, 1, |app| (app.reload, app.required) = (reload, true));
        world.on(Event::Begin);
        while world.starts.len() < want.len() {
            if world.workers.contains_key(&A) {
                world.says(A, &[Said::Failed]);
            }
            world.advance_ms(2);
        }
        assert_eq!(starts(&world), want, "{reload}");
        assert_eq!(world.given_up.as_deref(), Some("it is required: named so"));
        let asked = world.ask_all(&[1])[0];
        assert!(matches!(world.failed(asked), Some(Failure::CannotLoad(_))));
        assert!(matches!(world.pool.readiness(), Readiness::Failed(_)));
        // The first that is ready says that it can be done.
        world.all_ready();
        let asked = world.ask_all(&[1])[0];
        assert_eq!(world.failed(asked), None);
    }
}

#[test]
fn a_program_that_is_not_there_is_tried_again() {
    let mut world = World::new(2, 2, |app| app.required = true);
    world.is_broken = true;
    world.on(Event::Begin);
    assert_eq!(world.given_up.as_deref(), Some("it is required: no such program"));
    world.advance_ms(400);
    world.is_broken = false;
    world.advance_ms(100);
    assert_eq!(world.starts.len(), 1, "one has to show that it can be done");
    world.all_ready();
    assert_eq!(world.workers.len(), 2);
}

#[test]
fn one_that_does_not_start_in_time_is_given_up_and_tried_again() {
    let mut world = World::new(1, 1, |app| app.startup = Duration::from_secs(2));
    world.on(Event::Begin);
    let asked = world.ask_all(&[1])[0];
    world.advance_ms(1999);
    assert!(!world.workers[&A].has_dumped);
    world.advance_ms(1);
    assert!(world.workers[&A].has_dumped && world.has_logged("did not start in 2s; it was here:"));
    world.advance_ms(400);
    assert!(matches!(world.failed(asked), Some(Failure::CannotLoad(_))));
    world.advance_ms(2000);
    assert_eq!(starts(&world), [0.0, 2.8]);
}

#[test]
fn waiting_for_a_processor_is_not_loading() {
    let mut world = World::new(1, 1, |app| app.startup = Duration::from_secs(2));
    world.on(Event::Begin);
    world.workers.get_mut(&A).unwrap().starved = Duration::from_secs(3);
    world.advance_ms(4999);
    assert!(!world.workers[&A].has_dumped);
    world.workers.get_mut(&A).unwrap().starved = Duration::from_secs(4);
    world.advance_ms(999);
    world.says(A, &[Said::Ready]);
    assert_eq!((world.starts.len(), world.pool.readiness()), (1, Readiness::Ready));
    // Nor is looking for Python.
    let mut world = World::new(1, 1, |app| app.startup = Duration::from_secs(2));
    world.on(Event::Begin);
    world.workers.get_mut(&A).unwrap().is_script = true;
    world.advance_ms(7000);
    world.workers.get_mut(&A).unwrap().is_script = false;
    world.advance_ms(900);
    assert!(!world.workers[&A].has_dumped);
    world.advance_ms(200);
    assert!(world.workers[&A].has_dumped);
    // But not for ever.
    let mut world = World::new(1, 1, |app| app.startup = Duration::from_secs(2));
    world.on(Event::Begin);
    for seconds in 1..30 {
        if let Some(worker) = world.workers.get_mut(&A) {
            worker.starved = Duration::from_secs(seconds);
        }
        world.advance_ms(1000);
    }
    assert_eq!(starts(&world).get(1), Some(&22.8));
}

#[test]
fn workers_that_do_not_last_are_replaced_more_and_more_seldom() {
    let mut world = World::ready(1, 1, |_| {});
    while world.starts.len() < 6 {
        if world.workers.contains_key(&A) {
            world.all_ready();
            world.end(A, "exit code 1");
        }
        world.advance_ms(2);
    }
    assert_eq!(starts(&world), [0.0, 0.5, 1.5, 3.5, 7.5, 15.5]);
    // One that has lasted for a while is replaced at once.
    world.all_ready();
    world.advance_ms(60_000);
    world.end(A, "exit code 1");
    assert_eq!(world.starts.len(), 7);
    assert!(world.has_logged("is gone: exit code 1"));
}

#[test]
fn workers_are_replaced_after_so_many_answers() {
    let mut world = World::ready(1, 1, |app| app.recycle.requests = Some(3));
    for _ in 0..3 {
        world.ask_all(&[1]);
        world.answer(A);
    }
    assert_eq!(world.starts.len(), 2);
    // Until its successor is ready it answers.
    let asked = world.ask_all(&[1])[0];
    assert_eq!(world.answer(A), Some(asked));
    world.says(B, &[Said::Ready]);
    assert!(world.workers[&A].is_closed && !world.workers[&B].is_closed);
    world.advance_ms(10);
    assert_eq!((world.workers.len(), world.starts.len()), (1, 2));
    // With jitter, not all at once.
    let mut world = World::ready(8, 8, |app| {
        (app.recycle.requests, app.recycle.jitter) = (Some(100), 50);
    });
    world.all_ready();
    let mut all: Vec<_> = world.pool.slots().map(|slot| slot.recycle_at.unwrap()).collect();
    all.sort_unstable();
    all.dedup();
    assert!(all.len() > 5 && all.iter().all(|at| (100..=150).contains(at)), "{all:?}");
}

#[test]
fn workers_are_replaced_when_they_are_old_or_large() {
    let mut world = World::ready(1, 1, |app| app.recycle.age = Some(Duration::from_secs(60)));
    world.advance_ms(59_000);
    assert_eq!(world.starts.len(), 1);
    world.advance_ms(3_000);
    assert_eq!(world.starts.len(), 2);
    let mut world = World::new(1, 1, |app| app.recycle.memory = Some(100 << 20));
    world.on(Event::Begin);
    world.workers.get_mut(&A).unwrap().memory = 90 << 20;
    world.all_ready();
    world.ask_all(&[1]);
    world.answer(A);
    world.advance_ms(5_000);
    assert_eq!(world.starts.len(), 1);
    world.workers.get_mut(&A).unwrap().memory = 110 << 20;
    world.advance_ms(2_000);
    assert_eq!(world.starts.len(), 2);
    // The successor is too large from the beginning: it is not replaced before it has answered.
    world.workers.get_mut(&B).unwrap().memory = 110 << 20;
    world.says(B, &[Said::Ready]);
    assert!(world.has_logged("has 110 MiB before its first request"));
    world.advance_ms(10_000);
    assert_eq!(world.starts.len(), 2);
}

#[test]
fn the_pool_grows_when_requests_wait_and_shrinks_when_none_do() {
    let mut world = World::ready(1, 3, |_| {});
    world.ask_all(&[1; 8]);
    world.begin(A);
    world.advance_ms(99);
    assert_eq!(world.starts.len(), 1);
    world.advance_ms(1);
    assert_eq!(world.starts.len(), 2);
    world.advance_ms(1000);
    assert_eq!(world.starts.len(), 2, "one at a time");
    world.all_ready();
    world.advance_ms(200);
    world.all_ready();
    world.advance_ms(1000);
    assert_eq!(world.workers.len(), 3, "no more than it may");
    for n in [0, 1, 2, 0, 1, 2, 0, 1].map(WorkerId) {
        world.answer(n);
        world.finish(n);
    }
    world.advance_ms(29_000);
    assert_eq!(world.workers.len(), 3);
    world.advance_ms(6_000);
    assert_eq!(world.workers.len(), 1);
}

#[test]
fn people_want_more_or_fewer() {
    let mut world = World::ready(2, 2, |_| {});
    world.on(Event::Scale(Scale::More));
    world.all_ready();
    assert_eq!(world.workers.len(), 3);
    for _ in 0..5 {
        world.on(Event::Scale(Scale::Fewer));
    }
    world.advance_ms(10);
    assert_eq!(world.workers.len(), 1);
}

#[test]
fn one_that_does_not_end_is_killed() {
    let mut world = World::ready(2, 2, |_| {});
    world.workers.get_mut(&A).unwrap().is_stubborn = true;
    world.on(Event::Scale(Scale::Fewer));
    assert!(world.workers[&A].is_closed);
    world.advance_ms(4_999);
    assert!(!world.workers[&A].is_killed);
    world.advance_ms(10);
    assert!(!world.workers.contains_key(&A));
}

#[test]
fn one_that_retires_answers_what_it_has() {
    let mut world = World::ready(2, 2, |_| {});
    let asked = world.ask_all(&[1, 1]);
    world.begin(A);
    world.begin(B);
    world.on(Event::Scale(Scale::Fewer));
    let retiring =
        [A, B].into_iter().find(|it| world.pool.slot(*it).unwrap().stage == Stage::Retiring);
    let retiring = retiring.unwrap();
    assert!(!world.workers[&retiring].is_closed);
    world.finish(retiring);
    assert!(world.workers[&retiring].is_closed);
    world.advance_ms(10);
    assert_eq!(world.workers.len(), 1);
    world.finish(A);
    world.finish(B);
    assert!(asked.iter().all(|n| world.requests[*n].is_released));
}

#[test]
fn new_workers_take_over_when_all_of_them_are_ready() {
    let mut world = World::ready(2, 2, |app| app.reload = true);
    world.says(A, &[Said::Changed]);
    world.says(B, &[Said::Changed, Said::Changed]);
    assert_eq!(world.starts.len(), 4, "once for all that see it");
    world.says(WorkerId(2), &[Said::Ready]);
    world.ask_all(&[1]);
    assert_eq!(world.of(2).len(), 0, "the old ones answer");
    world.says(WorkerId(3), &[Said::Ready]);
    let asked = world.ask_all(&[1])[0];
    assert!(world.of(2).contains(&asked) || world.of(3).contains(&asked));
    assert!(world.has_logged("2 workers with the new source"));
    world.answer(A);
    world.answer(B);
    world.advance_ms(10);
    assert_eq!(world.workers.len(), 2);
}

#[test]
fn a_source_that_cannot_be_loaded_leaves_the_old_workers() {
    let mut world = World::ready(2, 2, |app| app.reload = true);
    world.says(A, &[Said::Changed]);
    assert_eq!(world.starts.len(), 4);
    world.says(WorkerId(2), &[Said::Failed]);
    world.advance_ms(60_000);
    assert_eq!((world.workers.len(), world.starts.len()), (2, 4), "until it changes again");
    assert_eq!(world.pool.readiness(), Readiness::Ready);
    let asked = world.ask_all(&[1])[0];
    assert_eq!(world.answer(A), Some(asked));
    world.says(A, &[Said::Changed]);
    world.all_ready();
    assert!(world.has_logged("2 workers with the new source"));
}

#[test]
fn a_change_while_workers_load_begins_again() {
    let mut world = World::ready(1, 1, |app| app.reload = true);
    world.says(A, &[Said::Changed]);
    assert_eq!(world.starts.len(), 2);
    world.says(A, &[Said::Changed]);
    assert_eq!(world.starts.len(), 2, "changes come close together");
    world.advance_ms(500);
    assert_eq!(world.starts.len(), 3);
    world.all_ready();
    world.advance_ms(10);
    assert_eq!(world.workers.len(), 1);
    // A worker that cries wolf is not believed.
    let last = *world.workers.keys().next().unwrap();
    world.says(last, &[Said::Changed; 17]);
    assert!(world.workers[&last].is_killed);
}

//! Which request goes where, which ones wait, and what becomes of those that nothing comes of.

use super::super::{Event, Failure, WorkerId};
use super::world::{Outcome, Said, World};
use crate::conf::Recycle;
use std::time::Duration;

const A: WorkerId = WorkerId(0);
const B: WorkerId = WorkerId(1);

#[test]
fn the_least_busy_is_given_the_next() {
    let mut world = World::ready(3, 3, |_| {});
    let asked = world.ask_all(&[1, 1, 1, 1]);
    assert_eq!(
        [world.of(0), world.of(1), world.of(2)],
        [vec![asked[0]], vec![asked[1]], vec![asked[2]]]
    );
    // A worker that is not known to be quick has one at a time.
    world.answer(B);
    assert_eq!(world.of(1), [asked[3]]);
    assert_eq!(world.outcome(asked[1]), Some(Outcome::Answered));
}

#[test]
fn a_quick_worker_has_many_and_never_more_than_it_may() {
    let mut world = World::ready(1, 1, |app| app.queue = 200);
    world.hasten(A);
    let asked = world.ask_all(&[1; 150]);
    assert_eq!(world.of(0).len(), 64);
    for n in &asked {
        assert_eq!(world.answer(A), Some(*n), "in order");
    }
    // One that takes long makes it slow again.
    world.ask_all(&[1]);
    world.begin(A);
    world.advance_ms(100);
    world.finish(A);
    world.ask_all(&[1, 1]);
    assert_eq!(world.of(0).len(), 1);
}

#[test]
fn a_socket_that_is_full_is_given_no_more() {
    let mut world = World::ready(2, 2, |_| {});
    world.hasten(A);
    world.on(Event::Full { worker: A, is_full: true });
    world.ask_all(&[1; 10]);
    assert_eq!((world.of(0).len(), world.of(1).len()), (1, 1));
    world.on(Event::Full { worker: A, is_full: false });
    world.ask_all(&[1]);
    assert_eq!(world.of(0).len(), 10);
}

#[test]
fn too_many_are_refused_and_everybody_has_a_share() {
    let mut world = World::ready(1, 1, |app| app.queue = 4);
    let many = world.ask_all(&[1; 6]);
    assert_eq!(world.failed(many[5]), Some(Failure::QueueFull));
    // The last one of the client that has most makes room for another client.
    let other = world.ask_all(&[2])[0];
    assert_eq!(world.outcome(other), None);
    assert_eq!(world.failed(many[4]), Some(Failure::QueueFull));
    // What a client no longer waits for makes room too.
    world.leave(many[2]);
    let third = world.ask_all(&[1])[0];
    let order: Vec<_> = std::iter::from_fn(|| world.answer(A)).collect();
    assert_eq!(order, [many[0], many[1], many[3], other, third]);
}

#[test]
fn nobody_waits_longer_than_it_may() {
    let mut world = World::ready(1, 1, |app| app.queue_timeout = Duration::from_secs(5));
    let asked = world.ask_all(&[1, 1, 1]);
    world.begin(A);
    world.advance_ms(4999);
    assert_eq!(world.outcome(asked[1]), None);
    world.advance_ms(1);
    assert_eq!(world.failed(asked[1]), Some(Failure::NoneFree));
    assert_eq!(world.failed(asked[2]), Some(Failure::NoneFree));
    assert_eq!(world.outcome(asked[0]), None);
    // The same while no worker was ready yet.
    let mut world = World::new(1, 1, |app| app.queue_timeout = Duration::from_secs(5));
    world.on(Event::Begin);
    let asked = world.ask_all(&[1])[0];
    world.advance_ms(5000);
    assert_eq!(world.failed(asked), Some(Failure::NoneReady));
}

#[test]
fn what_was_sent_ahead_to_a_stuck_worker_goes_to_another() {
    let mut world = World::ready(2, 2, |_| {});
    world.hasten(A);
    let asked = world.ask_all(&[1; 5]);
    assert_eq!((world.of(0).len(), world.of(1).len()), (4, 1));
    world.begin(A);
    // It has said that it begins the next one, and looks whether it should when that was revoked: both sides
    // see at least one of the two.
    world.finish(A);
    world.look(A);
    world.advance_ms(30);
    while world.answer(B).is_some() {}
    let open: Vec<_> = asked.iter().filter(|n| world.outcome(**n).is_none()).collect();
    assert_eq!(open.len(), 1, "the one that it has begun");
    assert_eq!(world.run(A), Some(*open[0]));
    world.finish(A);
    assert!(asked.iter().all(|n| world.outcome(*n) == Some(Outcome::Answered)));
    // Those that it was told not to begin it gives back, which is no breach.
    for _ in 0..4 {
        assert_eq!(world.begin(A), None);
        world.says(A, &[]);
    }
    assert_eq!(world.pool.slot(A).unwrap().load(), 0);
    assert!(!world.has_logged("breaks"), "{:?}", world.log);
}

#[test]
fn a_request_given_back_is_the_next() {
    let mut world = World::ready(1, 1, |_| {});
    world.hasten(A);
    let asked = world.ask_all(&[1; 4]);
    world.begin(A);
    let ids: Vec<u32> = world.workers[&A].todo.iter().map(|(id, _)| *id).collect();
    world.workers.get_mut(&A).unwrap().todo.clear();
    // The last one first.
    let back: Vec<_> = ids.into_iter().rev().map(Said::Returned).collect();
    world.says(A, &back);
    world.finish(A);
    let order: Vec<_> = std::iter::from_fn(|| world.answer(A)).collect();
    assert_eq!(order, asked[1..]);
}

#[test]
fn a_stuck_worker_costs_one_request() {
    let mut world = World::ready(2, 2, |app| app.timeout = Duration::from_secs(3));
    let asked = world.ask_all(&[1, 1]);
    world.begin(A);
    world.answer(B);
    world.advance_ms(2999);
    assert_eq!(world.outcome(asked[0]), None);
    world.advance_ms(1);
    assert_eq!(world.failed(asked[0]), Some(Failure::Stuck));
    assert!(world.workers[&A].has_dumped && !world.workers[&A].is_killed);
    world.advance_ms(310);
    // Its successor is started at once, and not called a failure.
    assert_eq!(world.starts.len(), 3);
    world.all_ready();
    assert_eq!(world.pool.failures + world.pool.strikes, 0);
    assert!(world.has_logged("WorkerId(0) is stuck"));
}

#[test]
fn every_piece_of_an_answer_begins_the_time_anew() {
    let mut world = World::ready(1, 1, |app| app.timeout = Duration::from_secs(3));
    let asked = world.ask_all(&[1])[0];
    world.begin(A);
    let id = world.workers[&A].at.unwrap().0;
    world.says(A, &[Said::Head(id, false)]);
    world.workers.get_mut(&A).unwrap().has_head = true;
    for _ in 0..5 {
        world.advance_ms(2900);
        world.says(A, &[Said::Data(id, false)]);
    }
    world.finish(A);
    assert_eq!((world.outcome(asked), world.requests[asked].pieces), (Some(Outcome::Answered), 7));
}

#[test]
fn waiting_for_the_client_is_no_fault_of_the_worker() {
    let mut world = World::ready(1, 1, |app| app.timeout = Duration::from_secs(3));
    let asked = world.ask_all(&[1])[0];
    world.begin(A);
    let id = world.workers[&A].at.unwrap().0;
    world.requests[asked].is_full = true;
    world.says(A, &[Said::Head(id, false)]);
    world.workers.get_mut(&A).unwrap().has_head = true;
    // As long as no other client wants it, it may last.
    world.advance_ms(60_000);
    assert!(world.outcome(asked).is_none() && !world.workers[&A].has_dumped);
    world.requests[asked].is_full = false;
    world.on(Event::Scheduled);
    world.advance_ms(2900);
    world.finish(A);
    assert_eq!(world.outcome(asked), Some(Outcome::Answered));
}

/// Two workers that wait for the clients of two requests.
fn held(of: &[u8]) -> (World, Vec<usize>) {
    let mut world = World::ready(2, 2, |_| {});
    let asked = world.ask_all(of);
    for (worker, n) in [A, B].into_iter().zip(&asked) {
        world.begin(worker);
        let id = world.workers[&worker].at.unwrap().0;
        world.requests[*n].is_full = true;
        world.says(worker, &[Said::Head(id, false)]);
        world.workers.get_mut(&worker).unwrap().has_head = true;
    }
    (world, asked)
}

#[test]
fn who_holds_more_than_its_share_is_cut_first() {
    let (mut world, asked) = held(&[1, 1]);
    world.advance_ms(5000);
    let next = world.ask_all(&[2])[0];
    while asked.iter().all(|n| world.outcome(*n).is_none()) {
        world.advance_ms(100);
    }
    assert!(world.since_began(world.now) < Duration::from_millis(7300));
    let cut: Vec<_> = asked.iter().filter(|n| world.outcome(**n) == Some(Outcome::Cut)).collect();
    assert_eq!(cut.len(), 1, "one is enough");
    // The worker ends the answer that was cut, and has the next one.
    let worker = if *cut[0] == asked[0] { A } else { B };
    world.on(Event::Scheduled);
    world.advance_ms(100);
    world.finish(worker);
    assert_eq!(world.answer(worker), Some(next));
    // From now on such a client comes last.
    let asked = world.ask_all(&[1, 3, 1, 4]);
    let order: Vec<_> = std::iter::from_fn(|| world.answer(worker)).collect();
    assert_eq!(order, [asked[1], asked[3], asked[0], asked[2]]);
}

#[test]
fn who_takes_an_answer_quickly_keeps_it_until_its_time_is_over() {
    for (rate, cut_after) in [(20_000, 2..4), (40_000, 30..34)] {
        let (mut world, asked) = held(&[1, 2]);
        let mut seconds = 0;
        while world.outcome(asked[0]).is_none() && seconds < 100 {
            // Somebody waits for a worker all the time.
            if world.pool.requests.queue.is_empty() {
                world.ask_all(&[3]);
            }
            world.advance_ms(1000);
            asked.iter().for_each(|n| world.requests[*n].taken += rate);
            seconds += 1;
        }
        assert!(cut_after.contains(&seconds), "{seconds} s at {rate} bytes a second");
    }
}

#[test]
fn a_worker_that_ends_costs_what_it_had_begun() {
    for (begun, looked) in [(0, 0), (1, 0), (1, 1), (3, 0)] {
        let mut world = World::ready(1, 1, |_| {});
        world.hasten(A);
        let asked = world.ask_all(&[1; 5]);
        for n in 0..begun {
            world.begin(A);
            if n + 1 < begun {
                world.finish(A);
            }
        }
        if looked > 0 {
            world.finish(A);
            world.look(A);
        }
        world.end(A, "signal 9");
        let lost = asked
            .iter()
            .filter(|n| world.failed(**n) == Some(Failure::WorkerEnded("signal 9".to_owned())));
        assert_eq!(lost.count(), usize::from(begun > 0), "{begun} {looked}");
        // The others are answered by the next one.
        world.advance_ms(1000);
        world.all_ready();
        while world.answer(A).is_some() {}
        assert!(asked.iter().all(|n| world.requests[*n].is_released));
    }
}

#[test]
fn a_request_that_meets_workers_that_end_is_given_up() {
    let mut world = World::ready(1, 1, |_| {});
    let asked = world.ask_all(&[1])[0];
    for n in 0..3 {
        assert_eq!(world.outcome(asked), None, "{n}");
        world.advance_ms(1500);
        world.end(A, "exit code 1");
        world.advance_ms(1500);
        world.all_ready();
    }
    assert_eq!(world.failed(asked), Some(Failure::WorkerEnded("exit code 1".to_owned())));
}

#[test]
fn a_client_that_leaves_costs_no_more_than_it_has_to() {
    let mut world = World::ready(1, 1, |_| {});
    world.hasten(A);
    let asked = world.ask_all(&[1; 3]);
    world.begin(A);
    world.leave(asked[0]);
    world.leave(asked[1]);
    // The worker is told, and begins only the last one.
    world.finish(A);
    assert_eq!(world.begin(A), None);
    assert_eq!(world.begin(A), Some(asked[2]));
    world.finish(A);
    world.says(A, &[]);
    assert!(asked.iter().all(|n| world.requests[*n].is_released));
    assert!(!world.has_logged("breaks"));
}

#[test]
fn what_is_no_answer_is_the_fault_of_the_application() {
    let mut world = World::ready(1, 1, |_| {});
    let asked = world.ask_all(&[1])[0];
    world.begin(A);
    let id = world.workers.get_mut(&A).unwrap().at.take().unwrap().0;
    world.says(A, &[Said::Error(id)]);
    assert_eq!(world.outcome(asked), Some(Outcome::Unusable));
    let next = world.ask_all(&[1])[0];
    assert_eq!(world.answer(A), Some(next));
}

#[test]
fn a_worker_is_believed_as_far_as_it_keeps_to_the_protocol() {
    use Said::{Changed, Data, Error, Failed, File, Head, Nothing, OtherVersion, Ready, Returned};
    // The requests 1 to 3 were sent, and the first was begun.
    let breaches: [(&[Said], &str); 14] = [
        (&[Ready], "it says twice whether it is ready"),
        (&[Failed], "it says twice whether it is ready"),
        (&[OtherVersion], "it says twice whether it is ready"),
        (&[Head(7, true)], "an answer that nobody has asked for"),
        (&[Head(42, true)], "an answer that nobody has asked for"),
        (&[Data(41, true)], "an answer out of order"),
        (&[File(41)], "an answer out of order"),
        (&[Head(41, false), Head(41, true)], "an answer out of order"),
        (&[Head(41, false), Nothing(41)], "an answer out of order"),
        (&[Head(41, true), Head(41, true)], "an answer that nobody has asked for"),
        (&[Returned(41)], "a request given back that it does not have"),
        (&[Returned(7)], "a request given back that it does not have"),
        (&[Returned(42), Error(42)], "an answer that nobody has asked for"),
        (&[Changed], "a changed source, without `reload`"),
    ];
    for (said, why) in breaches {
        let mut world = World::ready(1, 1, |_| {});
        world.hasten(A);
        let asked = world.ask_all(&[1; 3]);
        world.begin(A);
        world.says(A, said);
        assert!(world.workers[&A].is_killed, "{said:?}");
        // Nothing that it says counts any more.
        world.says(A, &[Head(41, true), Head(42, true), Head(43, true)]);
        world.advance_ms(100);
        assert!(
            world.has_logged(&format!("breaks the protocol and is replaced: {why}")),
            "{said:?}: {:?}",
            world.log
        );
        // Its successor may have another number.
        world.advance_ms(1000);
        world.all_ready();
        while world.answer(A).or_else(|| world.answer(B)).is_some() {}
        let is_good = |n: &usize| world.outcome(*n) == Some(Outcome::Answered);
        assert!(asked[1..].iter().all(is_good), "{said:?}");
    }
    for (said, why) in
        [(OtherVersion, "version 3 of the protocol"), (Changed, "a frame before it was ready")]
    {
        let mut world = World::new(1, 1, |_| {});
        world.on(Event::Begin);
        world.says(A, &[said]);
        world.advance_ms(100);
        assert!(world.has_logged(why), "{:?}", world.log);
    }
}

#[test]
fn a_worker_that_gives_everything_back_is_none() {
    let mut world = World::ready(1, 1, |app| app.recycle = Recycle::default());
    world.ask_all(&[1]);
    for n in 0..200 {
        let Some((id, _)) = world.workers[&A].todo.front().copied() else { panic!("{n}") };
        world.workers.get_mut(&A).unwrap().todo.clear();
        world.says(A, &[Said::Returned(id)]);
        if world.workers[&A].is_killed {
            assert_eq!(n, 128);
            return;
        }
    }
    panic!("it goes on");
}

#[test]
fn a_stop_ends() {
    let mut world = World::ready(3, 3, |_| {});
    let asked = world.ask_all(&[1; 6]);
    world.begin(A);
    world.answer(B);
    world.workers.get_mut(&WorkerId(2)).unwrap().is_stubborn = true;
    world.on(Event::Stop);
    world.advance_ms(5);
    assert_eq!(world.failed(asked[5]), Some(Failure::Stopped));
    let late = world.ask_all(&[1])[0];
    assert_eq!(world.failed(late), Some(Failure::Stopped));
    world.advance_ms(10_000);
    assert!(world.workers.is_empty() && world.requests.iter().all(|asked| asked.is_released));
    assert_eq!(world.starts.len(), 3, "no other one is started");
}

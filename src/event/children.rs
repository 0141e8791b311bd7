//! Programs that were started: watched, ended when it is time, and always collected.
//!
//! A child belongs to the loop, not to whoever started it: an exchange that is cut off just says
//! so and goes, and nobody ever waits for a process.

use super::{Owner, ServiceId, Source, Sources};
use crate::sys::process::{Ending, Process};
use mio::Interest;
use slab::Slab;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// What is told of a child's end: `Service::child_ended` of this service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The service.
    pub service: ServiceId,
    /// What the service knows the child by.
    pub tag: u32,
}

/// A child. The name of one that was collected means nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildId {
    index: u32,
    serial: u32,
}

/// All children there are.
#[derive(Debug, Default)]
pub struct Children {
    slab: Slab<Child>,
    serial: u32,
    ended: Vec<(Parent, Ending)>,
}

#[derive(Debug)]
struct Child {
    process: Process,
    parent: Parent,
    serial: u32,
    fate: Fate,
    /// The kernel tells when it ends; otherwise it has to be asked.
    watch: Option<Source<OwnedFd>>,
}

/// What is to become of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It ends when it likes.
    Free,
    /// It is asked to end at this time.
    Limited(Instant),
    /// It was asked, and is killed at this time.
    Asked(Instant),
    /// It was killed.
    Killed,
}

/// How long a child that was asked to end may take for it.
const GRACE: Duration = Duration::from_secs(2);

/// How often a child is looked at where the kernel cannot tell of its end (before Linux 5.3).
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Children {
    pub(super) fn adopt(
        &mut self,
        mut process: Process,
        parent: Parent,
        sources: &Sources,
    ) -> ChildId {
        self.serial = self.serial.wrapping_add(1);
        let entry = self.slab.vacant_entry();
        let index = u32::try_from(entry.key()).unwrap_or(u32::MAX);
        let watch = process
            .take_watch()
            .and_then(|watch| sources.add(watch, Owner::Child(index), Interest::READABLE).ok());
        let child = Child { process, parent, serial: self.serial, fate: Fate::Free, watch };
        entry.insert(child);
        ChildId { index, serial: self.serial }
    }

    fn get(&mut self, id: ChildId) -> Option<&mut Child> {
        self.slab.get_mut(id.index as usize).filter(|child| child.serial == id.serial)
    }

    /// Asks a child to end, with all it has started; kills them after two seconds. What is left of
    /// its group when it has ended is killed too.
    pub(super) fn dismiss(&mut self, id: ChildId, now: Instant) {
        if let Some(child) = self.get(id) {
            child.dismiss(now);
        }
    }

    /// Kills a child with all it has started.
    pub(super) fn kill(&mut self, id: ChildId) {
        if let Some(child) = self.get(id) {
            child.kill();
        }
    }

    /// Dismisses a child at `at`, if it is still there.
    pub(super) fn dismiss_at(&mut self, id: ChildId, at: Instant) {
        if let Some(child) = self.get(id)
            && matches!(child.fate, Fate::Free | Fate::Limited(_))
        {
            child.fate = Fate::Limited(at);
        }
    }

    /// Dismisses those at once that would be dismissed some time.
    pub fn hasten(&mut self, now: Instant) {
        for (_, child) in &mut self.slab {
            if matches!(child.fate, Fate::Limited(_)) {
                child.dismiss(now);
            }
        }
    }

    /// Kills all there are: the server ends.
    pub fn kill_all(&mut self) {
        self.slab.iter_mut().for_each(|(_, child)| child.kill());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// An event says that a child has ended: collects it.
    pub fn collect(&mut self, index: u32) {
        let Some(child) = self.slab.get_mut(index as usize) else { return };
        // Before it is collected, for its number is then no longer its own.
        if matches!(child.fate, Fate::Asked(_) | Fate::Killed) && child.process.has_ended() {
            child.process.kill();
        }
        if let Some(ending) = child.process.collect() {
            let parent = child.parent;
            self.slab.remove(index as usize);
            self.ended.push((parent, ending));
        }
    }

    /// When `see_to` is to be called at the latest.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        self.slab.iter().filter_map(|(_, child)| child.next(now)).min()
    }

    /// Ends those whose time has come.
    pub fn see_to(&mut self, now: Instant) {
        let mut unwatched = Vec::new();
        for (index, child) in &mut self.slab {
            match child.fate {
                Fate::Limited(at) if at <= now => child.dismiss(now),
                Fate::Asked(at) if at <= now => child.kill(),
                _ => {}
            }
            if child.watch.is_none() {
                unwatched.push(index);
            }
        }
        for index in unwatched {
            self.collect(u32::try_from(index).unwrap_or(u32::MAX));
        }
    }

    /// Takes one that has ended and was collected.
    pub fn pop_ended(&mut self) -> Option<(Parent, Ending)> {
        self.ended.pop()
    }
}

impl Child {
    fn dismiss(&mut self, now: Instant) {
        if matches!(self.fate, Fate::Free | Fate::Limited(_)) {
            self.process.terminate();
            self.fate = Fate::Asked(now + GRACE);
        }
    }

    fn kill(&mut self) {
        self.process.kill();
        self.fate = Fate::Killed;
    }

    fn next(&self, now: Instant) -> Option<Instant> {
        let due = match self.fate {
            Fate::Limited(at) | Fate::Asked(at) => Some(at),
            Fate::Free | Fate::Killed => None,
        };
        let look = (self.watch.is_none()).then(|| now + LOOK_EVERY);
        [due, look].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Target};
    use crate::sys::process::{self, Launch, Limits};
    use mio::{Events, Poll};
    use std::fs::File;
    use std::io::Read;
    use std::process::Stdio;

    fn started(script: &str) -> (Process, File) {
        let (read, write) = process::pipe().unwrap();
        let launch = Launch {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
            folder: "/".into(),
            stdin: Stdio::null(),
            stdout: write.into(),
            stderr: Stdio::null(),
            user: None,
            limits: Limits::default(),
        };
        (launch.spawn().unwrap(), File::from(read))
    }

    /// Runs a loop, with a clock that goes a second each round, until a child has ended.
    fn end_of_one(children: &mut Children, poll: &mut Poll, sources: &Sources) -> (Parent, Ending) {
        let mut events = Events::with_capacity(8);
        for round in 0..2000u64 {
            poll.poll(&mut events, Some(Duration::from_millis(10))).unwrap();
            for event in &events {
                let Event { target, readiness } = Event::of(event).unwrap();
                let Target::Source(id) = target else { panic!() };
                let Some(Owner::Child(index)) = sources.mark(id, readiness) else { panic!() };
                children.collect(index);
            }
            children.see_to(Instant::now() + Duration::from_secs(round));
            if let Some(ended) = children.pop_ended() {
                return ended;
            }
        }
        panic!("it does not end")
    }

    #[test]
    fn every_child_is_collected_and_its_parent_told() {
        let mut poll = Poll::new().unwrap();
        let mut children = Children::default();
        let sources = Sources::new(poll.registry().try_clone().unwrap());
        let parent = |tag| Parent { service: ServiceId(3), tag };
        let (process, _) = started("exit 4");
        let first = children.adopt(process, parent(1), &sources);
        assert_eq!(end_of_one(&mut children, &mut poll, &sources), (parent(1), Ending::Exited(4)));
        assert!(children.is_empty());
        let (process, _out) = started("exec sleep 600");
        let second = children.adopt(process, parent(2), &sources);
        // The name of the first means nobody any more.
        children.kill(first);
        children.dismiss_at(second, Instant::now());
        assert_eq!(
            end_of_one(&mut children, &mut poll, &sources),
            (parent(2), Ending::Signalled(15))
        );
    }

    #[test]
    fn who_does_not_listen_is_killed_with_all_it_has_started() {
        let mut poll = Poll::new().unwrap();
        let mut children = Children::default();
        let sources = Sources::new(poll.registry().try_clone().unwrap());
        let parent = Parent { service: ServiceId(0), tag: 0 };
        let (process, mut out) = started("trap '' TERM; echo .; while :; do sleep 600; done");
        out.read_exact(&mut [0; 2]).unwrap();
        let id = children.adopt(process, parent, &sources);
        children.dismiss(id, Instant::now());
        assert_eq!(end_of_one(&mut children, &mut poll, &sources), (parent, Ending::Signalled(9)));
        // A leader that obeys leaves a straggler that does not.
        let script = "(trap '' TERM; echo .; while :; do sleep 600; done) & echo .; wait";
        let (process, mut out) = started(script);
        out.read_exact(&mut [0; 4]).unwrap();
        let id = children.adopt(process, parent, &sources);
        children.dismiss(id, Instant::now());
        assert_eq!(end_of_one(&mut children, &mut poll, &sources), (parent, Ending::Signalled(15)));
        assert_eq!(out.read(&mut [0]).unwrap(), 0, "the straggler holds the pipe no longer");
    }
}

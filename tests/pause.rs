//! A server that did not run for a while: stopped, swapped out, on a machine that slept.

use crate::cgi::scripts;
use crate::support::{Wire, get};
use rustix::process::Signal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[test]
fn a_stream_that_went_on_meanwhile_is_not_taken_for_silent() {
    let counting = "#!/bin/sh\nprintf 'X: y\\n\\n'\nn=0\nwhile [ ! -e ../enough ]; do n=$((n + 1)); \
                    echo $n; sleep 0.02; done\necho end\n";
    let server = scripts("timeout = \"3s\"", &[("count", counting)]);
    let mut stream = Wire::connect(&server);
    stream.send(get("/cgi/count"));
    let stop = AtomicBool::new(false);
    let answer = std::thread::scope(|scope| {
        // Others keep the server busy, so that it is stopped with their events in its hands.
        for _ in 0..2 {
            scope.spawn(|| {
                let mut wire = Wire::connect(&server);
                while !stop.load(Ordering::Relaxed) {
                    wire.get("/none");
                }
            });
        }
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(200));
            server.signal(Signal::STOP);
            std::thread::sleep(Duration::from_millis(3300));
            server.signal(Signal::CONT);
        }
        server.write("enough", "");
        let answer = stream.try_response("GET");
        stop.store(true, Ordering::Relaxed);
        answer
    });
    let answer = answer.expect("complete").expect("an answer");
    assert!(answer.text().ends_with("\nend\n"), "{}", server.read("stderr.txt"));
}

#[test]
fn who_has_sent_meanwhile_is_served() {
    let server = scripts("", &[]);
    let mut wires: Vec<_> = (0..50).map(|_| Wire::connect(&server)).collect();
    for wire in &mut wires {
        assert_eq!(wire.get("/none").status, 404);
    }
    server.signal(Signal::STOP);
    for wire in &mut wires {
        wire.send(get("/none"));
    }
    std::thread::sleep(Duration::from_secs(2));
    server.signal(Signal::CONT);
    for wire in &mut wires {
        assert_eq!(wire.response().status, 404);
    }
}

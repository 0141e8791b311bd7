//! One thread for all: nobody waits for somebody else's large file.

use crate::support::{TestServer, Wire, get};
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

#[test]
fn small_requests_beside_a_download_an_upload_and_a_pipeline() {
    let config = "[[host]]\nroot = \"root\"\nupload = true\n";
    let server = TestServer::new(config, &[("root/a.txt", "hello")]);
    File::create(server.path("root/large.bin")).unwrap().set_len(1 << 30).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Endless traffic of three kinds, each ended by `done`.
        scope.spawn(|| {
            let mut wire = Wire::connect(&server);
            wire.send(get("/large.bin"));
            while !done.load(Relaxed) {
                wire.take(1 << 20).unwrap();
            }
        });
        scope.spawn(|| {
            let body = vec![b'x'; 10 << 20];
            let mut wire = Wire::connect(&server);
            while !done.load(Relaxed) {
                wire.send("PUT /new.bin HTTP/1.1\r\nHost: a\r\nContent-Length: 10485760\r\n\r\n");
                assert!(matches!(wire.send(&body).response().status, 201 | 204));
            }
        });
        scope.spawn(|| {
            let mut wire = Wire::connect(&server);
            while !done.load(Relaxed) {
                wire.send(get("/a.txt").repeat(100));
                for _ in 0..100 {
                    wire.response();
                }
            }
        });
        let mut wire = Wire::connect(&server);
        for _ in 0..100 {
            assert_eq!(wire.get("/a.txt").text(), "hello");
            assert_eq!(server.get("/none").status, 404);
        }
        done.store(true, Relaxed);
    });
}

#[test]
fn clients_that_do_nothing_disturb_nobody() {
    let server = TestServer::of_files(&[("root/a.txt", "hello")]);
    File::create(server.path("root/large.bin")).unwrap().set_len(64 << 20).unwrap();
    let stuck: Vec<_> = (0..60)
        .map(|n| {
            let mut wire = Wire::connect(&server);
            wire.send(["", "GET /a.txt HTTP/1.1\r\n", &get("/large.bin")][n % 3]);
            wire
        })
        .collect();
    for _ in 0..100 {
        assert_eq!(server.get("/a.txt").text(), "hello");
    }
    let before = server.cpu();
    std::thread::sleep(Duration::from_secs(1));
    let used = server.cpu() - before;
    assert!(used < Duration::from_millis(200), "{used:?} of a second for clients that stand still");
    drop(stuck);
}

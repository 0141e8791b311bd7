//! The real binary, running.

use super::{PATIENCE, Response, Wire, eventually, folder, get, repository};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A server in a folder of its own. Stopped when it is dropped; a panic of it fails the test.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    /// Where it speaks TLS.
    pub(crate) secure: SocketAddr,
    pub(crate) banner: String,
    child: Child,
    folder: tempfile::TempDir,
}

/// What a server is started with.
pub(crate) struct Start {
    folder: tempfile::TempDir,
    arguments: Vec<OsString>,
    /// A shell script that ends in `exec "$@"`.
    wrapper: Option<&'static str>,
    /// Where it is started.
    place: PathBuf,
}

impl Start {
    /// With this configuration, and these files beside it. Where the configuration does not speak
    /// of `[server]` and `[log]`, it listens on a free port, and writes access.log.
    pub(crate) fn new(config: &str, files: &[(&str, &str)]) -> Self {
        let folder = folder(files);
        std::fs::write(folder.path().join("web.conf"), complete(config)).unwrap();
        let arguments = vec!["-c".into(), folder.path().join("web.conf").into()];
        let place = folder.path().to_owned();
        Self { folder, arguments, wrapper: None, place }
    }

    /// Without a configuration, at a place in `folder`.
    pub(crate) fn quick(folder: tempfile::TempDir, place: &Path, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().chain(&["-p", "0"]).map(OsString::from).collect();
        Self { folder, arguments, wrapper: None, place: place.to_owned() }
    }

    /// With the configuration that comes with the source, on free ports.
    pub(crate) fn shipped() -> Self {
        let folder = folder(&[]);
        let arguments =
            vec!["-c".into(), repository("conf/web.conf").into(), "-p".into(), "0".into()];
        let place = folder.path().to_owned();
        Self { folder, arguments, wrapper: None, place }
    }

    pub(crate) fn arguments(mut self, more: &[&str]) -> Self {
        self.arguments.extend(more.iter().map(OsString::from));
        self
    }

    pub(crate) fn wrapper(mut self, script: &'static str) -> Self {
        self.wrapper = Some(script);
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn run(self) -> TestServer {
        let errors = File::create(self.folder.path().join("stderr.txt")).unwrap();
        let binary = env!("CARGO_BIN_EXE_httpyserver");
        let mut command = match self.wrapper {
            Some(script) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", script, "sh", binary]);
                shell
            }
            None => Command::new(binary),
        };
        command.args(&self.arguments).current_dir(&self.place);
        command.env("STATE_DIRECTORY", self.folder.path().join("state"));
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let banner = wait_ready(&mut child).unwrap_or_else(|so_far| {
            let said = std::fs::read_to_string(self.folder.path().join("stderr.txt"));
            let _ = child.kill();
            panic!("the server does not start: {so_far}{}", said.unwrap_or_default());
        });
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let address = address_in(&banner, "http").unwrap_or(nowhere);
        let secure = address_in(&banner, "https").unwrap_or(nowhere);
        TestServer { address, secure, banner, child, folder: self.folder }
    }
}

impl TestServer {
    /// A server with this configuration and these files.
    pub(crate) fn new(config: &str, files: &[(&str, &str)]) -> Self {
        Start::new(config, files).run()
    }

    /// A server of the folder `root`, which has these files.
    pub(crate) fn of_files(files: &[(&str, &str)]) -> Self {
        Self::new("[[host]]\nroot = \"root\"\n", files)
    }

    /// Sends a request on a connection of its own and reads the answer.
    pub(crate) fn ask(&self, request: impl AsRef<[u8]>) -> Response {
        let mut wire = Wire::connect(self);
        wire.send(request);
        wire.response()
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.ask(get(path))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Writes another configuration; HUP makes it count.
    pub(crate) fn configure(&self, config: &str) {
        self.write("web.conf", complete(config));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// A file beside the configuration, as far as it is written.
    pub(crate) fn read(&self, name: &str) -> String {
        let bytes = std::fs::read(self.path(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until a file has a text in it, and returns the file.
    pub(crate) fn read_until(&self, name: &str, text: &str) -> String {
        let found = eventually(|| Some(self.read(name)).filter(|read| read.contains(text)));
        found.unwrap_or_else(|| panic!("no {text:?} in {name}:\n{}", self.read(name)))
    }

    /// Waits for the end of the process.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        eventually(|| self.child.try_wait().unwrap()).expect("the server does not end")
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Memory in use, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(self.proc("fd")).unwrap().count()
    }

    /// As [`descriptors`](Self::descriptors), once it watches its certificates: with that it begins a
    /// moment after its start.
    pub(crate) fn descriptors_of_watcher(&self) -> usize {
        let is_watch = |entry: std::fs::DirEntry| {
            std::fs::read_link(entry.path())
                .is_ok_and(|to| to.to_string_lossy().contains("inotify"))
        };
        let folder = self.proc("fd");
        let watches = || std::fs::read_dir(&folder).unwrap().flatten().any(is_watch).then_some(());
        eventually(watches).unwrap();
        self.descriptors()
    }

    /// Processor time used.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(self.proc("stat")).unwrap();
        let after_name = stat.rsplit_once(')').unwrap().1;
        let ticks = |n| after_name.split_whitespace().nth(n).unwrap().parse::<u64>().unwrap();
        // The kernel shows ticks of 10 ms, whatever its own are (USER_HZ, proc_pid_stat(5)).
        Duration::from_millis((ticks(11) + ticks(12)) * 10)
    }

    fn proc(&self, name: &str) -> PathBuf {
        format!("/proc/{}/{name}", self.child.id()).into()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // Twice: what is in flight is of no interest any more.
        for _ in 0..2 {
            let _ = kill_process(self.pid(), Signal::TERM);
            let deadline = Instant::now() + Duration::from_millis(300);
            while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let said = self.read("stderr.txt");
        if !std::thread::panicking() {
            assert!(!said.contains("panic"), "the server panicked:\n{said}");
        }
    }
}

/// Adds what the harness needs to a configuration that does not have it.
fn complete(config: &str) -> String {
    let mut text = config.to_owned();
    if !text.contains("[server]") {
        text += "\n[server]\nlisten = \"http://127.0.0.1:0\"\n";
    }
    // Longer than any test waits: what ends, ends for another reason.
    if !text.contains("[timeouts]") {
        text += "\n[timeouts]\n";
        for name in ["header", "body", "idle", "write", "handshake", "shutdown"] {
            text += &format!("{name} = \"10m\"\n");
        }
    }
    if !text.contains("[log]") {
        text += "\n[log]\naccess = \"access.log\"\n";
    }
    text
}

/// What it prints until it is ready; the rest is read and dropped, so that it never blocks.
fn wait_ready(child: &mut Child) -> Result<String, String> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let deadline = Instant::now() + PATIENCE;
    let mut banner = String::new();
    while let Ok(line) = receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        banner += &line;
        banner.push('\n');
        if line == "ready" {
            return Ok(banner);
        }
    }
    Err(banner)
}

/// The first address of a banner with that scheme.
fn address_in(banner: &str, scheme: &str) -> Option<SocketAddr> {
    let (_, after) = banner.split_once(&format!(" {scheme}://"))?;
    let (address, _) = after.split_once('/')?;
    address.replace("localhost", "127.0.0.1").parse().ok()
}

//! Starting programs, ending them, and collecting what is left of them.
//!
//! Every program leads a process group of its own, so that what it starts can be ended with it.
//! All our descriptors close themselves at `exec`: a program gets the three it is given and no
//! other.

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, PidfdFlags, Signal, WaitIdOptions, WaitOptions};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A program to be started.
#[derive(Debug)]
pub struct Launch {
    /// The program; its path has a slash, so that no search for it is needed.
    pub program: PathBuf,
    /// Its arguments, without its name.
    pub arguments: Vec<OsString>,
    /// All of its environment: nothing of ours is handed down.
    pub environment: Vec<(OsString, OsString)>,
    /// The folder it starts in.
    pub folder: PathBuf,
    /// What it reads.
    pub stdin: Stdio,
    /// Where it writes.
    pub stdout: Stdio,
    /// Where it complains.
    pub stderr: Stdio,
    /// The account it becomes; `None`: ours. Only root can start programs as somebody else.
    pub user: Option<Account>,
    /// What it may use.
    pub limits: Limits,
}

/// What a program may use. Its children inherit the limits, each of them anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of address space.
    pub memory: Option<u64>,
    /// Processor time, in whole seconds, at least one.
    pub cpu: Option<Duration>,
}

/// An account of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    user: u32,
    group: u32,
    name: String,
    home: PathBuf,
}

impl Account {
    /// The account of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn named(name: &str) -> io::Result<Self> {
        let user = nix::unistd::User::from_name(name)?
            .ok_or_else(|| io::Error::other(format!("there is no user {name:?}")))?;
        let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
        Ok(Self { user: uid, group: gid, name: user.name, home: user.dir })
    }

    /// What is different in the environment of whoever has this account.
    pub fn environment(&self) -> [(OsString, OsString); 2] {
        let (name, home) = (self.name.clone().into(), self.home.clone().into_os_string());
        [("USER".into(), name), ("HOME".into(), home)]
    }
}

/// A program that was started and not yet collected.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    /// Readable once the program has ended; `None` where the kernel has no such descriptors.
    watch: Option<OwnedFd>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
}

impl Launch {
    /// Starts it. Waits until the kernel has begun to load the program, some 0.1 ms: a program that
    /// is missing or no program is an error here, not later.
    ///
    /// Without a change of user the standard library uses `posix_spawn`, which does not copy our
    /// page tables.
    ///
    /// # Errors
    /// It is missing, may not be executed, or there is no room for another process; a text with a
    /// NUL byte cannot be handed to a program.
    pub fn spawn(self) -> io::Result<Process> {
        debug_assert!(self.program.as_os_str().as_encoded_bytes().contains(&b'/'));
        let mut command = match self.limits.script() {
            None => Command::new(&self.program),
            Some(script) => limited(&self.program, &script),
        };
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment)
            .current_dir(&self.folder)
            .stdin(self.stdin)
            .stdout(self.stdout)
            .stderr(self.stderr)
            .process_group(0);
        if let Some(account) = self.user {
            // The standard library drops our supplementary groups with the user.
            command.uid(account.user).gid(account.group);
        }
        let child = command.spawn()?;
        let pid = Pid::from_child(&child);
        let watch = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok();
        Ok(Process { pid, watch })
    }
}

/// The program behind a shell that sets its limits and becomes it: a limit set from outside would
/// come after the program's first instructions. Neither path nor arguments are read as shell.
fn limited(program: &Path, script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args([OsStr::new("-c"), OsStr::new(script), OsStr::new("sh"), program.as_os_str()]);
    command
}

impl Limits {
    /// What sets them, as shell; `None` if there are none.
    fn script(self) -> Option<String> {
        if self == Self::default() {
            return None;
        }
        let mut script = String::new();
        if let Some(bytes) = self.memory {
            script += &format!("ulimit -v {} && ", (bytes / 1024).max(1));
        }
        if let Some(time) = self.cpu {
            script += &format!("ulimit -t {} && ", time.as_secs().max(1));
        }
        // The shell exports its working folder: the program's environment is what it was given.
        Some(script + "unset PWD OLDPWD && exec \"$@\"")
    }
}

impl Process {
    /// Its number, for logs.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// The descriptor that becomes readable when it ends, if there are such descriptors; once.
    pub fn take_watch(&mut self) -> Option<OwnedFd> {
        self.watch.take()
    }

    /// Asks it, and whatever it has started, to end.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends it, and whatever it has started.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Its number stands for its group as long as it is not collected, dead or alive: nobody else
    /// is hit.
    fn signal(&self, signal: Signal) {
        // No such group: all are gone, and that is what was wanted.
        let _ = rustix::process::kill_process_group(self.pid, signal);
    }

    /// Whether it has ended. Does not collect it.
    pub fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = rustix::process::waitid(rustix::process::WaitId::Pid(self.pid), options);
        !matches!(status, Ok(None))
    }

    /// Collects it if it has ended; never waits. `None`: it is still there. Afterwards its number
    /// may be anybody's, so no signal may follow.
    pub fn collect(&mut self) -> Option<Ending> {
        match rustix::process::waitpid(Some(self.pid), WaitOptions::NOHANG) {
            Ok(None) | Err(Errno::INTR) => None,
            Ok(Some((_, status))) => {
                Some(match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => Ending::Exited(code),
                    (None, Some(signal)) => Ending::Signalled(signal),
                    (None, None) => return None,
                })
            }
            // Somebody else has collected it.
            Err(_) => Some(Ending::Exited(0)),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "it ended with code {code}"),
            Self::Signalled(signal) => write!(f, "it was ended by signal {signal}"),
        }
    }
}

/// A pipe: the end to read from and the end to write to. Both close at `exec`; the one a program
/// is given is not affected by that.
///
/// # Errors
/// Too many descriptors.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?)
}

/// Lets reads and writes fail with `WouldBlock` instead of waiting. For our end only: the other
/// end of a pipe does not notice.
///
/// # Errors
/// None that has a reason.
pub fn set_nonblocking(fd: &impl AsFd) -> io::Result<()> {
    Ok(rustix::fs::fcntl_setfl(fd, OFlags::NONBLOCK)?)
}

/// How long the main thread of a process was ready to run and had no processor (the second number of
/// /proc/PID/schedstat, in nanoseconds); `None` where the kernel does not count that.
pub fn waited_for_processor(pid: u32) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    let nanoseconds = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// Bytes of memory that a process occupies.
pub fn resident(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;
    use std::time::Instant;

    fn launch(program: &str, arguments: &[&str]) -> Launch {
        Launch {
            program: program.into(),
            arguments: arguments.iter().map(OsString::from).collect(),
            environment: vec![("A".into(), "1".into())],
            folder: "/".into(),
            stdin: Stdio::null(),
            stdout: Stdio::null(),
            stderr: Stdio::null(),
            user: None,
            limits: Limits::default(),
        }
    }

    fn ending(process: &mut Process) -> Ending {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(ending) = process.collect() {
                return ending;
            }
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn said(mut launch: Launch) -> (String, Ending) {
        let (read, write) = pipe().unwrap();
        launch.stdout = write.into();
        let mut process = launch.spawn().unwrap();
        let mut text = String::new();
        File::from(read).read_to_string(&mut text).unwrap();
        (text, ending(&mut process))
    }

    #[test]
    fn the_environment_is_what_was_given() {
        let done = Ending::Exited(0);
        assert_eq!(said(launch("/usr/bin/env", &[])), ("A=1\n".into(), done));
        let limits = Limits { memory: Some(256 << 20), cpu: Some(Duration::from_secs(9)) };
        let limited = Launch { limits, ..launch("/usr/bin/env", &[]) };
        let (text, ending) = said(limited);
        assert!(text.contains("A=1\n") && !text.contains("PWD="), "{text}");
        assert_eq!(ending, done);
    }

    #[test]
    fn limits_hold_before_the_program_runs() {
        let limits = Limits { memory: Some(256 << 20), cpu: Some(Duration::from_secs(9)) };
        let script = "ulimit -v; ulimit -t; ulimit -H -v; echo $0 $1";
        let program = launch("/bin/sh", &["-c", script, "; echo no", "$(echo no)"]);
        let (text, _) = said(Launch { limits, ..program });
        assert_eq!(text, "262144\n9\n262144\n; echo no $(echo no)\n");
    }

    #[test]
    fn endings_are_told_and_groups_ended() {
        let mut process = launch("/bin/sh", &["-c", "exit 7"]).spawn().unwrap();
        assert_eq!(ending(&mut process), Ending::Exited(7));
        let (read, write) = pipe().unwrap();
        let mut group = launch("/bin/sh", &["-c", "sleep 600 & wait"]);
        group.stdout = write.into();
        let mut process = group.spawn().unwrap();
        assert!(process.collect().is_none() && !process.has_ended());
        process.kill();
        // The end of file says that the grandchild is gone too.
        assert_eq!(File::from(read).read(&mut [0]).unwrap(), 0);
        assert_eq!(ending(&mut process), Ending::Signalled(9));
        assert!(launch("/nowhere/none", &[]).spawn().is_err());
    }

    #[test]
    fn no_descriptor_is_handed_down() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (text, _) = said(launch("/bin/ls", &["-l", "/proc/self/fd"]));
        let name = file.path().to_str().unwrap();
        assert!(text.contains(" 1 -> pipe:") && !text.contains(name), "{text}");
    }
}

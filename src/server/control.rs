//! Orders from outside: signals, as one more source of the poll.

use crate::event::Target;
use mio::{Interest, Registry};
use signal_hook::consts::{
    SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2,
};
use signal_hook_mio::v1_0::Signals;
use std::io;
use std::sync::Arc;

/// What somebody asks of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Read the configuration again (HUP).
    Reload,
    /// Open the log files again (USR1).
    Reopen,
    /// Say on the log how things stand (USR2).
    Report,
    /// One worker more of every application (TTIN).
    More,
    /// One worker fewer (TTOU).
    Fewer,
    /// Finish what is in flight, within the time allowed (TERM, INT); the second time: now.
    Stop,
    /// Finish what is in flight, however long it takes (QUIT).
    StopPatiently,
}

/// Where signals arrive.
pub struct Control {
    signals: Signals,
}

impl Control {
    /// Takes the signals over.
    ///
    /// # Errors
    /// Those of `sigaction` and `epoll_ctl`.
    pub fn new(registry: &Registry) -> io::Result<Self> {
        let mut signals =
            Signals::new([SIGHUP, SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGQUIT, SIGTTIN, SIGTTOU])?;
        if is_ignored(SIGCHLD) {
            // Whoever started us does not collect children, and the kernel would throw away how ours
            // end. Any handler has it keep that.
            signal_hook::flag::register(SIGCHLD, Arc::default())?;
        }
        registry.register(&mut signals, Target::Signals.token(), Interest::READABLE)?;
        Ok(Self { signals })
    }

    /// The orders that have arrived since it was last asked.
    pub fn take(&mut self) -> Vec<Order> {
        let order = |signal| match signal {
            SIGHUP => Order::Reload,
            SIGUSR1 => Order::Reopen,
            SIGUSR2 => Order::Report,
            SIGQUIT => Order::StopPatiently,
            SIGTTIN => Order::More,
            SIGTTOU => Order::Fewer,
            _ => Order::Stop,
        };
        self.signals.pending().map(order).collect()
    }
}

/// Whether a signal is ignored, which is handed down from whoever starts a program.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal - 1)) != 0
}

//! What a connection may use while it is driven.

use super::access_log::AccessLog;
use super::transaction::Transaction;
use crate::event::{Budget, Cx};
use crate::net::SendQueue;
use crate::site::Site;
use crate::tls::Secured;
use std::rc::Rc;

/// What the loop lends a connection: its own fields beside the table of connections.
pub struct DriveContext<'a> {
    /// Services of the loop.
    pub cx: &'a mut Cx,
    /// What requests are answered from.
    pub site: &'a Rc<Site>,
    /// One line for each request.
    pub log: &'a mut AccessLog,
    /// Memory for requests and answers in progress.
    pub free: &'a mut FreeList,
    /// The certificates.
    pub tls: Option<&'a Secured>,
    /// The port that plain requests are redirected to.
    pub https_port: Option<u16>,
    /// How many bytes may still be moved.
    pub budget: Budget,
    /// The server stops: answers end their connections.
    pub stopping: bool,
}

/// Transactions and send queues that are not in use. Last in, first out, so that one connection
/// after the other works in the same warm memory.
#[derive(Default)]
#[allow(clippy::vec_box)] // the boxes go from here into connections and back, and stay boxes
pub struct FreeList {
    transactions: Vec<Box<Transaction>>,
    queues: Vec<Box<SendQueue>>,
}

impl FreeList {
    /// A transaction without a request.
    pub(super) fn transaction(&mut self) -> Box<Transaction> {
        self.transactions.pop().unwrap_or_default()
    }

    /// Takes back a transaction that was reset.
    pub(super) fn give_transaction(&mut self, transaction: Box<Transaction>) {
        if self.transactions.len() < KEPT {
            self.transactions.push(transaction);
        }
    }

    /// An empty send queue.
    pub(super) fn queue(&mut self) -> Box<SendQueue> {
        self.queues.pop().unwrap_or_default()
    }

    /// Takes back a queue that was sent.
    pub(super) fn give_queue(&mut self, queue: Box<SendQueue>) {
        if self.queues.len() < KEPT {
            self.queues.push(queue);
        }
    }
}

/// Transactions and queues that are kept, of each.
const KEPT: usize = 64;

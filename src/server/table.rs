//! The connections: who lives in which slot.
//!
//! Architecture invariant: nothing outside this file inserts or removes a connection.

use super::connection::ClientConnection;
use crate::event::ConnId;
use slab::Slab;

/// All connections. A slot is used again; the generation in an id tells its tenants apart, so that
/// a late event, wake or timer of a former one finds nobody.
#[derive(Debug, Default)]
pub struct ConnTable {
    slab: Slab<ClientConnection>,
    generation: u32,
}

impl ConnTable {
    /// Inserts the connection that `make` makes for its id.
    pub fn insert(
        &mut self,
        make: impl FnOnce(ConnId) -> ClientConnection,
    ) -> &mut ClientConnection {
        self.generation = (self.generation + 1) % ConnId::GENERATIONS;
        let vacant = self.slab.vacant_entry();
        let id = ConnId { index: vacant.key() as u32, generation: self.generation };
        vacant.insert(make(id))
    }

    /// The connection of that id, if it still lives.
    pub fn get(&mut self, id: ConnId) -> Option<&mut ClientConnection> {
        self.slab.get_mut(id.index as usize).filter(|connection| connection.id() == id)
    }

    /// Removes a connection; its socket closes.
    pub fn remove(&mut self, id: ConnId) -> Option<ClientConnection> {
        self.get(id)?;
        self.slab.try_remove(id.index as usize)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// The names of all, for dealing with each while others may go.
    pub fn everybody(&mut self) -> Vec<ConnId> {
        self.iter_mut().map(|connection| connection.id()).collect()
    }

    /// All of them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut ClientConnection> {
        self.slab.iter_mut().map(|(_, connection)| connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Transport;
    use crate::serve::Peer;
    use std::time::Instant;

    #[test]
    fn a_former_tenant_of_a_slot_is_not_found() {
        let mut table = ConnTable::default();
        let make = |id| {
            let transport = Transport::Scripted(Default::default());
            ClientConnection::new(id, transport, Peer::Local, 80, false, Instant::now())
        };
        let first = table.insert(make).id();
        assert!(table.remove(first).is_some());
        let second = table.insert(make).id();
        assert_eq!(first.index, second.index);
        assert!(table.get(first).is_none() && table.remove(first).is_none());
        assert!(table.get(second).is_some());
        assert_eq!(table.len(), 1);
    }
}

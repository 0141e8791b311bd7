//! The tables of HPACK: fields that everybody knows, and those that one side has told the other
//! (RFC 7541 §2.3).

use std::collections::VecDeque;

/// Fields that everybody knows, from index 1 on (RFC 7541 appendix A).
pub const STATIC: [(&[u8], &[u8]); 61] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

/// What a field costs beside its bytes (RFC 7541 §4.1).
const ENTRY_COST: usize = 32;

/// The fields that were told, the newest first.
#[derive(Debug)]
pub struct DynamicTable {
    fields: VecDeque<Field>,
    size: usize,
    limit: usize,
}

/// Name and value in one piece of memory.
#[derive(Debug)]
struct Field {
    bytes: Box<[u8]>,
    name: usize,
}

impl Field {
    fn cost(&self) -> usize {
        self.bytes.len() + ENTRY_COST
    }
}

impl DynamicTable {
    /// A table of at most `limit` bytes, as they are counted.
    pub fn new(limit: usize) -> Self {
        Self { fields: VecDeque::new(), size: 0, limit }
    }

    /// What it may hold.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes that it holds, as they are counted.
    #[cfg(test)]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Lets it hold `limit` bytes from now on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        self.evict(0);
    }

    /// The field at an index behind the static ones; 0 is the newest.
    pub fn get(&self, index: usize) -> Option<(&[u8], &[u8])> {
        self.fields.get(index).map(|field| field.bytes.split_at(field.name))
    }

    /// Where this field is.
    pub fn find(&self, name: &[u8], value: &[u8]) -> Option<usize> {
        self.fields.iter().position(|field| field.bytes.split_at(field.name) == (name, value))
    }

    /// Adds a field, for which older ones give way. One that does not fit at all empties the table
    /// (RFC 7541 §4.4).
    pub fn insert(&mut self, name: &[u8], value: &[u8]) {
        let field = Field { bytes: [name, value].concat().into(), name: name.len() };
        self.evict(field.cost());
        if self.size + field.cost() <= self.limit {
            self.size += field.cost();
            self.fields.push_front(field);
        }
    }

    /// Makes room for `cost` bytes.
    fn evict(&mut self, cost: usize) {
        while self.size + cost > self.limit
            && let Some(field) = self.fields.pop_back()
        {
            self.size -= field.cost();
        }
    }
}

//! The guarded entrance: every call from the loop into code that may panic goes through it.
//!
//! A panic in a connection, an exchange, a handler or an application ends that call and nothing else.
//! What the call had half done is the caller's to mend: it ends the transaction, refuses the reload,
//! or removes the connection.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A call ended by a panic.
#[derive(Debug)]
pub(super) struct Panicked {
    /// What the panic said.
    pub(super) text: String,
}

/// Calls `call`, and catches its panic. Everything that `call` borrows is looked at again by the
/// caller as if the call had failed half-way.
pub(super) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| Panicked { text: text_of(payload) })
}

fn text_of(payload: Box<dyn Any + Send>) -> String {
    let text = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "no text".to_owned(),
    };
    // A payload of an unknown type may panic again when it is dropped: it is leaked instead.
    std::mem::forget(payload);
    text
}

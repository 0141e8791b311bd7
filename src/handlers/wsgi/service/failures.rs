//! What are clients told whose requests fail?

use super::super::pool::Failure;
use super::AppService;
use crate::http::{HttpError, Status};

/// What is said to clients whose application is not there, however little there is to do.
const DOES_NOT_START: &str =
    "The application that makes this page does not start. It has been written to the log.";
const STARTS: &str =
    "The application that makes this page is still starting. Please try again in a moment.";
const STOPS: &str =
    "The application that makes this page is being stopped. Please try again in a moment.";

impl AppService {
    pub(super) fn error(&self, why: Failure) -> HttpError {
        match why {
            Failure::QueueFull => self.unavailable("its queue is full", 1),
            Failure::Stopped => self.unavailable("it was stopped", 1).with_advice(STOPS),
            Failure::CannotLoad(seconds) => {
                self.unavailable("it cannot be loaded", seconds).with_advice(DOES_NOT_START)
            }
            Failure::NoneFree => self.unavailable("no worker was free in time", 1),
            Failure::NoneReady => {
                self.unavailable("no worker was ready in time", 1).with_advice(STARTS)
            }
            Failure::WorkerEnded(how) => {
                let reason = format!("the worker that had it is gone: {how}");
                HttpError::new(Status::BAD_GATEWAY, reason)
            }
            Failure::Stuck => HttpError::new(Status::GATEWAY_TIMEOUT, "the worker took too long"),
        }
    }

    fn unavailable(&self, why: &str, seconds: u64) -> HttpError {
        HttpError::new(Status::SERVICE_UNAVAILABLE, self.say(why))
            .with_header("Retry-After", &seconds.to_string())
    }
}

//! The attempts at one request: retries and pauses, up to the verdict of the receiver.
//!
//! The seam between encoding and transport. It knows bytes and deadlines, no signal.

use std::thread;
use std::time::Duration;

use bytes::Bytes;
use telemark_sdk::runtime::is_ending;
use telemark_sdk::time::Deadline;
use telemark_sdk::{ExportError, ExportReport, id};

use super::retry::{Decision, Retry, RetryConfig};
use crate::transport::{Failure, Transport};

/// The maximum time for which a receiver can hold back further batches.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// The verdict on a request that was not accepted. Its retries are over.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The request was too large. The same items may be accepted in smaller requests.
    TooLarge(ExportError),
    /// The receiver rejected this request, and may accept others.
    Rejected(ExportError),
    /// The receiver cannot be reached, is busy, or did not respond in time: no other request has better prospects.
    Failed(ExportError),
}

/// Sends encoded requests, one at a time, on the calling thread.
#[derive(Debug)]
pub(crate) struct Delivery {
    transport: Transport,
    retry: RetryConfig,
    /// The end of the pause that the receiver asked for.
    pause: Option<Deadline>,
}

impl Delivery {
    pub(crate) fn new(transport: Transport, retry: RetryConfig) -> Self {
        Delivery { transport, retry, pause: None }
    }

    /// Returns the number of bytes that a message must leave free at its beginning.
    pub(crate) fn headroom(&self) -> usize {
        self.transport.headroom()
    }

    /// Sends a message until the receiver accepts or refuses it or the deadline passes. Blocks until then.
    ///
    /// The message is complete, its headroom filled by [`Self::frame`], and does not change between attempts. `len` is its
    /// larger length, before compression or after it.
    ///
    /// spec: protocol/exporter.md — the timeout covers all attempts and the waits between them
    pub(crate) fn deliver(&mut self, message: &Bytes, len: usize, deadline: Deadline) -> Result<ExportReport, Refusal> {
        self.wait_for_pause(deadline).map_err(Refusal::Failed)?;
        let mut retry = Retry::new(self.retry);
        let mut last = None;
        loop {
            let (error, asked) = match self.transport.send(message.clone(), len, deadline) {
                Ok(report) => return Ok(report.with_retries(retry.retries())),
                Err(Failure::TooLarge(error)) => return Err(Refusal::TooLarge(error.with_retries(retry.retries()))),
                Err(Failure::Final(error)) => return Err(final_refusal(error.with_retries(retry.retries()))),
                Err(Failure::Transient { error, asked }) => (error, asked),
                Err(Failure::Timeout(error)) => {
                    let error = error.with_retries(retry.retries());
                    // The cause of the retry says more than the timeout during the last attempt.
                    return Err(Refusal::Failed(match last {
                        Some(last) => error.with_source(last),
                        None => error,
                    }));
                }
            };
            let retries = retry.retries();
            match retry.after_failure(asked, deadline.remaining(), id::random()) {
                Decision::Wait(wait) if wait_to_retry(wait, self.transport.was_reached()) => last = Some(error),
                // spec: the client must wait; later batches keep the pause too, but not an unlimited one
                _ => {
                    self.pause = asked.map(|asked| Deadline::after(asked.min(MAX_PAUSE)));
                    return Err(Refusal::Failed(error.with_retries(retries)));
                }
            }
        }
    }

    /// Fills the headroom of a message.
    pub(crate) fn frame(&self, message: &mut [u8]) {
        self.transport.frame(message);
    }

    /// Returns the rest of the pause that the receiver asked for; zero without one.
    pub(crate) fn pause_left(&self) -> Duration {
        self.pause.and_then(Deadline::remaining).unwrap_or_default()
    }

    /// Closes the connection.
    pub(crate) fn close(&mut self) {
        self.transport.close();
    }

    /// Waits until the pause that the receiver asked for is over.
    ///
    /// # Errors
    /// The pause does not end before the deadline.
    fn wait_for_pause(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        let left = self.pause_left();
        if left.is_zero() {
            return Ok(());
        }
        if deadline.remaining().is_some_and(|remaining| left >= remaining) {
            let endpoint = self.transport.endpoint();
            let message = format!("{endpoint} asked for a pause, which has {left:.1?} left: not sent");
            return Err(ExportError::unavailable(message));
        }
        thread::sleep(left);
        self.pause = None;
        Ok(())
    }
}

/// Returns the verdict behind a failure that no retry mends. A response that is too large says nothing about other requests.
fn final_refusal(error: ExportError) -> Refusal {
    if error.is_rejected() || error.is_too_large() { Refusal::Rejected(error) } else { Refusal::Failed(error) }
}

/// Waits before the next attempt and returns true. Returns false early if the program ends and the receiver has never been
/// reached, so that nothing waits for a receiver that may not exist.
fn wait_to_retry(wait: Duration, was_reached: bool) -> bool {
    /// The delay until the end of the program is noticed.
    const POLL_INTERVAL: Duration = Duration::from_millis(20);
    if was_reached {
        thread::sleep(wait);
        return true;
    }
    let until = Deadline::after(wait);
    while !is_ending() {
        match until.remaining() {
            Some(left) if left.is_zero() => return true,
            left => thread::sleep(left.unwrap_or(wait).min(POLL_INTERVAL)),
        }
    }
    false
}

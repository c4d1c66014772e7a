//! The attempts to send one request, with retries and pauses, until the receiver's verdict is known.
//!
//! The interface between encoding and transport, which handles bytes and deadlines and does not depend on the signal.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use telemark_sdk::runtime::is_ending;
use telemark_sdk::time::Deadline;
use telemark_sdk::{ExportError, ExportReport, id};

use super::retry::{Decision, Retry, RetryConfig};
use crate::transport::{Failure, Transport};

/// The maximum time for which a receiver can delay further batches.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// The final verdict on a request that was not accepted, after all retries.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The request was too large. The same items may be accepted in smaller requests.
    TooLarge(ExportError),
    /// The receiver rejected this request but may accept others.
    Rejected(ExportError),
    /// The receiver cannot be reached, is busy, or did not respond in time, so any other request would probably fail as
    /// well.
    Failed(ExportError),
}

/// Sends encoded requests, one at a time, on the calling thread.
#[derive(Debug)]
pub(crate) struct Delivery {
    transport: Transport,
    retry: RetryConfig,
    /// The end of the pause that the receiver requested.
    pause: Option<Deadline>,
}

impl Delivery {
    pub(crate) fn new(transport: Transport, retry: RetryConfig) -> Self {
        Delivery { transport, retry, pause: None }
    }

    /// Returns the number of bytes to reserve at the start of a message.
    pub(crate) fn headroom(&self) -> usize {
        self.transport.headroom()
    }

    /// Sends a message, and retries until the receiver accepts or refuses it or the deadline passes. Blocks until then.
    ///
    /// [`Self::frame`] must have filled the message's headroom. The message does not change between attempts. `len` is its
    /// length before or after compression, whichever is larger.
    ///
    /// spec: protocol/exporter.md — the timeout covers all attempts and the waits between them
    pub(crate) fn deliver(
        &mut self,
        message: &Arc<Vec<u8>>,
        len: usize,
        deadline: Deadline,
    ) -> Result<ExportReport, Refusal> {
        self.wait_for_pause(deadline).map_err(Refusal::Failed)?;
        let mut retry = Retry::new(self.retry);
        let mut last = None;
        let mut has_renewed = false;
        loop {
            let (error, asked) = match self.transport.send(message.clone(), len, deadline) {
                Ok(report) => return Ok(report.with_retries(retry.retries())),
                Err(Failure::TooLarge(error)) => return Err(Refusal::TooLarge(error.with_retries(retry.retries()))),
                // Once for a request: headers that are new and refused as well are no longer a matter of time.
                Err(Failure::Final(error)) if !has_renewed && self.transport.renew_credentials(&error, deadline) => {
                    has_renewed = true;
                    retry.count_renewal();
                    last = Some(error);
                    continue;
                }
                Err(Failure::Final(error)) => {
                    if has_renewed {
                        self.transport.note_refusal(&error);
                    }
                    return Err(final_refusal(error.with_retries(retry.retries())));
                }
                Err(Failure::Transient { error, asked }) => (error, asked),
                Err(Failure::Timeout(error)) => {
                    let error = error.with_retries(retry.retries());
                    // The cause of the retry is more informative than the timeout during the last attempt.
                    return Err(Refusal::Failed(match last {
                        Some(last) => error.with_source(last),
                        None => error,
                    }));
                }
            };
            let retries = retry.retries();
            match retry.after_failure(asked, deadline.remaining(), id::random()) {
                Decision::Wait(wait) if wait_to_retry(wait, self.transport.was_reached()) => last = Some(error),
                // spec: the client must wait; later batches observe the pause as well, but only up to a limit
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

    /// Returns the remaining pause that the receiver requested, or zero if there is none.
    pub(crate) fn pause_left(&self) -> Duration {
        self.pause.and_then(Deadline::remaining).unwrap_or_default()
    }

    /// Returns the number of times that changed headers or certificates could not be used.
    pub(crate) fn failed_refreshes(&self) -> u64 {
        self.transport.failed_refreshes()
    }

    /// Closes the connection.
    pub(crate) fn close(&mut self) {
        self.transport.close();
    }

    /// Waits for the end of the pause that the receiver requested.
    ///
    /// # Errors
    /// Fails if the pause does not end before the deadline.
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

/// Returns the verdict for a failure that cannot be retried. A response that is too large does not affect other requests.
fn final_refusal(error: ExportError) -> Refusal {
    if error.is_rejected() || error.is_too_large() { Refusal::Rejected(error) } else { Refusal::Failed(error) }
}

/// Waits before the next attempt and returns true. Returns false early if the program is ending and the receiver has never
/// been reached, because such a receiver may not exist.
fn wait_to_retry(wait: Duration, was_reached: bool) -> bool {
    /// The maximum delay before this function notices that the program is ending.
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

//! The exporter: encode, compress, send, and again while that may help and there is time.

use std::fmt;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use telemark_sdk::config::Env;
use telemark_sdk::runtime::is_ending;
use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, ConfigError, ExportError, ExportReport, Exporter, id};

use crate::builder::Builder;
use crate::config::Config;
use crate::encode::Encode;
use crate::preferences::Preferences;
use crate::retry::{Decision, Retry};
use crate::settings::{Compression, Protocol};
use crate::transport::{Failure, Transport};

/// The largest buffer in bytes that is kept for the next batch.
const MOST_KEPT: usize = 4 << 20;

/// The longest that a receiver can keep further batches back.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Sends a signal with OTLP over HTTP or gRPC.
///
/// It connects with the first batch, keeps the connection, and replaces it when it is lost. A batch that the receiver
/// cannot take for the moment is sent again within the timeout; one that it refuses is given up.
///
/// spec: protocol/exporter.md, opentelemetry-proto docs/specification.md
pub struct Otlp<S: Encode> {
    config: Config,
    cache: S::Cache,
    /// The encoded batch; its memory is used again.
    message: Vec<u8>,
    /// The compressed batch.
    compressed: Vec<u8>,
    transport: Transport,
    /// The receiver has asked to be left alone until then.
    pause: Option<Deadline>,
    is_shut_down: bool,
}

impl<S: Encode> Otlp<S> {
    /// An exporter with the settings of the environment.
    ///
    /// # Errors
    /// See [`Builder::build`].
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        Self::builder().with_env(env).build()
    }

    /// Begins an exporter with settings in code.
    pub fn builder() -> Builder<S> {
        Builder::new()
    }

    pub(crate) fn new(config: Config) -> Self {
        Otlp {
            transport: Transport::new::<S>(&config),
            config,
            cache: S::Cache::default(),
            message: Vec::new(),
            compressed: Vec::new(),
            pause: None,
            is_shut_down: false,
        }
    }

    pub(crate) fn preferences(&self) -> &Preferences {
        &self.config.preferences
    }

    /// Encodes the batch into the bytes that are sent.
    fn encode(&mut self, batch: Batch<'_, S>) -> Result<Vec<u8>, ExportError> {
        let headroom = self.transport.headroom();
        let mut message = std::mem::take(&mut self.message);
        message.clear();
        message.resize(headroom, 0);
        match self.config.protocol {
            Protocol::HttpJson => S::json(batch, &mut self.cache, &mut message),
            Protocol::HttpProtobuf | Protocol::Grpc => S::protobuf(batch, &mut self.cache, &mut message),
        }
        // spec: the limit holds before compression as well
        if let Err(error) = self.check_size::<S>(message.len() - headroom, S::count(batch.items)) {
            // A batch of that size is an exception: its memory is not worth keeping.
            self.message = Vec::new();
            return Err(error);
        }
        if self.config.compression == Compression::Gzip {
            let mut compressed = std::mem::take(&mut self.compressed);
            compressed.clear();
            compressed.resize(headroom, 0);
            let result = compress(&message[headroom..], &mut compressed);
            if message.len() <= MOST_KEPT {
                self.message = message;
            }
            result?;
            self.check_size::<S>(compressed.len() - headroom, S::count(batch.items))?;
            message = compressed;
        }
        self.transport.frame(&mut message);
        Ok(message)
    }

    fn check_size<T: Encode>(&self, len: usize, items: usize) -> Result<(), ExportError> {
        let limit = self.config.max_request_size;
        if len <= limit {
            return Ok(());
        }
        Err(ExportError::too_large(format!(
            "{items} {} make a request of {len} bytes, the limit is {limit}: not sent",
            T::ITEMS
        )))
    }

    /// Sends until the receiver has it, refuses it, or the time is over.
    ///
    /// spec: protocol/exporter.md — the timeout is for all attempts and the waits between them
    fn send(&mut self, body: &Bytes, deadline: Deadline) -> Result<ExportReport, ExportError> {
        self.keep_pause(deadline)?;
        let mut retry = Retry::new(self.config.retry);
        let mut last = None;
        loop {
            let (error, asked) = match self.transport.send(body.clone(), deadline) {
                Ok(report) => return Ok(report.with_retries(retry.retries())),
                Err(Failure::Final(error)) => return Err(error.with_retries(retry.retries())),
                Err(Failure::Transient { error, asked }) => (error, asked),
                Err(Failure::Timeout(error)) => {
                    let error = error.with_retries(retry.retries());
                    // Why there was a retry at all tells more than that time ran out during the last one.
                    return Err(match last {
                        Some(last) => error.with_source(last),
                        None => error,
                    });
                }
            };
            let retries = retry.retries();
            match retry.after_failure(asked, deadline.remaining(), id::random()) {
                Decision::Wait(wait) if wait_to_retry(wait, self.transport.was_reached()) => last = Some(error),
                // spec: the client must wait, be it with the next batch; but not for as long as it may please anyone
                _ => {
                    self.pause = asked.map(|asked| Deadline::after(asked.min(LONGEST_PAUSE)));
                    return Err(error.with_retries(retries));
                }
            }
        }
    }

    /// Waits until the pause that the receiver asked for is over.
    ///
    /// # Errors
    /// It does not end before the deadline.
    fn keep_pause(&mut self, deadline: Deadline) -> Result<(), ExportError> {
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

    fn pause_left(&self) -> Duration {
        self.pause.and_then(Deadline::remaining).unwrap_or_default()
    }

    /// Takes the memory back, unless a connection that is being closed still holds it or it is far more than batches
    /// usually need.
    fn reclaim(&mut self, body: Bytes) {
        if !body.is_unique() || body.len() > MOST_KEPT {
            return;
        }
        let slot = if self.config.compression == Compression::Gzip { &mut self.compressed } else { &mut self.message };
        *slot = Vec::from(body);
    }
}

impl<S: Encode> Exporter<S> for Otlp<S> {
    fn export(&mut self, batch: Batch<'_, S>, deadline: Deadline) -> Result<ExportReport, ExportError> {
        if self.is_shut_down {
            return Err(ExportError::shutdown());
        }
        // spec: empty requests should not be sent
        if batch.items.is_empty() {
            return Ok(ExportReport::accepted());
        }
        let deadline = deadline.min(Deadline::after(self.config.timeout));
        let body = Bytes::from(self.encode(batch)?);
        let result = self.send(&body, deadline);
        self.reclaim(body);
        result
    }

    fn shutdown(&mut self, _: Deadline) -> Result<(), ExportError> {
        // Nothing is held back between exports: there is nothing to flush.
        self.is_shut_down = true;
        self.transport.close();
        Ok(())
    }

    fn destination(&self) -> String {
        let (protocol, endpoint) = (self.config.protocol, &self.config.endpoint);
        match protocol {
            // The path is always that of the service.
            Protocol::Grpc => format!("{protocol} to {}://{}", endpoint.scheme(), endpoint.authority),
            _ => format!("{protocol} to {endpoint}"),
        }
    }

    fn server(&self) -> Option<(String, u16)> {
        let endpoint = &self.config.endpoint;
        Some((endpoint.host.clone(), endpoint.port))
    }

    fn pause(&self) -> Duration {
        self.pause_left()
    }

    fn component_type(&self) -> &'static str {
        let of_signal: [&'static str; 3] = match S::NAME {
            "metrics" => ["otlp_grpc_metric_exporter", "otlp_http_metric_exporter", "otlp_http_json_metric_exporter"],
            "logs" => ["otlp_grpc_log_exporter", "otlp_http_log_exporter", "otlp_http_json_log_exporter"],
            _ => ["otlp_grpc_span_exporter", "otlp_http_span_exporter", "otlp_http_json_span_exporter"],
        };
        let [grpc, protobuf, json] = of_signal;
        match self.config.protocol {
            Protocol::Grpc => grpc,
            Protocol::HttpProtobuf => protobuf,
            Protocol::HttpJson => json,
        }
    }
}

/// Waits before the next attempt and returns true, or false when the program ends and the receiver has never been there:
/// then nothing should wait for it.
fn wait_to_retry(wait: Duration, was_reached: bool) -> bool {
    /// How soon the end of the program is noticed.
    const LOOK: Duration = Duration::from_millis(20);
    if was_reached {
        thread::sleep(wait);
        return true;
    }
    let until = Deadline::after(wait);
    while !is_ending() {
        match until.remaining() {
            Some(left) if left.is_zero() => return true,
            left => thread::sleep(left.unwrap_or(wait).min(LOOK)),
        }
    }
    false
}

#[cfg(feature = "gzip")]
fn compress(message: &[u8], out: &mut Vec<u8>) -> Result<(), ExportError> {
    use std::io::Write;
    // The fastest level: most of the gain for a fraction of the time.
    let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
    encoder
        .write_all(message)
        .and_then(|()| encoder.finish().map(drop))
        .map_err(|error| ExportError::other("gzip failed").with_source(error))
}

#[cfg(not(feature = "gzip"))]
fn compress(_: &[u8], _: &mut Vec<u8>) -> Result<(), ExportError> {
    Err(ExportError::other("the feature `gzip` of telemark-otlp is off"))
}

impl<S: Encode> fmt::Debug for Otlp<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Otlp").field("signal", &S::NAME).field("config", &self.config).finish_non_exhaustive()
    }
}

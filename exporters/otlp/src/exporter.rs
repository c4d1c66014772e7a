//! The exporter, which encodes a batch in parts, compresses them, and passes them to delivery.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use telemark_sdk::metrics::{Aggregation, TemporalityPreference};
use telemark_sdk::signal::Metrics;
use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter};

use crate::config::Config;
use crate::delivery::{Delivery, Fit, Outcome, Refusal, Size};
use crate::encode::{Encode, Part};
use crate::settings::{Compression, Protocol};
use crate::transport::Transport;

/// The maximum capacity, in bytes, of a buffer that is kept for the next batch.
pub(crate) const MAX_KEPT: usize = 2 << 20;

/// Exports a signal with OTLP over HTTP or gRPC.
///
/// Connects on the first export, keeps the connection open, and replaces it if it is lost. If the receiver is temporarily
/// unable to accept a batch, the export is retried within the timeout. A rejected batch is dropped and counted. A batch that
/// is too large for one request is sent in several.
///
/// ```no_run
/// use telemark_otlp::OtlpExporter;
/// use telemark_sdk::config::Env;
/// use telemark_sdk::signal::Traces;
///
/// # fn main() -> Result<(), telemark_sdk::ConfigError> {
/// let exporter = OtlpExporter::<Traces>::from_env(&Env::process())?;
/// # let _ = exporter;
/// # Ok(())
/// # }
/// ```
///
/// spec: protocol/exporter.md, opentelemetry-proto docs/specification.md
pub struct OtlpExporter<S: Encode> {
    config: Config,
    preferences: S::Preferences,
    cache: S::Cache,
    /// The encoded request. Its memory is reused.
    message: Vec<u8>,
    /// The compressed request. Its memory is reused.
    compressed: Vec<u8>,
    fit: Fit,
    delivery: Delivery,
    is_shut_down: bool,
}

/// A request that is ready to be sent.
struct Request<P> {
    body: Arc<Vec<u8>>,
    size: Size,
    items: usize,
    /// The place of the first item in the next request.
    next: Option<P>,
}

impl<S: Encode> OtlpExporter<S> {
    pub(crate) fn new(config: Config, preferences: S::Preferences) -> Self {
        OtlpExporter {
            delivery: Delivery::new(Transport::new(&config), config.retry),
            fit: Fit::new(config.max_request_size),
            config,
            preferences,
            cache: S::Cache::default(),
            message: Vec::new(),
            compressed: Vec::new(),
            is_shut_down: false,
        }
    }

    /// Sends the batch in one or more requests. A request that is too large is encoded again with about half of its items,
    /// and the remaining items follow in later requests.
    fn send(&mut self, batch: Batch<'_, S>, items: usize, deadline: Deadline) -> Result<ExportReport, ExportError> {
        self.fit.begin();
        S::begin(batch, &mut self.cache);
        let mut outcome = Outcome::new(items as u64);
        let mut next = Some(S::Position::default());
        while let Some(from) = next {
            let request = match self.encode(batch, from) {
                Ok(request) => request,
                Err(error) => {
                    outcome.fail_rest(error);
                    break;
                }
            };
            let result = self.send_request(&request, deadline);
            self.reclaim(request.body);
            match result {
                Ok(report) => {
                    outcome.accept(request.items as u64, report);
                    next = request.next;
                }
                Err(Refusal::TooLarge(error)) if request.items > 1 => outcome.retry(&error),
                Err(Refusal::TooLarge(error) | Refusal::Rejected(error)) => {
                    outcome.fail(request.items as u64, error);
                    next = request.next;
                }
                Err(Refusal::Failed(error)) => {
                    outcome.fail_rest(error);
                    break;
                }
            }
        }
        outcome.into_result()
    }

    /// Sends a request unless it is known to be too large, and records the verdict on its size.
    fn send_request(&mut self, request: &Request<S::Position>, deadline: Deadline) -> Result<ExportReport, Refusal> {
        let Request { body, size, items, .. } = request;
        if let Some(error) = self.known_to_be_too_large(*size, *items) {
            return Err(Refusal::TooLarge(error));
        }
        let result = self.delivery.deliver(body, size.max(), deadline);
        match result {
            Ok(_) => self.fit.accept(),
            Err(Refusal::TooLarge(_)) => self.fit.refuse(*size, *items),
            Err(_) => {}
        }
        result
    }

    fn known_to_be_too_large(&mut self, size: Size, items: usize) -> Option<ExportError> {
        let (len, limit) = (size.max(), self.fit.max());
        let problem = if !self.fit.is_within_limit(size) {
            if items > 1 {
                // Compression made the request longer.
                self.fit.refuse(size, items);
            }
            format!("the limit is {limit} bytes")
        } else if items <= 1 && self.fit.is_refused(size) {
            "the receiver has refused as much before".to_owned()
        } else {
            return None;
        };
        Some(ExportError::too_large(format!("one item needs a request of {len} bytes, {problem}: not sent")))
    }

    /// Encodes items, starting at a place, into a request of the size that the receiver is expected to accept.
    fn encode(&mut self, batch: Batch<'_, S>, from: S::Position) -> Result<Request<S::Position>, ExportError> {
        let headroom = self.delivery.headroom();
        let part = Part { from, limit: self.fit.target() };
        let mut message = cleared(&mut self.message, headroom);
        let written = match self.config.protocol {
            Protocol::HttpJson => S::json_part(batch, &mut self.cache, part, &mut message),
            Protocol::HttpProtobuf | Protocol::Grpc => S::protobuf_part(batch, &mut self.cache, part, &mut message),
        };
        let plain = message.len() - headroom;
        // spec: the limit holds before compression as well
        if self.config.compression == Compression::Gzip && plain <= self.fit.max() {
            let mut compressed = cleared(&mut self.compressed, headroom);
            let result = compress(&message[headroom..], &mut compressed);
            // An unusually large buffer is not kept while the other one is sent.
            self.message = kept(message);
            result?;
            message = compressed;
        }
        self.delivery.frame(&mut message);
        let size = Size { plain, sent: message.len() - headroom };
        Ok(Request { body: Arc::new(message), size, items: written.items, next: written.next })
    }

    /// Reclaims a request's memory for the next request, unless a closing connection still holds it.
    fn reclaim(&mut self, body: Arc<Vec<u8>>) {
        let Ok(body) = Arc::try_unwrap(body) else { return };
        let slot = if self.config.compression == Compression::Gzip { &mut self.compressed } else { &mut self.message };
        *slot = body;
    }

    /// Frees buffers that have grown far beyond the usual size.
    fn free_large_buffers(&mut self) {
        for buffer in [&mut self.message, &mut self.compressed] {
            *buffer = kept(std::mem::take(buffer));
        }
    }
}

impl OtlpExporter<Metrics> {
    /// Returns the temporality that the reader for this exporter should use.
    ///
    /// It is set in code or by `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`, and defaults to cumulative.
    pub fn temporality_preference(&self) -> TemporalityPreference {
        self.preferences.temporality.unwrap_or_default()
    }

    /// Returns the aggregation that the reader for this exporter should use for histograms that no view selects.
    ///
    /// It is set in code or by `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION`, and defaults to
    /// [`Aggregation::Default`], a histogram with explicit buckets.
    pub fn default_histogram_aggregation(&self) -> Aggregation {
        self.preferences.histogram.clone().unwrap_or_default()
    }
}

impl<S: Encode> Exporter<S> for OtlpExporter<S> {
    fn export(&mut self, batch: Batch<'_, S>, deadline: Deadline) -> Result<ExportReport, ExportError> {
        if self.is_shut_down {
            return Err(ExportError::shutdown());
        }
        // spec: empty requests should not be sent
        let items = S::count(batch);
        if items == 0 {
            return Ok(ExportReport::accepted());
        }
        let deadline = deadline.min(Deadline::after(self.config.timeout));
        let result = self.send(batch, items, deadline);
        self.free_large_buffers();
        result
    }

    fn shutdown(&mut self, _: Deadline) -> Result<(), ExportError> {
        // Every export is complete when it returns, so there is nothing to flush.
        self.is_shut_down = true;
        self.delivery.close();
        Ok(())
    }

    fn destination(&self) -> String {
        let (protocol, endpoint) = (self.config.protocol, &self.config.endpoint);
        let via = self.config.proxy.as_ref().map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default();
        match protocol {
            // Omit the path, which for gRPC is always the service's path.
            Protocol::Grpc => format!("{protocol} to {}://{}{via}", endpoint.scheme(), endpoint.authority),
            _ => format!("{protocol} to {endpoint}{via}"),
        }
    }

    fn server(&self) -> Option<(String, u16)> {
        let endpoint = &self.config.endpoint;
        Some((endpoint.host.clone(), endpoint.port))
    }

    fn pause(&self) -> Duration {
        self.delivery.pause_left()
    }

    fn failed_refreshes(&self) -> u64 {
        self.delivery.failed_refreshes()
    }

    fn component_type(&self) -> &'static str {
        S::COMPONENT_TYPES.for_protocol(self.config.protocol)
    }
}

/// Takes the buffer and resets its content to `headroom` zero bytes.
fn cleared(buffer: &mut Vec<u8>, headroom: usize) -> Vec<u8> {
    let mut taken = std::mem::take(buffer);
    taken.clear();
    taken.resize(headroom, 0);
    taken
}

/// Returns the buffer, or an empty one if it is unusually large.
pub(crate) fn kept(buffer: Vec<u8>) -> Vec<u8> {
    if buffer.capacity() > MAX_KEPT { Vec::new() } else { buffer }
}

#[cfg(feature = "gzip")]
fn compress(message: &[u8], out: &mut Vec<u8>) -> Result<(), ExportError> {
    use std::io::Write;
    // The fastest level achieves most of the compression in a fraction of the time.
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

impl<S: Encode> fmt::Debug for OtlpExporter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpExporter").field("signal", &S::NAME).field("config", &self.config).finish_non_exhaustive()
    }
}
